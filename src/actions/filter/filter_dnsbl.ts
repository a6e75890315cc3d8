// Tells when DNS block lists know the address of an event.
import { z } from 'zod'
import { type ActionContext, type BatchFilter, type DnsAnswers, defineAction, type Lint } from '../../core/action.ts'
import { canonicalAddress, isPublic } from '../../core/dns/address.ts'
import { type Answer, AnswerCache } from '../../core/dns/answer-cache.ts'
import { createBlocklists } from '../../core/dns/blocklists.ts'
import { createCircuit } from '../../core/dns/circuit.ts'
import { createQuestions } from '../../core/dns/questions.ts'
import { createResolver } from '../../core/dns/resolver.ts'
import { domainParam, serverParam } from '../../core/dns/server.ts'
import { FeedooError, messageOf } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { fieldParam } from '../../core/params.ts'
import { lintRule, ruleParams, secondsParam } from '../../core/rules/params.ts'
import { createRule } from '../../core/rules/rule.ts'

/** The form in which answers and alerts are saved. */
const form = 'filter_dnsbl/1'
/** Percent, when neither spelling of the threshold is given. */
const standardThreshold = 50

const percentParam = z.number().min(0).max(100)

const params = z
  .strictObject({
    ...ruleParams,
    key: fieldParam.describe('The field that holds the address, as a dotted path.'),
    domains: z.array(domainParam).min(1).max(256).describe('The domains of the lists that are asked.'),
    threshold_percent: percentParam
      .optional()
      .describe(
        'Percent of the lists that must know the address for an alert; at least one must, also with 0. It is 50 when neither this nor `threshold` is given.',
      ),
    threshold: percentParam.optional().describe('The same as `threshold_percent`.'),
    timeout: secondsParam.default(600).describe('Seconds for which the answers about an address are kept.'),
    cache_size: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(100_000)
      .describe(
        'Addresses whose answers are kept at most. Beyond it the one asked for longest ago is forgotten, and the counter `answers_forgotten` goes up.',
      ),
    concurrency: z.int().min(1).max(1000).default(32).describe('Questions that are open at once.'),
    servers: z
      .array(serverParam)
      .min(1)
      .optional()
      .describe(
        'Name servers to ask, as `ip`, `ip:port` or `[ipv6]:port`. When one does not answer the next one is asked, and stays the first to be asked. Without it, those of the system.',
      ),
    query_timeout: z
      .number()
      .min(0.01)
      .max(60)
      .default(2)
      .describe(
        'Seconds to wait for the answer to a question. Several servers are asked one after the other, and share it evenly. After 5 seconds a question is sent again.',
      ),
    skip_after: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(5)
      .describe('Questions in a row that a list leaves unanswered before it is left alone for `skip_time`.'),
    skip_time: z
      .number()
      .min(0.01)
      .max(86_400)
      .default(30)
      .describe(
        'Seconds between two questions to a list that is left alone, to see whether it answers again. No event waits for those.',
      ),
  })
  .superRefine(({ threshold, threshold_percent }, context) => {
    if (threshold === undefined || threshold_percent === undefined || threshold === threshold_percent) return
    const message = 'threshold and threshold_percent are one parameter with two names: give one of them'
    context.addIssue({ code: 'custom', path: ['threshold'], message })
  })

type Params = z.output<typeof params>

export const filterDnsbl = defineAction({
  kind: 'filter',
  name: 'filter_dnsbl',
  summary: 'Gives an alert when DNS block lists know the address of an event.',
  details: `Each list is asked for the address as RFC 5782 has it: 192.0.2.99 is \`99.2.0.192.<domain>\`, an IPv6 address its 32
hexadecimal digits. An IPv4 address that is mapped into IPv6 is asked for as IPv4. Private, shared (100.64.0.0/10), loopback,
link-local, unique-local, multicast and unspecified addresses are never asked for. A value that is no text, or no address, is
not looked at: the event passes on, counted as \`no_address\`.

Only an answer in 127.0.0.0/8 says that the list knows the address. Any other one comes from a resolver that makes up names:
it means no, is counted (\`foreign_answers\`) and logged once for each list. Addresses in 127.255.255.0/24 are how lists say that they
refuse to answer, for example because the resolver is open to everybody (\`refusals\`): that is no answer.

A list that does not answer in time, fails or refuses (\`unanswered\`) has said neither yes nor no: nothing is kept, and it is
asked again with the next event of that address. For the percentage it counts as a list that does not know the address:
it is the lists that know the address, of all \`domains\`. After \`skip_after\` such questions in a row the list is left alone, with
one line in the log, and another when it is back: the stream does not wait for it again.

While lists are asked, this event and those behind it in the pipeline wait, so that their order is kept. Other pipelines go on.
An address is asked for once by all events that arrive together, and not again for \`timeout\` seconds of the wall clock. What the
lists said is kept over a restart with \`state_dir\` or \`db_path\`.

The alert's record holds \`timestamp\`, \`rule\`, \`query_key\` (when it is set), \`key\` (the name of the field), \`value\` (the address
as the event has it), \`domains\` (the lists that know it, in the order of the parameter) and \`percent\` (with at most two
decimals). It follows the event that caused it. With \`realert\`, set \`query_key\` to the field of the address; else one
address silences all.`,
  params,
  examples: [
    {
      title: 'An address that two of three lists know',
      yaml: `- name: filter_dnsbl
  match: web
  tag: alert
  key: ip
  domains: [bl.example.org, spam.example.net, all.example.com]
  threshold_percent: 50
  alert:
    message: "{value} is in {domains}"
`,
      dns: {
        '99.2.0.192.bl.example.org': ['127.0.0.2'],
        '99.2.0.192.all.example.com': ['127.0.0.10', '127.0.0.4'],
        '7.2.0.192.all.example.com': ['127.0.0.4'],
      },
      in: [
        { tag: 'web', timestamp: 1600000000, record: { ip: '192.0.2.99' } },
        { tag: 'web', timestamp: 1600000001, record: { ip: '192.0.2.7' } },
      ],
      out: [
        { tag: 'web', timestamp: 1600000000, record: { ip: '192.0.2.99' } },
        {
          tag: 'alert',
          timestamp: 1600000000,
          record: {
            timestamp: 1600000000,
            rule: 'filter_dnsbl',
            key: 'ip',
            value: '192.0.2.99',
            domains: ['bl.example.org', 'all.example.com'],
            percent: 66.67,
            message: '192.0.2.99 is in ["bl.example.org","all.example.com"]',
          },
        },
        { tag: 'web', timestamp: 1600000001, record: { ip: '192.0.2.7' } },
      ],
    },
    {
      title: 'Addresses that are never asked for',
      yaml: '- { name: filter_dnsbl, tag: alert, key: ip, domains: [bl.example.org], threshold: 100 }\n',
      dns: { '1.0.0.10.bl.example.org': ['127.0.0.2'] },
      in: [
        { tag: 'web', timestamp: 1600000000, record: { ip: '10.0.0.1' } },
        { tag: 'web', timestamp: 1600000001, record: { ip: 'fe80::1' } },
        { tag: 'web', timestamp: 1600000002, record: { ip: 'unknown' } },
      ],
      out: [
        { tag: 'web', timestamp: 1600000000, record: { ip: '10.0.0.1' } },
        { tag: 'web', timestamp: 1600000001, record: { ip: 'fe80::1' } },
        { tag: 'web', timestamp: 1600000002, record: { ip: 'unknown' } },
      ],
    },
  ],
  lint: (value) => [...lintRule(value), ...lintDomains(value)],
  create(params, context) {
    const { key, domains } = params
    const { count, time } = context
    const field = compileField(key)
    const rule = createRule({ form, params, context })
    const overflow = () => count('answers_forgotten')
    const answers = rule.newTable('answers', { maxKeys: params.cache_size, overflow })
    const { ask, circuits, close } = openLists(params, context)
    const cache = new AnswerCache(answers, { domains, timeout: params.timeout })
    const lists = createBlocklists({ ...context, domains, ask, cache, circuits, concurrency: params.concurrency })
    const threshold = params.threshold_percent ?? params.threshold ?? standardThreshold

    /** The address to ask for; undefined for an event that is not looked at. */
    function addressOf({ record }: Event): string | undefined {
      const value = field.get(record)
      if (value === undefined) return undefined
      const address = typeof value === 'string' ? canonicalAddress(value) : undefined
      if (address === undefined) count('no_address')
      return address !== undefined && isPublic(address) ? address : undefined
    }

    function alertOf(event: Event, said: readonly Answer[]): Event | undefined {
      const listed = domains.filter((_, list) => said[list] === true)
      if (listed.length === 0 || listed.length * 100 < threshold * domains.length) return undefined
      const group = rule.keyOf(event.record)
      if (group === undefined) return undefined
      const percent = Math.round((listed.length * 10_000) / domains.length) / 100
      const own = { key, value: field.get(event.record), domains: listed, percent }
      return rule.alerts.fire(group, time.timeOf(event), own, event)
    }

    function withAlert(event: Event, said: readonly Answer[]): Event[] {
      try {
        const alert = alertOf(event, said)
        return alert === undefined ? [event] : [event, alert]
      } catch (cause) {
        // One event that cannot be handled must not take the batch with it.
        context.deadLetter(event, new FeedooError('ACTION_FAILED', messageOf(cause), { cause }))
        return []
      }
    }

    const filter: BatchFilter = {
      async applyBatch(events) {
        const addresses = events.map(addressOf)
        const known = await lists.look(addresses.filter((address) => address !== undefined))
        return events.map((event, index) => {
          const said = known.get(addresses[index] ?? '')
          return said === undefined ? [event] : withAlert(event, said)
        })
      },
      memory: rule.memory(),
      close,
    }
    return filter
  },
})

/** Whom to ask: the lists over the network, or what stands in for them, which is never left alone. */
function openLists({ servers, query_timeout, concurrency, ...params }: Params, { dns, count }: ActionContext) {
  const resolver = dns === undefined ? createResolver({ servers, timeout: query_timeout }) : undefined
  const answers = dns ?? resolver?.answers ?? (async () => [])
  const counted: DnsAnswers = (name) => {
    count('questions')
    return answers(name)
  }
  const { skip_after, skip_time } = params
  return {
    ask: createQuestions(counted, concurrency),
    circuits: dns === undefined ? params.domains.map(() => createCircuit(skip_after, skip_time)) : [],
    async close() {
      resolver?.close()
    },
  }
}

function lintDomains({ domains }: Params): Lint[] {
  const plain = domains.map((domain) => domain.toLowerCase().replace(/\.$/, ''))
  return plain.flatMap((domain, index) =>
    plain.indexOf(domain) === index
      ? []
      : [{ path: ['domains', index], message: 'this list is named twice, and counts twice' }],
  )
}
