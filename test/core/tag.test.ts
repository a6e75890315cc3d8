// Tags match as Python's fnmatch.fnmatchcase does: Python itself is asked.
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { compileMatch, globMistake } from '../../src/core/tag.ts'

const nastyGlobs = [
  '*',
  '**',
  '?',
  '??',
  '',
  'web.*',
  '*.a',
  'w?b.*',
  'web.[ab]',
  'web.[!ab]',
  'web.[a-c]',
  'web.[!a-c]',
  'web.[',
  'web.[a',
  'web.[]',
  'web.[]]',
  'web.[!]',
  'web.[!]]',
  '[]a]',
  '[!]a]',
  '[a-]',
  '[-a]',
  '[!-a]',
  '[!a-]',
  '[--/]',
  '[a-c-e]',
  '[a-b-c-d]',
  '[c-a]',
  '[!c-a]',
  '[b-a!]',
  '[b-a!x]',
  '[b-a!-z]',
  '[b-a!- ]',
  '[b-a^]',
  '[^a]',
  '[!^a]',
  '[\\]',
  '[\\a]',
  '\\*',
  '\\[a]',
  '[a&&b]',
  '[a||b]',
  '[a~~b]',
  '[a--b]',
  '[[a]',
  '[[]',
  '[*]',
  '[?]',
  '[.]',
  '.*',
  'a.b',
  'a/b',
  'a*/b',
  '*a*b*c*',
  'a**b',
  '[!!]',
  '[!!a]',
  '[]-a]',
  '[!]-a]',
  '[z-a-c]',
  '[z-ab-a]',
  'é',
  '[é-ü]',
  '😀',
  '[😀]',
  '[!😀]',
  '[😀-😂]',
  '?.😀',
  '*😀',
  'A',
  '[A-Z]',
  '(a)',
  'a+',
  'a|b',
  '$',
  '^',
  '{a}',
  'a\nb',
  '?\n?',
  '[\n]',
]
const nastyTags = [
  '',
  'web.a',
  'db.a',
  'web.b',
  'web.',
  'web.[',
  'web.]',
  'web.[a',
  'web.!',
  'a',
  'b',
  'c',
  'd',
  'e',
  'x',
  'z',
  '-',
  '!',
  '^',
  ']',
  '[',
  '\\',
  '&',
  '|',
  '~',
  '*',
  '?',
  '.',
  '/',
  '\\*',
  '\\[a]',
  '.a',
  'a.b',
  'a/b',
  'axb',
  'a/x/b',
  'abc',
  'aXbYc',
  'é',
  'ö',
  '😀',
  '😁',
  'a.😀',
  'A',
  'Z',
  '(a)',
  'a+',
  'aa',
  'a|b',
  '$',
  '{a}',
  'a\nb',
  '\n',
  ' ',
  '+',
  'web.a\n',
]

/** A small generator with a seed (mulberry32), so that a failure comes again. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function randomPairs(count: number): [string, string][] {
  const random = seeded(20260101)
  const globChars = Array.from('[[]]!!--**??./^\\&~|abcabc😀')
  const tagChars = Array.from('[]!-*?./^\\&~|abcabcabc😀')
  const text = (chars: readonly string[], length: number) =>
    Array.from({ length }, () => chars[random(chars.length)]).join('')
  return Array.from({ length: count }, () => {
    // Half of them are one set, where all the odd rules are.
    const glob = random(2) === 0 ? `[${text(globChars, 1 + random(6))}]` : text(globChars, random(8))
    return [glob, text(tagChars, random(2) === 0 ? 1 : random(6))]
  })
}

function askPython(pairs: readonly [string, string][]): boolean[] {
  const script =
    'import sys,json,fnmatch\nprint(json.dumps([fnmatch.fnmatchcase(tag, glob) for glob, tag in json.load(sys.stdin)]))'
  const options = {
    input: JSON.stringify(pairs),
    maxBuffer: 1 << 26,
    env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
  }
  return JSON.parse(execFileSync('python3', ['-W', 'ignore', '-c', script], options).toString()) as boolean[]
}

test('matching agrees with Python on every pair', () => {
  const pairs: [string, string][] = [
    ...nastyGlobs.flatMap((glob) => nastyTags.map((tag): [string, string] => [glob, tag])),
    ...randomPairs(20_000),
  ]
  const python = askPython(pairs)
  expect(python).toHaveLength(pairs.length)
  // The sample says something only when both answers are common.
  expect(python.filter(Boolean).length).toBeGreaterThan(1000)
  const wrong = pairs.filter(([glob, tag], index) => compileMatch(glob)(tag) !== python[index])
  expect(wrong).toEqual([])
})

test('web.* takes web.a only, * takes both', () => {
  const taken = (glob: string) => ['web.a', 'db.a'].filter(compileMatch(glob))
  expect(taken('web.*')).toEqual(['web.a'])
  expect(taken('*')).toEqual(['web.a', 'db.a'])
})

test('of a list of globs one must match', () => {
  expect(['web.a', 'db.a', 'x'].filter(compileMatch(['web.*', 'd?.a']))).toEqual(['web.a', 'db.a'])
})

test('many stars do not make matching exponential', () => {
  // Tried one by one, the ways to spread 40 stars over 5,000 characters would outlast the universe.
  expect(compileMatch(`${'*a'.repeat(40)}b`)('a'.repeat(5000))).toBe(false)
})

describe('a slip in a glob is pointed at', () => {
  test.each([
    ['web.[ab', 4],
    ['[', 0],
    ['[]', 0],
    ['[!]', 0],
    ['[a][b', 3],
    ['x[c-a]', 2],
    ['[!c-a]', 2],
    ['[abz-y]', 3],
    // Behind a character that is two UTF-16 units wide.
    ['😀[c-a]', 3],
  ])('%s at %i', (glob, index) => {
    expect(globMistake(glob)?.index).toBe(index)
  })

  test.each(['web.*', '[a-c]', '[!a-c]', '[]]', '[!]]', '[a-]', '[-a]', '[a-c-b]', '[!- ]', '[[]', 'a]'])(
    'nothing is wrong with %s',
    (glob) => {
      expect(globMistake(glob)).toBeUndefined()
    },
  )
})
