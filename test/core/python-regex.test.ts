// The translation of Python's regexes, compared with Python itself; and where mistakes are reported.
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type TranslatedRegex, translateRegex } from '../../src/core/python-regex.ts'
import { RegexMistake } from '../../src/core/regex-cursor.ts'

const python = `
import json, re, sys, warnings
warnings.simplefilter('ignore')
answers = []
for pattern, text in json.load(sys.stdin):
    try:
        match = re.match(pattern, text)
    except re.error as error:
        answers.append({'error': str(error)})
        continue
    answers.append({'groups': None if match is None else match.groupdict()})
json.dump(answers, sys.stdout)
`

type Answer = { groups: Record<string, string | null> | null } | { error: string }

function askPython(cases: readonly (readonly [string, string])[]): Answer[] {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', python], {
    input: JSON.stringify(cases),
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Answer[]
}

function mistakeIn(pattern: string): RegexMistake | undefined {
  try {
    translateRegex(pattern)
    return undefined
  } catch (error) {
    if (error instanceof RegexMistake) return error
    throw error
  }
}

function match({ regex, groups }: TranslatedRegex, text: string): Answer {
  const found = regex.exec(text)
  if (found === null) return { groups: null }
  return { groups: Object.fromEntries(groups.map(({ name, index }) => [name, found[index] ?? null])) }
}

function ask(pattern: string, text: string): Answer {
  const mistake = mistakeIn(pattern)
  return mistake === undefined ? match(translateRegex(pattern), text) : { error: mistake.message }
}

/** Where \d, \w and \b know ASCII only and Python's all of Unicode: the one difference made on purpose. */
function differs(pattern: string, text: string): boolean {
  return /\\[dDwWbB]/.test(pattern) && /[^\x00-\x7f]/.test(text)
}

const texts = [
  '',
  'a',
  'ab',
  'abc\n',
  'a\nb',
  'foo=bar',
  'A-Z ]x',
  '12 34',
  'aa',
  '\u00e9\u00c9',
  'x\ry',
  'é 😀',
  'tab\there',
]

const patterns: readonly string[] = [
  // Groups and references
  '(?P<x>.*)',
  '(?P<x>a)(?P<y>b)?',
  '(?P<x>a)(?P=x)',
  '(?P<x>a|b)(?:c|$)',
  '(?P<a>[^=]*)=(?P<b>.*)',
  '(?P<x>a)(?#a comment)*',
  '(?P<x>a)(?P<y>\\1)?',
  '(?P<x>(?:a|b)+?)(?P<y>.*)',
  '(?P<x>\\w+) (?P<y>\\d+)',
  '(?P<d>\\d{2})\\D(?P<e>\\d{,3})',
  '(?P<x>a{2})',
  '(?P<x>a{1,2}?)',
  '(?P<x>a{,})',
  '(?P<x>{}|{a}|a{)',
  '(?P<_a1>.)',
  '(?P<__proto__>.)',
  '((?P<x>.)(.))',
  // Ends and starts
  '(?P<x>.*)$',
  '(?P<x>.*?)$',
  '(?P<x>abc$)',
  '(?P<x>abc)$(?P<y>\\n)?',
  '(?P<x>abc)\\Z',
  '\\A(?P<x>.)',
  '(?P<x>a)(?:\\s|$)(?P<y>.*)',
  '(?s)(?P<x>.*)$',
  '(?s)(?P<x>.*?)$',
  '(?m)(?P<x>.*)$',
  '(?m)(?P<x>.*?)$(?P<y>[\\s\\S]*)',
  '(?m)^(?P<x>a)\\n^(?P<y>b)',
  '(?m)(?P<x>[^$]*?)^(?P<y>b)',
  '(?P<x>a)|(?P<y>^b)',
  '(?P<x>.)\\b',
  '(?P<x>.)\\B',
  // Flags
  '(?i)(?P<x>[a-z]+)',
  '(?i)(?P<x>[^a]+)',
  '(?i)(?P<x>FOO)=(?P<y>B.R)',
  '(?i)(?P<x>a)(?P=x)',
  '(?i)(?P<x>\\u00e9+)',
  '(?is)(?P<x>.+)',
  '(?i)(?m)(?P<x>A)$',
  '(?x) (?P<x> [a ]+ ) # first\n (?P<y>b)?',
  '(?x)(?P<x>a +)\\ ?(?P<y>\\#?)',
  '(?a)(?P<x>\\s*)(?P<y>\\w*)',
  // Classes
  '(?P<x>[]A-]+)',
  '(?P<x>[^]]+)',
  '(?P<x>[\\w-]+)',
  '(?P<x>[a\\-z]+)',
  '(?P<x>[\\]\\[]*)',
  '(?P<x>[^\\s=]+)',
  '(?P<x>[\\S]+)',
  '(?P<x>[^\\S]*)',
  '(?P<x>[a&&b]+)',
  '(?P<x>[\\x61\\u0062\\143]+)',
  '(?P<x>[😀é ]+)',
  '(?P<x>[(?=]*)',
  '(?P<x>[.*+?^$|{}/]*)',
  '(?P<x>[\\b]*)',
  // Escapes
  '(?P<x>\\x61\\u0062)',
  '(?P<x>\\U00000061)',
  '(?P<x>\\141)',
  '(?P<x>é 😀?)',
  '(?P<x>é 😀{2})',
  '(?P<x>tab)(?P<y>\\t)',
  '(?P<x>\\=|\\ |\\/|a)',
  '(?P<x>\\0|a)',
  // Look-around
  '(?P<x>a)(?=b)',
  '(?P<x>a)(?!b)',
  '(?P<x>..)(?<=ab)',
  '(?P<x>..)(?<!ab)',
  '(?P<x>(?:(?!=).)*)',
]

it('matches as Python 3 does', () => {
  const cases = patterns
    .flatMap((pattern) => texts.map((text) => [pattern, text] as const))
    .filter(([pattern, text]) => !differs(pattern, text))
  expect(cases.length).toBeGreaterThan(800)
  const answers = askPython(cases)
  const ours = cases.map(([pattern, text]) => ({ pattern, text, ...ask(pattern, text) }))
  expect(ours).toEqual(cases.map(([pattern, text], i) => ({ pattern, text, ...answers[i] })))
})

it('takes every white space character that Python takes', () => {
  const codes = [
    ...Array.from({ length: 0x500 }, (_, code) => String.fromCharCode(code)),
    ...Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(0x2000 + code)),
    ...'\u1680\u180e\u3000\u303f\ufeff\uffff',
  ]
  for (const pattern of ['(?P<x>\\s)', '(?P<x>\\S)', '(?a)(?P<x>\\s)', '(?P<x>.)']) {
    const wanted = askPython(codes.map((char) => [pattern, char]))
    const translated = translateRegex(pattern)
    const wrong = codes.filter((char, i) => JSON.stringify(match(translated, char)) !== JSON.stringify(wanted[i]))
    expect(wrong, pattern).toEqual([])
  }
})

it('refuses what Python refuses and takes the rest alike, for any text made of regex parts', () => {
  const part = fc.constantFrom(
    ...['a', 'b', '.', '^', '$', '(', ')', '(?:', '(?P<x>', '(?P<y>', '(?P=x)', '|', '[', ']', '[^', '-', '[a-c]'],
    ...['*', '+?', '?', '{2}', '{1,', '}', '{,2}', '\\d', '\\s', '\\1', '\\Z', '\\A', '\\b', '\\', '\\n', '\\x61'],
    ...['(?=', '(?!', '(?#', ' ', '\\0', '\\12'],
  )
  const patternOf = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(''))
  const subject = fc.array(fc.constantFrom('a', 'b', '1', ' ', '\n', '-', ']'), { maxLength: 6 })
  const cases = fc.sample(
    fc.tuple(
      patternOf,
      subject.map((chars) => chars.join('')),
    ),
    { numRuns: 6000, seed: 7 },
  )
  const answers = askPython(cases)
  const wrong = cases.flatMap(([pattern, text], i) => {
    const mine = ask(pattern, text)
    const theirs = answers[i] as Answer
    // Stricter than Python on purpose: a quantifier on a look-around or an anchor says nothing.
    if ('error' in mine && /nothing here for|possessive/.test(mine.error)) return []
    // What a repeated group holds differs by design, as does a reference to a group that took no part.
    if (/\)[*?+{]|P=|\\1/.test(pattern) && !('error' in mine) && !('error' in theirs)) return []
    if ('error' in mine && 'error' in theirs) return []
    return JSON.stringify(mine) === JSON.stringify(theirs) ? [] : [{ pattern, text, mine, theirs }]
  })
  expect(wrong).toEqual([])
})

/** Where ^ points in the second line is where the mistake is reported. */
const mistakes: readonly (readonly [string, string, RegExp])[] = [
  ['(a', '^', /never closed; write \\\(/],
  ['(a))', '   ^', /closes nothing; write \\\)/],
  ['a|)', '  ^', /closes nothing/],
  ['x[abc', ' ^', /never closed/],
  ['[]', '^', /never closed/],
  ['[^]', '^', /never closed/],
  ['*a', '^', /nothing here for \* to repeat; write \\\*/],
  ['a|+', '  ^', /nothing here for \+/],
  ['(?:?)', '   ^', /nothing here for \?/],
  ['^*', ' ^', /nothing here for \*/],
  ['{2}', '^', /nothing here for \{2\}/],
  ['a**', '  ^', /repeats what is repeated/],
  ['a++', '  ^', /possessive/],
  ['a{3,2}', ' ^', /runs backwards; write \{2,3\}/],
  ['a{1,99999999999999999999999}', ' ^', /more than 65536 times/],
  ['[z-a]', ' ^', /range z-a runs backwards/],
  ['[a-\\d]', ' ^', /a-\\d is no range/],
  ['[\\w-z]', ' ^', /\\w-z is no range/],
  ['[[:alpha:]]', ' ^', /POSIX/],
  ['(?P<a>x)(?P<a>y)', '        ^', /group named a already/],
  ['(?P<1a>x)', '    ^', /no name/],
  ['(?<a b>x)', '   ^', /no name/],
  ['(?P<a', '^', /name of this group is never closed/],
  ['(?P=a)', '^', /no group a before/],
  ['(?P<a>x\\1)', '       ^', /not closed at this place/],
  ['(a)\\2', '   ^', /no group 2 before/],
  ['a(?>b)', ' ^', /atomic.*write \(\?:/],
  ['(a)(?(1)b|c)', '   ^', /conditional/],
  ['a(?i)b', ' ^', /move them to its start/],
  ['(?i:a)', '^', /write them at its start/],
  ['(?-i:a)', '^', /write them at its start/],
  ['(?L)a', '  ^', /locale/],
  ["(?'a'b)", '^', /kind of group/],
  ['(?#abc', '^', /comment is never closed/],
  ['ab\\', '  ^', /backslash stands at the end/],
  ['a\\q', ' ^', /\\q means nothing/],
  ['a\\z', ' ^', /write \\Z/],
  ['\\p{L}', '^', /class/],
  ['\\x4', '^', /wants 2 hex digits/],
  ['[\\u12]', ' ^', /wants 4 hex digits/],
  ['[\\A]', ' ^', /\\A means nothing/],
  ['\\777', '^', /no character with this number/],
  ['\\U00110000', '^', /no character with this number/],
]

it.each(mistakes)('says where the mistake is in %s', (pattern, pointer, message) => {
  const mistake = mistakeIn(pattern)
  expect(mistake?.message).toMatch(message)
  expect(`${' '.repeat(mistake?.index ?? 0)}^`).toBe(pointer)
})

it('refuses groups nested too deep for the stack', () => {
  expect(mistakeIn('('.repeat(100_000))?.message).toMatch(/deep/)
})

it('reports what is too large for V8', () => {
  expect(mistakeIn('()'.repeat(70_000))).toMatchObject({
    index: 0,
    message: expect.stringMatching(/^too many captures$/i),
  })
})

it('takes the syntax of JavaScript for names', () => {
  expect(ask('(?<a>x)\\k<a>', 'xx')).toEqual({ groups: { a: 'x' } })
})

it('keeps to ASCII where Python knows more', () => {
  expect(ask('(?P<x>\\w)', 'é')).toEqual({ groups: null })
  expect(ask('(?P<x>\\d)', '\u0661')).toEqual({ groups: null })
  expect(ask('(?i)(?P<x>k)', '\u212a')).toEqual({ groups: null })
})
