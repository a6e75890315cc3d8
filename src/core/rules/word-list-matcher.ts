// What a text has of a list of words: those that occur in it, or those that are the whole of it.
import { parseNetwork } from '../net/address.ts'
import { NetworkSetBuilder } from '../net/network-set.ts'
import { buildMatcherInSteps } from './aho-corasick.ts'

export interface WordMatcher {
  /** The words, as the list spells them, each once; frozen when there is none. */
  find(text: string): readonly string[]
  /** True when there is at least one. */
  has(text: string): boolean
}

export interface WordMatcherOptions {
  /**
   * Compares whole texts. A word that is an address or a network (CIDR) then holds for every address in it, however that is
   * spelt.
   */
  whole: boolean
  ignoreCase: boolean
}

/** What is done between two steps: words; about a millisecond. */
const stepWork = 1000
const nothing: readonly string[] = Object.freeze([])

/** Builds it in steps of a few milliseconds, so that a stream goes on beside it. Words are not empty. */
export function buildWordMatcher(words: readonly string[], options: WordMatcherOptions): Generator<void, WordMatcher> {
  return options.whole ? buildWhole(words, options.ignoreCase) : buildContained(words, options.ignoreCase)
}

/** The same in one go. */
export function buildWordMatcherNow(words: readonly string[], options: WordMatcherOptions): WordMatcher {
  const steps = buildWordMatcher(words, options)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** In the order in which they first occur; of words that begin at the same place, the shorter first. */
function* buildContained(words: readonly string[], ignoreCase: boolean): Generator<void, WordMatcher> {
  const matcher = yield* buildMatcherInSteps(words, { ignoreCase })
  return {
    has: matcher.has,
    find(text) {
      const found = matcher.find(text)
      return found.length === 0 ? nothing : found.map((index) => words[index] ?? '')
    },
  }
}

/** The word itself first, then the networks around it, the narrowest first. */
function* buildWhole(words: readonly string[], ignoreCase: boolean): Generator<void, WordMatcher> {
  const fold = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text
  const builder = new NetworkSetBuilder()
  const texts = new Map<string, string>()
  let longest = 0
  for (const [index, word] of words.entries()) {
    if (index % stepWork === stepWork - 1) yield
    const network = parseNetwork(word)
    if (network !== undefined) {
      builder.add(network, index)
      continue
    }
    const key = fold(word)
    if (!texts.has(key)) texts.set(key, word)
    longest = Math.max(longest, key.length)
  }
  const networks = yield* builder.build()
  const word = (text: string): string | undefined => {
    const key = fold(text)
    // A long text would be read through for its hash.
    return key.length > longest ? undefined : texts.get(key)
  }
  return {
    has: (text) => word(text) !== undefined || networks.has(text),
    find(text) {
      const same = word(text)
      const around = networks.find(text)
      if (around.length === 0) return same === undefined ? nothing : [same]
      const found = around.map((index) => words[index] ?? '')
      return same === undefined ? found : [same, ...found]
    },
  }
}
