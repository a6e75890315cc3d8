// What a matcher has to find, by definition, and random lists and texts to ask both about.
import fc from 'fast-check'
import { expect } from 'vitest'
import { buildMatcher } from '../../../src/core/rules/aho-corasick.ts'

/** Asks `includes` for each word. */
export function naiveFind(words: readonly string[], text: string, ignoreCase: boolean): number[] {
  const fold = (value: string): string => (ignoreCase ? value.toLowerCase() : value)
  const folded = words.map(fold)
  const subject = fold(text)
  return [...folded.keys()]
    .filter((index) => subject.includes(at(folded, index)) && folded.indexOf(at(folded, index)) === index)
    .map((index) => ({ index, start: subject.indexOf(at(folded, index)), length: at(folded, index).length }))
    .sort((a, b) => a.start - b.start || a.length - b.length)
    .map(({ index }) => index)
}

/** Few characters each, so that words overlap, repeat and stand in each other; the later ones have cases of their own. */
const alphabets: readonly (readonly string[])[] = [
  ['a'],
  ['a', 'b'],
  ['a', 'b', 'c', 'd'],
  ['a', 'A', 'b', 'B', '.'],
  ['\u{1f600}', '\u{1f601}', 'x'],
  ['\ud83d', '\ude00', '\ude01', 'x'],
  ['ä', 'Ä', 'ß', '\u1e9e', 'ÿ', '\u0178'],
  ['Σ', 'σ', 'ς', 'Α', 'α', ' '],
  ['\u0130', 'i', 'I', '\u0131', '\u0307'],
  ['\u{10400}', '\u{10428}', '\ud801', '\udc00', '\udc28', 'a'],
  ['k', 'K', '\u212a', 'å', '\u212b', '\uffff', '\0'],
]

/** Texts that each list is asked about. */
const textsPerList = 10

/** Asks a matcher and the naive search about `cases` random texts. Fails with the smallest list and text that differ. */
export function compareWithNaive(cases: number): void {
  fc.assert(
    fc.property(fc.constantFrom(...alphabets).chain(listAndTexts), ({ words, texts, ignoreCase }) => {
      const matcher = buildMatcher(words, { ignoreCase })
      for (const text of texts) {
        const expected = naiveFind(words, text, ignoreCase)
        expect(matcher.find(text)).toEqual(expected)
        expect(matcher.has(text)).toBe(expected.length > 0)
      }
    }),
    { numRuns: cases / textsPerList },
  )
}

interface ListAndTexts {
  words: string[]
  texts: string[]
  ignoreCase: boolean
}

function listAndTexts(alphabet: readonly string[]): fc.Arbitrary<ListAndTexts> {
  const string = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength, size: 'max' })
  // Short words often occur by chance; only long ones have a rest that is no state.
  const word = fc.oneof(string(1, 3), string(1, 12), string(10, 100))
  return fc.array(word, { maxLength: 40, size: 'max' }).chain((words) => {
    const piece =
      words.length === 0
        ? string(0, 10)
        : fc.oneof(
            string(0, 10),
            fc.constantFrom(...words),
            // Nearly a word.
            fc.tuple(fc.constantFrom(...words), fc.nat(100)).map(([word, length]) => word.slice(0, length)),
          )
    const text = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(''))
    return fc.record({
      words: fc.constant(words),
      texts: fc.array(text, { minLength: textsPerList, maxLength: textsPerList }),
      ignoreCase: fc.boolean(),
    })
  })
}

function at(list: readonly string[], index: number): string {
  const item = list[index]
  if (item === undefined) throw new Error(`no item ${index}`)
  return item
}
