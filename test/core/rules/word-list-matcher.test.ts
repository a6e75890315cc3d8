import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildWordMatcher, buildWordMatcherNow } from '../../../src/core/rules/word-list-matcher.ts'

interface Case {
  title: string
  words: string[]
  text: string
  found: string[]
  whole?: boolean
  ignoreCase?: boolean
}

const cases: Case[] = [
  { title: 'words in a text, in order of occurrence, each once', words: ['b', 'a'], text: 'xaxbxa', found: ['a', 'b'] },
  { title: 'no word in capital letters', words: ['a'], text: 'A', found: [] },
  { title: 'a word as the list spells it', words: ['eViL'], text: 'an EVIL text', found: ['eViL'], ignoreCase: true },
  { title: 'a network as text', words: ['10.0.0.0/8'], text: 'to 10.0.0.0/8', found: ['10.0.0.0/8'] },
  { title: 'no address in a network', words: ['10.0.0.0/8'], text: '10.1.1.1', found: [] },
  { title: 'a whole word', words: ['abc', 'ab'], text: 'ab', found: ['ab'], whole: true },
  { title: 'no part of a whole word', words: ['b'], text: 'abc', found: [], whole: true },
  { title: 'no empty text', words: ['b'], text: '', found: [], whole: true },
  {
    title: 'a whole word in another case',
    words: ['Straße'],
    text: 'STRAßE',
    found: ['Straße'],
    whole: true,
    ignoreCase: true,
  },
  { title: 'the first of two spellings', words: ['A', 'a'], text: 'a', found: ['A'], whole: true, ignoreCase: true },
  {
    title: 'an address in another spelling',
    words: ['2001:db8::1'],
    text: '2001:0DB8:0::1',
    found: ['2001:db8::1'],
    whole: true,
  },
  {
    title: 'an IPv4 address in IPv6',
    words: ['192.0.2.1'],
    text: '::ffff:c000:201',
    found: ['192.0.2.1'],
    whole: true,
  },
  {
    title: 'an address, then the networks around it from the narrowest',
    words: ['10.0.0.0/8', '10.1.0.0/16', '11.0.0.0/8', '10.1.1.1'],
    text: '10.1.1.1',
    found: ['10.1.1.1', '10.1.0.0/16', '10.0.0.0/8'],
    whole: true,
  },
  {
    title: 'the zone of an address',
    words: ['fe80::/10', 'fe80::1%eth0'],
    text: 'fe80::1%eth0',
    found: ['fe80::1%eth0', 'fe80::/10'],
    whole: true,
  },
  { title: 'no address with a port', words: ['10.0.0.0/8'], text: '10.0.0.1:80', found: [], whole: true },
]

describe('buildWordMatcher', () => {
  it.each(cases)('finds $title', ({ words, text, found, whole = false, ignoreCase = false }) => {
    const matcher = buildWordMatcherNow(words, { whole, ignoreCase })
    expect(matcher.find(text)).toEqual(found)
    expect(matcher.has(text)).toBe(found.length > 0)
  })

  it('finds nothing in an empty list', () => {
    for (const whole of [false, true]) {
      const matcher = buildWordMatcherNow([], { whole, ignoreCase: true })
      expect(matcher.find('a')).toEqual([])
      expect(matcher.has('')).toBe(false)
    }
  })

  it('finds a whole word as a look through the list does', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', 'A', 'ß', 'İ', 'σ', '😀'), minLength: 1, maxLength: 3 }),
      fc.constantFrom('1.2.3.4', '::1', '0:0::1', '::ffff:1.2.3.4', '1.2.3', '1.2.3.4/33'),
    )
    const same: Record<string, string> = { '0:0::1': '::1', '::ffff:1.2.3.4': '1.2.3.4' }
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), text, fc.boolean(), (words, asked, ignoreCase) => {
        const fold = (one: string) => (isIP(one) !== 0 ? (same[one] ?? one) : ignoreCase ? one.toLowerCase() : one)
        const expected = words.find((word) => fold(word) === fold(asked))
        const found = buildWordMatcherNow(words, { whole: true, ignoreCase }).find(asked)
        expect(found).toEqual(expected === undefined ? [] : [expected])
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    { title: 'texts', word: (index: number) => `word-${index}.example` },
    { title: 'networks', word: (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32` },
  ])('builds a list of 50,000 $title in steps of at most 4,000 words each', ({ word }) => {
    const words = Array.from({ length: 50_000 }, (_, index) => word(index))
    const steps = buildWordMatcher(words, { whole: true, ignoreCase: false })
    let taken = 0
    while (!steps.next().done) taken++
    expect(taken).toBeGreaterThanOrEqual(50_000 / 4000)
  })
})
