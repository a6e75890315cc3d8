// Which regexes a hostile text can make slow.
import v8 from 'node:v8'
import { expect, it } from 'vitest'
import { translateRegex } from '../../src/core/python-regex.ts'
import { lintRegex, notLinear } from '../../src/core/regex-lint.ts'
import { parseRegex } from '../../src/core/regex-tree.ts'

const linear: readonly string[] = [
  '(?P<x>(?:a+)+)$',
  '(?i)(?P<x>[a-z]+)é',
  '(?s)(?P<x>.*)$',
  '(?m)^(?P<x>a)$',
  '(?m)(?:^(?P<x>a))\\b\\B',
  '(?P<x>\\d{1,3}(?:\\.\\d{1,3}){3})',
  '(?P<x>a{16})',
  '(?P<x>(?:a{4}){4})',
  '(?P<x>a{15,})',
  '(?P<x>(?:a{8})*)',
  '(?P<x>(?:a{8})+)',
  '(?P<x>(?:a?){16})',
  '(?P<x>[^\\s"]*?é😀+)',
]

const notCovered: readonly string[] = [
  '(?P<x>a)(?=b)',
  '(?P<x>a)(?!b)',
  '(?P<x>a)(?<=b)',
  '(?P<x>a)(?<!b)',
  '(?P<x>a)(?P=x)',
  '(?i)(?P<x>a)\\1',
  '(?P<x>[😀])',
  '(?P<x>a$)',
  '(?m)(?P<x>a$)',
  '(?m)a\\n^(?P<x>b)',
  '(?P<x>a{17})',
  '(?P<x>(?:a{4}){5})',
  '(?P<x>a{16,})',
  '(?P<x>(?:a{9})+)',
  '(?P<x>(?:(?:a{1,3}){1,3}){1,3})',
]

/** V8 takes flag l (with this switch on) for exactly those that its linear-time engine can run. */
function v8Linear(pattern: string): boolean {
  v8.setFlagsFromString('--enable-experimental-regexp-engine')
  const { source, flags } = translateRegex(pattern).regex
  try {
    new RegExp(source, `${flags}l`)
    return true
  } catch {
    return false
  }
}

it.each(linear)('knows that the linear-time engine runs %s', (pattern) => {
  expect(notLinear(parseRegex(pattern))).toBeUndefined()
  expect(v8Linear(pattern)).toBe(true)
})

it.each(notCovered)('knows that the linear-time engine does not run %s', (pattern) => {
  expect(notLinear(parseRegex(pattern))).toEqual(expect.any(String))
  expect(v8Linear(pattern)).toBe(false)
})

/** Where ^ points is the quantifier that is warned about. */
const dangerous: readonly (readonly [string, string])[] = [
  ['(?=a)(a+)+$', '         ^'],
  ['(?!b)(?:a*)*', '           ^'],
  ['(?=a)(?:a|a)*', '            ^'],
  ['(?=a)(?:\\w|\\d)+', '              ^'],
  ['(?=a)(?:[^"\\\\]+|\\\\.)*', '                    ^'],
  ['(a)(?:\\s*\\w+\\s*)*\\1', '                ^'],
  ['(?=a)((?:ab?)(?:b|c)?)+', '                      ^'],
  ['(?=a)x(?:y(?:a+)+z)', '                ^'],
  ['(a)((x+x+)+y)\\1', '          ^'],
]

it.each(dangerous)('warns about %s', (pattern, pointer) => {
  expect(`${' '.repeat(lintRegex(parseRegex(pattern))?.index ?? 0)}^`).toBe(pointer)
})

const harmless: readonly string[] = [
  '(a+)+$',
  '(?i)(a+)+$',
  '(?=a)a+b+',
  '(?=a)(?:\\d+,)*',
  '(?=a)(?:foo|bar)+',
  '(?=a)(?:foo|fob)+',
  '(?=a)(?:[^"\\\\]|\\\\.)*',
  '(?=a)(?:ab?)+',
  '(?=a)(?:a+){2}',
  '(?=a)(?:/[^/]+)*',
]

it.each(harmless)('does not warn about %s', (pattern) => {
  expect(lintRegex(parseRegex(pattern))).toBeUndefined()
})

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

it.each(['^(a+)+$', '(?P<x>(?:a|aa)+)$', '(?i)(?P<x>(A+)+)$'])('takes time linear in the text for %s', (pattern) => {
  const { regex } = translateRegex(pattern)
  const time = (length: number) => {
    const text = `${'a'.repeat(length)}!`
    return Math.min(...[1, 2, 3].map(() => cpuSeconds(() => expect(regex.exec(text)).toBeNull())))
  }
  time(1000)
  // Four times the text: 4 if linear, 16 if quadratic, for ever if exponential. The offset forgives a slow machine.
  expect(time(50_000)).toBeLessThan(8 * time(12_500) + 0.05)
})
