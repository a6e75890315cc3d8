// Turns the named groups of a regex into fields.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import type { EventRecord } from '../../core/event.ts'
import { applyParsed, parserParams, Unparsed } from '../../core/parsed.ts'
import { type TranslatedRegex, translateRegex } from '../../core/python-regex.ts'
import { RegexMistake } from '../../core/regex-cursor.ts'
import { lintRegex } from '../../core/regex-lint.ts'

const noMatch = new Unparsed('the regex does not match')

const regexParam = z
  .string()
  .min(1)
  .superRefine((value, context) => {
    try {
      if (translateRegex(value).groups.length > 0) return
      context.addIssue({
        code: 'custom',
        message: 'the regex names no field; write (?P<name>...) around what is to be one',
        params: { index: 0 },
      })
    } catch (error) {
      if (!(error instanceof RegexMistake)) throw error
      context.addIssue({ code: 'custom', message: error.message, params: { index: error.index } })
    }
  })

export const parserRegex = defineAction({
  kind: 'parser',
  name: 'parser_regex',
  summary: 'Parses text in a field by a regex: each named group becomes a field.',
  details: `The regex is matched at the start of the text, as Python's \`re.match\` does; it need not reach the end (\`$\` does).
A group that took no part in the match gives \`null\`, so that all records have the same fields. All values are text.

Syntax is Python's: \`(?P<name>...)\`, \`(?P=name)\`, \`(?#comment)\`, \`\\A\`, \`\\Z\`, \`{,n}\`, and at the very start the flags
\`(?i)\`, \`(?m)\`, \`(?s)\`, \`(?x)\`, \`(?a)\`. JavaScript's \`(?<name>...)\` and \`\\k<name>\` mean the same. Atomic groups, possessive
quantifiers, conditional groups and flags for a part of the regex are refused.

It differs from Python in this: \`\\d\`, \`\\w\` and \`\\b\` know ASCII only (write \`[^\\W]\` and the like out as classes of what you
mean); \`(?i)\` pairs ASCII letters with ASCII letters only; \`.\` and negated classes take a character past U+FFFF as two;
a reference to a group that took no part matches nothing instead of failing; and a group inside a repeated one holds what
it took in the last pass, also when that is nothing.

A regex that backtracks too much goes on in V8's linear-time engine, so that a hostile text cannot stop the pipeline. That
engine knows no look-around, no references to groups, and no more than 16 copies of a part through \`{m,n}\`: \`feedoo check\`
warns about a regex that has one of these and a quantifier within a quantifier.`,
  params: z.strictObject({
    ...parserParams,
    regex: regexParam.describe('The regex. Its named groups become the fields.'),
    max_length: z
      .int()
      .min(1)
      .max(16_777_216)
      .default(65_536)
      .describe('The longest text in characters that is matched. A longer one counts as one that cannot be parsed.'),
  }),
  examples: [
    {
      title: 'A web server log',
      yaml: String.raw`- name: parser_regex
  match: web.*
  key: log
  regex: '(?P<ip>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>\w+) (?P<path>\S+)[^"]*" (?P<code>\d+)'
`,
      in: [
        {
          tag: 'web.a',
          timestamp: 1600000000,
          record: { log: '192.0.2.1 - - [13/Sep/2020:12:26:40 +0000] "GET /index.html HTTP/1.1" 200 512' },
        },
      ],
      out: [
        {
          tag: 'web.a',
          timestamp: 1600000000,
          record: {
            ip: '192.0.2.1',
            time: '13/Sep/2020:12:26:40 +0000',
            method: 'GET',
            path: '/index.html',
            code: '200',
          },
        },
      ],
    },
    {
      title: 'A group that took no part is null',
      yaml: "- name: parser_regex\n  regex: '(?P<user>\\w+)(?:@(?P<host>\\w+))?$'\n",
      in: [{ tag: 'mail', timestamp: 1600000000, record: { log: 'root' } }],
      out: [{ tag: 'mail', timestamp: 1600000000, record: { user: 'root', host: null } }],
    },
  ],
  lint({ regex }) {
    const found = lintRegex(translateRegex(regex).tree)
    return found === undefined ? [] : [{ path: ['regex'], ...found }]
  },
  create(params, context) {
    const { max_length } = params
    const { regex, groups } = translateRegex(params.regex)
    const build = recordBuilder(groups)
    const tooLong = new Unparsed(`the text is longer than max_length (${max_length} characters)`)
    const parse = (text: string): EventRecord | Unparsed => {
      if (text.length > max_length) return tooLong
      const match = regex.exec(text)
      return match === null ? noMatch : build(match)
    }
    return applyParsed(params, { object: parse, any: parse }, context)
  },
})

type BuildRecord = (match: RegExpExecArray) => EventRecord

/** Compiles `match -> { name: match[i], ... }`: as fast as the literal that a person would write. */
function recordBuilder(groups: TranslatedRegex['groups']): BuildRecord {
  // In brackets `__proto__` is a key like any other; the other names do without, which is faster.
  const fields = groups.map(({ name, index }) => {
    const key = name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)
    return `${key}: match[${index}] ?? null`
  })
  return new Function('match', `return { ${fields.join(', ')} }`) as BuildRecord
}
