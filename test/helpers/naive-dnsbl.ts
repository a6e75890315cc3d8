// filter_dnsbl by definition, beside the rule itself, on random streams: what is listed is known for each address.
import { filterDnsbl } from '../../src/actions/filter/filter_dnsbl.ts'
import { VirtualClock } from '../../src/core/clock.ts'
import { cloneEvent, type Event } from '../../src/core/event.ts'
import { EventTimeline } from '../../src/core/timeline.ts'
import { expectSame, NaiveAlerts } from './naive-alerts.ts'
import { int, pick, type Random, randomStream } from './rule-streams.ts'
import { silent } from './run-pipeline.ts'

const domains = ['a.example', 'b.example', 'c.example']
/** How many of the lists know an address; none of them is asked for those that are not public. */
const listings: Readonly<Record<string, number>> = { '8.8.4.4': 0, '8.8.8.1': 1, '8.8.8.2': 2, '8.8.8.3': 3 }
const values: readonly unknown[] = [...Object.keys(listings), '10.0.0.1', '127.0.0.1', 'no address', 7, null, undefined]

interface Params {
  threshold_percent: number
  realert: number
  query_key?: string
}

function naive({ threshold_percent, realert, query_key }: Params, events: readonly Event[]): Event[] {
  const alerts = new NaiveAlerts({ tag: 'alert', queryKey: query_key !== undefined, realert })
  return events.flatMap((event) => {
    const value = event.record.ip
    const listed = domains.slice(0, listings[String(value)] ?? 0)
    const group = query_key === undefined ? null : event.record[query_key]
    const percent = (listed.length / domains.length) * 100
    if (listed.length === 0 || percent < threshold_percent || group === undefined) return [event]
    const own = { key: 'ip', value, domains: listed, percent: Number(percent.toFixed(2)) }
    return [event, ...alerts.fire(group, event.timestamp, own, event)]
  })
}

/** The rule in batches of a size, begun anew from what it saved before the event at `restart`. */
async function run(params: Params, events: readonly Event[], size: number, restart: number): Promise<Event[]> {
  const clock = new VirtualClock(0)
  const segments: Uint8Array[] = []
  const start = () => {
    const built = filterDnsbl.build(
      { tag: 'alert', key: 'ip', domains, ...params },
      {
        ...{ pipeline: 'test', label: 'rule', clock, time: new EventTimeline(clock), log: silent },
        deadLetter: (_, error) => {
          throw error
        },
        countError: () => {},
        count: () => {},
        dns: async (name) => {
          const [d, c, b, a, ...domain] = name.split('.')
          const known = domains.indexOf(domain.join('.')) < (listings[[a, b, c, d].join('.')] ?? 0)
          return known ? ['127.0.0.2'] : []
        },
      },
    )
    if (built.kind !== 'filter' || !('applyBatch' in built.action)) throw new Error('filter_dnsbl takes batches')
    built.action.memory?.restore(segments)
    return built.action
  }
  let filter = start()
  const out: Event[] = []
  for (let from = 0; from < events.length; ) {
    const to = Math.min(events.length, from + size, from < restart ? restart : Number.POSITIVE_INFINITY)
    for (const behind of await filter.applyBatch(events.slice(from, to).map(cloneEvent))) out.push(...behind)
    from = to
    if (to !== restart) continue
    const changes = filter.memory?.changes()
    if (changes !== undefined) segments.push(changes.segment)
    filter = start()
  }
  return out
}

/** Compares the rule with its definition on one random stream, cut and restarted anywhere. */
export async function checkDnsbl(random: Random): Promise<void> {
  const params: Params = {
    threshold_percent: pick(random, [1, 33, 34, 67, 100]),
    realert: pick(random, [0, 0, 5]),
    ...(random() < 0.6 ? { query_key: pick(random, ['ip', 'key']) } : {}),
  }
  const events = randomStream(random, {
    length: int(random, 1, 30),
    timeframe: 5,
    keys: ['a', 'b', undefined],
    fields: (random) => {
      const ip = pick(random, values)
      return ip === undefined ? {} : { ip }
    },
  }).flatMap((step) => ('tag' in step ? [step] : []))
  const expected = naive(params, events)
  for (const size of [1, 7, 1000]) {
    const restart = int(random, 1, events.length)
    expectSame(await run(params, events, size, restart), expected, JSON.stringify({ ...params, size, restart }))
  }
}
