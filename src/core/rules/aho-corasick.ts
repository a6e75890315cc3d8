// Which words of a list occur in a text: an Aho-Corasick automaton over typed arrays.
import { type Automaton, automatonBytes, buildAutomaton, findChild } from './aho-corasick-build.ts'

export interface Matcher {
  /**
   * Index of each word that occurs in `text`, once, in order of its first occurrence; of words that begin at the same place,
   * the shorter first. A word that stands in the list twice has its first index. Frozen when nothing is found.
   */
  find(text: string): number[]
  /** True when at least one word occurs in `text`. */
  has(text: string): boolean
  /** Memory held, in bytes. */
  readonly bytes: number
}

export interface MatcherOptions {
  /** `text.toLowerCase().includes(word.toLowerCase())` instead of `text.includes(word)`. */
  ignoreCase?: boolean
}

/** Words are not empty. */
export function buildMatcher(words: readonly string[], options: MatcherOptions): Matcher {
  const steps = buildMatcherInSteps(words, options)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** The same in steps of a few milliseconds, so that a stream goes on beside it. */
export function* buildMatcherInSteps(words: readonly string[], options: MatcherOptions): Generator<void, Matcher> {
  const { ignoreCase = false } = options
  return createMatcher(yield* buildAutomaton(words, ignoreCase), ignoreCase)
}

/** Given for every text without a word, so that it costs no memory. */
const nothing: number[] = []
Object.freeze(nothing)

/**
 * What toLowerCase does not turn unit by unit: U+0130 becomes two units, a sigma depends on what follows, and letters
 * outside of the basic plane are two units. On a string of one-byte characters, V8 knows that this matches nowhere.
 */
const notByUnit = /[\u0130\u03a3\ud800-\udbff]/

function createMatcher(automaton: Automaton, ignoreCase: boolean): Matcher {
  const { classes, table, rows, rowStates, fail, hit, word, codes, offsets, prefix } = automaton
  const known = table.length
  const firstDeep = rowStates * classes
  /** Where each word begins in the text at hand; below 0 when it was not found (so far). */
  const starts = new Int32Array(prefix.length).fill(-1)
  let found: number[] = nothing

  /** Fills `found`; stops at the first word if asked to. The state is an entry of `rows`: see Automaton. */
  function scan(text: string, stopAtFirst: boolean): void {
    const { length } = text
    let state = 0
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at)
      state = rows[state + (unit < known ? (table[unit] ?? 0) : 0)] ?? 0
      // Only here does the loop leave the rows: at the end of a word, or in a state without a row.
      while (state < 0) {
        state = ~state
        if (state < firstDeep) {
          collect((state / classes) | 0, text, at)
          if (stopAtFirst && found !== nothing) return
          break
        }
        let deep = state - firstDeep + rowStates
        for (;;) {
          if (hit[deep] !== 0) {
            collect(deep, text, at)
            if (stopAtFirst && found !== nothing) return
          }
          if (++at === length) return
          const next = text.charCodeAt(at)
          const code = next < known ? (table[next] ?? 0) : 0
          let child = findChild(automaton, deep, code)
          while (child === 0) {
            deep = fail[deep] ?? 0
            if (deep < rowStates) break
            child = findChild(automaton, deep, code)
          }
          if (child === 0) {
            state = rows[deep * classes + code] ?? 0
            break
          }
          deep = child
        }
      }
    }
  }

  /** Adds the words that end with `text[at]`, and those whose kept prefix does and whose rest follows. */
  function collect(state: number, text: string, at: number): void {
    for (let end = hit[state] ?? 0; end !== 0; end = hit[fail[end] ?? 0] ?? 0) {
      const index = word[end] ?? 0
      if ((starts[index] ?? 0) >= 0 || !restFollows(index, text, at + 1)) continue
      starts[index] = at + 1 - (prefix[index] ?? 0)
      if (found === nothing) found = [index]
      else found.push(index)
    }
  }

  function restFollows(index: number, text: string, from: number): boolean {
    const rest = (offsets[index] ?? 0) + (prefix[index] ?? 0)
    const count = (offsets[index + 1] ?? 0) - rest
    if (count > text.length - from) return false
    for (let i = 0; i < count; i++) {
      const unit = text.charCodeAt(from + i)
      if ((unit < known ? (table[unit] ?? 0) : 0) !== codes[rest + i]) return false
    }
    return true
  }

  function run(text: string, stopAtFirst: boolean): number[] {
    scan(ignoreCase && notByUnit.test(text) ? text.toLowerCase() : text, stopAtFirst)
    if (found === nothing) return nothing
    const result = found
    found = nothing
    if (result.length > 1) result.sort(byOccurrence)
    for (const index of result) starts[index] = -1
    return result
  }

  /** Words that begin at the same place were found, and stay, in order of length. */
  function byOccurrence(a: number, b: number): number {
    return (starts[a] ?? 0) - (starts[b] ?? 0)
  }

  return {
    find: (text) => run(text, false),
    has: (text) => run(text, true) !== nothing,
    bytes: automatonBytes(automaton) + starts.byteLength,
  }
}
