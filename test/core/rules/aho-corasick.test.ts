import { describe, expect, it } from 'vitest'
import { buildMatcher, buildMatcherInSteps } from '../../../src/core/rules/aho-corasick.ts'
import { compareWithNaive, naiveFind } from './matching-oracle.ts'

interface Case {
  name: string
  words: string[]
  text: string
  /** In order of occurrence. */
  found: string[]
  ignoreCase?: boolean
}

const cases: Case[] = [
  { name: 'no words', words: [], text: 'anything', found: [] },
  { name: 'an empty text', words: ['a'], text: '', found: [] },
  { name: 'the whole text', words: ['abc'], text: 'abc', found: ['abc'] },
  { name: 'a text that ends too early', words: ['abc'], text: 'xab', found: [] },
  { name: 'a word in the failed beginning of another', words: ['abcx', 'bc', 'cd'], text: 'abcd', found: ['bc', 'cd'] },
  { name: 'a word inside a found one', words: ['abcd', 'bc'], text: 'abcd', found: ['abcd', 'bc'] },
  { name: 'the end of a word that is no word', words: ['abab', 'baba'], text: 'ababa', found: ['abab', 'baba'] },
  { name: 'repetitions', words: ['aaa', 'aa'], text: 'aaaa', found: ['aa', 'aaa'] },
  { name: 'a character of no word in between', words: ['ab'], text: 'a-b a\u4e00b', found: [] },
  { name: 'a word of 1,000 characters', words: ['x'.repeat(1000)], text: 'x'.repeat(1001), found: ['x'.repeat(1000)] },
  { name: 'all but its last character', words: ['0123456789abcdef'], text: '0123456789abcdeF', found: [] },
  { name: 'all but one in its middle', words: ['0123456789abcdef'], text: '0123456789aBcdef', found: [] },
  {
    name: 'a long word after its own beginning',
    words: ['0123456789abcdef'],
    text: '01234567890123456789abcdef',
    found: ['0123456789abcdef'],
  },
  {
    name: 'two long words, one the end of the other',
    words: ['login.mail.example.com', 'mail.example.com'],
    text: 'to login.mail.example.com.',
    found: ['login.mail.example.com', 'mail.example.com'],
  },
  { name: 'NUL and the last code unit', words: ['\0', '\uffff'], text: '\uffff\0', found: ['\uffff', '\0'] },
  { name: 'an astral character', words: ['\u{1f600}'], text: 'a\u{1f600}b', found: ['\u{1f600}'] },
  { name: 'another with the same first half', words: ['\u{1f600}'], text: '\u{1f601}', found: [] },
  { name: 'half of a pair, as includes does', words: ['\ude00'], text: '\u{1f600}', found: ['\ude00'] },
  { name: 'a lone surrogate', words: ['a\ud83d'], text: 'a\ud83d!', found: ['a\ud83d'] },
  { name: '__proto__', words: ['__proto__'], text: '{"__proto__":1}', found: ['__proto__'] },
  { name: 'another case', words: ['Abc'], text: 'abc', found: [] },
  { name: 'another case, ignored', words: ['Abc'], text: 'aBC', found: ['Abc'], ignoreCase: true },
  { name: 'the Kelvin sign as k', words: ['k'], text: '\u212a', found: ['k'], ignoreCase: true },
  { name: 'a capital sharp s', words: ['ß'], text: '\u1e9e', found: ['ß'], ignoreCase: true },
  { name: 'İ, which grows', words: ['i\u0307s'], text: '\u0130S', found: ['i\u0307s'], ignoreCase: true },
  { name: 'İ in the list', words: ['\u0130S'], text: 'i\u0307s', found: ['\u0130S'], ignoreCase: true },
  { name: 'a sigma at the end', words: ['ΟΔΟΣ'], text: 'οδος', found: ['ΟΔΟΣ'], ignoreCase: true },
  { name: 'a sigma that is not at the end', words: ['ΟΔΟΣ'], text: 'ΟΔΟΣΑ', found: [], ignoreCase: true },
  { name: 'astral capitals', words: ['\u{10428}'], text: '\u{10400}', found: ['\u{10428}'], ignoreCase: true },
]

const orders: Case[] = [
  { name: 'by where they begin, not where they end', words: ['c', 'abcd'], text: 'abcd', found: ['abcd', 'c'] },
  { name: 'the shorter first at the same place', words: ['abc', 'a', 'ab'], text: 'abc', found: ['a', 'ab', 'abc'] },
  { name: 'by the first occurrence', words: ['b', 'a'], text: 'abba', found: ['a', 'b'] },
  { name: 'each word once', words: ['ab'], text: 'ababab', found: ['ab'] },
  {
    name: 'a long word before those inside it',
    words: ['9', 'x', '0123456789abcdefx'],
    text: 'a 0123456789abcdefx',
    found: ['0123456789abcdefx', '9', 'x'],
  },
]

describe.each([
  { name: 'finds', table: cases },
  { name: 'keeps the order of occurrence', table: orders },
])('$name', ({ table }) => {
  it.each(table)('$name', ({ words, text, found, ignoreCase = false }) => {
    const matcher = buildMatcher(words, { ignoreCase })
    expect(matcher.find(text).map((index) => words[index])).toEqual(found)
    expect(matcher.has(text)).toBe(found.length > 0)
    // The table itself is no mistake.
    expect(naiveFind(words, text, ignoreCase).map((index) => words[index])).toEqual(found)
  })
})

it('finds what includes finds in random texts', () => compareWithNaive(5000))

it('gives the first index of a word that stands in the list twice', () => {
  expect(buildMatcher(['x', 'ab', 'ab'], {}).find('ab')).toEqual([1])
  expect(buildMatcher(['AB', 'ab', 'aB'], { ignoreCase: true }).find('ab')).toEqual([0])
  expect(buildMatcher(['ab', 'AB'], {}).find('AB')).toEqual([1])
})

it('gives the same for a text each time, whatever was asked in between', () => {
  const matcher = buildMatcher(['ab', 'bc', 'c'], {})
  for (let i = 0; i < 3; i++) {
    expect(matcher.find('abc')).toEqual([0, 1, 2])
    expect(matcher.has('xbc')).toBe(true)
    expect(matcher.find('c')).toEqual([2])
  }
})

it('gives one frozen array for all texts without a word, and another for each with one', () => {
  const matcher = buildMatcher(['ab'], {})
  expect(matcher.find('x')).toBe(matcher.find('y'))
  expect(Object.isFrozen(matcher.find('x'))).toBe(true)
  expect(matcher.find('ab')).not.toBe(matcher.find('ab'))
})

it('turns every code unit into lower case as toLowerCase does', () => {
  const words = Array.from({ length: 65_536 }, (_, unit) => `-${String.fromCharCode(unit)}`)
  const matcher = buildMatcher(words, { ignoreCase: true })
  const first = new Map<string, number>()
  for (const [index, word] of words.entries()) {
    const lower = word.toLowerCase()
    if (!first.has(lower)) first.set(lower, index)
  }
  for (const word of words) {
    // The lower case of U+0130 holds another word.
    if (word !== '-\u0130') expect(matcher.find(word)).toEqual([first.get(word.toLowerCase())])
  }
})

it('knows every code unit from every other', () => {
  const words = Array.from({ length: 65_536 }, (_, unit) => String.fromCharCode(unit))
  const matcher = buildMatcher(words, {})
  for (const [index, word] of words.entries()) expect(matcher.find(word)).toEqual([index])
})

it('finds every word of a list too long for rows', () => {
  const words = Array.from({ length: 30_000 }, (_, i) => `${(i * 2_654_435_761) % 4_294_967_296}.example${i % 7}.org`)
  const matcher = buildMatcher(words, {})
  for (const [index, word] of words.entries()) {
    expect(matcher.find(`query ${word} from 10.0.0.1`)).toContain(index)
    expect(matcher.find(`query ${word.slice(0, -1)}`)).not.toContain(index)
  }
})

it('is built in steps, more of them for a longer list', () => {
  const steps = (count: number): number => {
    const words = Array.from({ length: count }, (_, i) => `${i * 7919}.example.org`)
    return [...buildMatcherInSteps(words, {})].length
  }
  expect(steps(50_000)).toBeGreaterThan(2 * steps(5000))
})

it('holds less than 100 MB for 100,000 words of 64 characters', () => {
  const words = Array.from({ length: 100_000 }, (_, i) => (i * 2_654_435_761).toString(16).padStart(64, 'f09a'))
  expect(buildMatcher(words, {}).bytes).toBeLessThan(100_000_000)
})
