// Tells when a field holds a word of a list, or none of it.
import { z } from 'zod'
import { defineAction, type Lint } from '../../core/action.ts'
import { systemCode } from '../../core/errors.ts'
import { cloneValue, type Event } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { fileReason } from '../../core/file-reason.ts'
import { parseNetwork } from '../../core/net/address.ts'
import { fieldParam } from '../../core/params.ts'
import { lintRule, ruleParams } from '../../core/rules/params.ts'
import { createRule } from '../../core/rules/rule.ts'
import { invalidLines, readWordFile, WordFile } from '../../core/rules/word-list-file.ts'
import { buildWordMatcher, buildWordMatcherNow, type WordMatcher } from '../../core/rules/word-list-matcher.ts'
import { textsIn } from '../../core/rules/word-list-texts.ts'

/** The form in which alerts are saved. */
const form = 'filter_matching_list/1'
/** Something that is meant to be a network: an address, so to say, and a number of bits. */
const networkLike = /^[0-9a-f.:]*[.:][0-9a-f.:]*\/\d+$/i

export const filterMatchingList = defineAction({
  kind: 'filter',
  name: 'filter_matching_list',
  summary: 'Gives an alert when a field holds a word of a list, or none of it.',
  details: `With \`mode: present\`, an event gives an alert when a word of the list occurs anywhere in the text of \`key\`; with \`mode: absent\`, when
none does. With \`whole: true\` the text must be the word, from end to end. A word that is an IPv4 or IPv6 address then stands for that
address however it is spelt (\`2001:DB8:0::1\` is \`2001:db8::1\`, and \`::ffff:192.0.2.1\` is \`192.0.2.1\`), and one that is a network
(\`10.0.0.0/8\`, \`2001:db8::/32\`) for every address in it. Without \`whole\` it is text like any other.

The text of a number or a boolean is what it looks like in JSON. Of a list or a map, each value in it is looked at, however deep, but
not the keys of the map. An event without the field passes on and gives no alert in either mode; so does one where it is null, or a list or a
map without values.

**The file.** \`list_file\` holds one word a line, in UTF-8. Spaces around a word do not count; blank lines and lines that begin with \`#\`
are skipped. 100,000 words are as quick to look for as a hundred or two. The file is looked at each second; once it has changed, and was then
the same for a second, it is read again, while events pass by the old list. It may be written in place or replaced; a new file that is renamed
over the old one is never seen half written. While the file is away or cannot be read, the old list stays, and the log says so once. An empty
file is a list without words.

The alert's record holds \`timestamp\`, \`rule\`, \`query_key\` (when it is set), \`mode\`, \`found\` (the words as the list spells them, each
once, separated by commas, in the order in which they occur; for a whole value the word itself and then the networks around it, the narrowest
first; empty with \`mode: absent\`), \`key\` and \`value\`. It follows the event that caused it.`,
  params: z
    .strictObject({
      ...ruleParams,
      key: fieldParam.describe('The field that is looked at, as a dotted path.'),
      mode: z
        .enum(['present', 'absent'])
        .default('present')
        .describe('Gives an alert when a word of the list is `present` in the field, or when all are `absent`.'),
      list: z
        .array(z.string().min(1))
        .optional()
        .describe('The words. Write numbers in quotes. Either this or `list_file` is needed.'),
      list_file: z
        .string()
        .min(1)
        .optional()
        .describe('A file with one word a line, read again when it changes. Either this or `list` is needed.'),
      whole: z
        .boolean()
        .default(false)
        .describe(
          'Compares whole values, and addresses with addresses and networks, instead of looking for words in a text.',
        ),
      ignore_case: z.boolean().default(false).describe('Takes capital and small letters for the same.'),
      max_list_size: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .default(32 * 1024 * 1024)
        .describe('Bytes of `list_file`: a larger file is not read.'),
    })
    .superRefine(({ list, list_file }, context) => {
      if (list === undefined && list_file === undefined) {
        context.addIssue({ code: 'custom', path: ['list'], message: 'is missing: write the words, or `list_file`' })
      }
      if (list !== undefined && list_file !== undefined) {
        context.addIssue({ code: 'custom', path: ['list_file'], message: 'take either it or `list`' })
      }
    }),
  examples: [
    {
      title: 'Domains in log lines',
      yaml: `- name: filter_matching_list
  match: proxy
  tag: alert
  key: log
  list: [evil.example, bad.example]
  ignore_case: true
  alert:
    message: "{found} in the proxy log"
`,
      in: [
        { tag: 'proxy', timestamp: 1600000000, record: { log: 'GET http://www.example.org/' } },
        { tag: 'proxy', timestamp: 1600000001, record: { log: 'GET http://www.EVIL.example/?next=bad.example' } },
      ],
      out: [
        { tag: 'proxy', timestamp: 1600000000, record: { log: 'GET http://www.example.org/' } },
        { tag: 'proxy', timestamp: 1600000001, record: { log: 'GET http://www.EVIL.example/?next=bad.example' } },
        {
          tag: 'alert',
          timestamp: 1600000001,
          record: {
            timestamp: 1600000001,
            rule: 'filter_matching_list',
            mode: 'present',
            found: 'evil.example,bad.example',
            key: 'log',
            value: 'GET http://www.EVIL.example/?next=bad.example',
            message: 'evil.example,bad.example in the proxy log',
          },
        },
      ],
    },
    {
      title: 'Addresses and networks from a file, one alert an hour for each address',
      yaml: `- name: filter_matching_list
  match: firewall
  tag: alert
  key: src.ip
  list_file: "{dir}/bad-networks.txt"
  whole: true
  query_key: src.ip
  realert: 3600
`,
      files: { 'bad-networks.txt': '# from the SOC\n192.0.2.0/24\n2001:db8::/32\n198.51.100.7\n' },
      in: [
        { tag: 'firewall', timestamp: 1600000000, record: { src: { ip: '192.0.2.44' } } },
        { tag: 'firewall', timestamp: 1600000001, record: { src: { ip: '192.0.2.44' } } },
        { tag: 'firewall', timestamp: 1600000002, record: { src: { ip: '203.0.113.9' } } },
        { tag: 'firewall', timestamp: 1600000003, record: { src: { ip: '2001:DB8::5' } } },
      ],
      out: [
        { tag: 'firewall', timestamp: 1600000000, record: { src: { ip: '192.0.2.44' } } },
        {
          tag: 'alert',
          timestamp: 1600000000,
          record: {
            timestamp: 1600000000,
            rule: 'filter_matching_list',
            query_key: '192.0.2.44',
            mode: 'present',
            found: '192.0.2.0/24',
            key: 'src.ip',
            value: '192.0.2.44',
          },
        },
        { tag: 'firewall', timestamp: 1600000001, record: { src: { ip: '192.0.2.44' } } },
        { tag: 'firewall', timestamp: 1600000002, record: { src: { ip: '203.0.113.9' } } },
        { tag: 'firewall', timestamp: 1600000003, record: { src: { ip: '2001:DB8::5' } } },
        {
          tag: 'alert',
          timestamp: 1600000003,
          record: {
            timestamp: 1600000003,
            rule: 'filter_matching_list',
            query_key: '2001:DB8::5',
            mode: 'present',
            found: '2001:db8::/32',
            key: 'src.ip',
            value: '2001:DB8::5',
          },
        },
      ],
    },
    {
      title: 'A user who is not on the list',
      yaml: `- name: filter_matching_list
  match: sudo
  tag: alert
  key: user
  mode: absent
  whole: true
  list: [alice, bob]
`,
      in: [
        { tag: 'sudo', timestamp: 1600000000, record: { user: 'alice' } },
        { tag: 'sudo', timestamp: 1600000001, record: { user: 'mallory' } },
      ],
      out: [
        { tag: 'sudo', timestamp: 1600000000, record: { user: 'alice' } },
        { tag: 'sudo', timestamp: 1600000001, record: { user: 'mallory' } },
        {
          tag: 'alert',
          timestamp: 1600000001,
          record: {
            timestamp: 1600000001,
            rule: 'filter_matching_list',
            mode: 'absent',
            found: '',
            key: 'user',
            value: 'mallory',
          },
        },
      ],
    },
  ],
  lint(params) {
    const { list, list_file: path, whole, max_list_size } = params
    if (path === undefined) return [...lintRule(params), ...lintWords('list', list ?? [], whole)]
    try {
      const { words, invalid, firstInvalid } = readWordFile(path, max_list_size)
      const lints = [...lintRule(params), ...lintWords('list_file', words, whole)]
      if (invalid > 0) lints.push({ path: ['list_file'], message: invalidLines(invalid, firstInvalid) })
      return lints
    } catch (error) {
      // Who checks a configuration, or reloads it after giving up privileges, may not be who reads the file at start.
      const isForbidden = ['EACCES', 'EPERM'].includes(systemCode(error) ?? '')
      const severity = isForbidden ? 'warning' : 'error'
      return [
        ...lintRule(params),
        { path: ['list_file'], message: `cannot read ${path}: ${fileReason(error)}`, severity },
      ]
    }
  },
  create(params, context) {
    const { key, mode, list, list_file: path, whole, ignore_case: ignoreCase } = params
    const { time, clock, log, count } = context
    const { keyOf, alerts, filter } = createRule({ form, params, context })
    const field = compileField(key)
    const build = (words: readonly string[]) => buildWordMatcher(words, { whole, ignoreCase })
    const wantsWords = mode === 'present'
    let matcher: WordMatcher = { find: () => [], has: () => false }
    let counted = 0

    function use(built: WordMatcher, words: number): void {
      matcher = built
      count('words', words - counted)
      counted = words
    }

    function see(event: Event): Event | undefined {
      const value = field.get(event.record)
      if (typeof value === 'string') {
        // Nearly every event of nearly every stream ends here.
        if (!wantsWords) return matcher.has(value) ? undefined : fire(event, value, '')
        const found = matcher.find(value)
        return found.length === 0 ? undefined : fire(event, value, found.join(','))
      }
      const texts = textsIn(value)
      if (texts.length === 0) return undefined
      if (!wantsWords) return texts.some((text) => matcher.has(text)) ? undefined : fire(event, value, '')
      const found = new Set(texts.flatMap((text) => matcher.find(text)))
      return found.size === 0 ? undefined : fire(event, value, [...found].join(','))
    }

    function fire(event: Event, value: unknown, found: string): Event | undefined {
      const alertKey = keyOf(event.record)
      if (alertKey === undefined) return undefined
      return alerts.fire(alertKey, time.timeOf(event), { mode, found, key, value: cloneValue(value) }, event)
    }

    if (path === undefined) {
      const words = list ?? []
      use(buildWordMatcherNow(words, { whole, ignoreCase }), words.length)
      return filter(see)
    }
    const file = new WordFile({ path, maxSize: params.max_list_size, clock, log, build, use })
    return Object.assign(filter(see), { open: () => file.open(), close: () => file.close() })
  },
})

/** What a list holds that will not do what it looks like. */
function lintWords(parameter: 'list' | 'list_file', words: readonly string[], whole: boolean): Lint[] {
  const path = [parameter]
  if (words.length === 0) return [{ path, message: 'the list is empty' }]
  const networks = words.filter((word) => networkLike.test(word))
  if (!whole) {
    const [first] = networks.filter((word) => parseNetwork(word) !== undefined)
    if (first === undefined) return []
    return [{ path, message: `${first} is looked for as text: addresses are found in a network with \`whole: true\`` }]
  }
  const [wrong] = networks.filter((word) => parseNetwork(word) === undefined)
  return wrong === undefined ? [] : [{ path, message: `${wrong} is no network, and so a text like any other` }]
}
