// Sets of characters in a regex: lists of ranges of code points.

/** From the first code point to the last, both within. */
export type Range = readonly [number, number]

/** One character of these, or with `negated` one of all others. */
export interface CharSet {
  readonly ranges: readonly Range[]
  readonly negated: boolean
}

const lastCodePoint = 0x10ffff
/** The last code point that a regex without flag u tells apart. */
const lastUnit = 0xffff

const digit: Range[] = [[0x30, 0x39]]
const word: Range[] = [...digit, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
/** What Python's str.isspace() takes: not the same as JavaScript's \s. */
const space: Range[] = [
  [0x09, 0x0d],
  [0x1c, 0x20],
  [0x85, 0x85],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
]
const asciiSpace: Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
]

/** The set of `\d`, `\w`, `\s` and their opposites, by the letter; undefined for any other. */
export function namedSet(letter: string, ascii: boolean): CharSet | undefined {
  const ranges = { d: digit, w: word, s: ascii ? asciiSpace : space }[letter.toLowerCase()]
  return ranges === undefined ? undefined : { ranges, negated: letter !== letter.toLowerCase() }
}

/** The ranges of a set, with `negated` resolved. */
export function rangesOf({ ranges, negated }: CharSet): readonly Range[] {
  if (!negated) return ranges
  const rest: Range[] = []
  let from = 0
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (low > from) rest.push([from, low - 1])
    from = Math.max(from, high + 1)
  }
  if (from <= lastCodePoint) rest.push([from, lastCodePoint])
  return rest
}

export function overlap(a: CharSet, b: CharSet): boolean {
  const others = rangesOf(b)
  return rangesOf(a).some(([low, high]) => others.some((other) => low <= other[1] && other[0] <= high))
}

/**
 * The ranges and their letters in the other case. ASCII letters get ASCII partners only: (?i)k does not take the
 * Kelvin sign. This stands in the place of flag i, which V8's linear-time engine does not cover.
 */
export function bothCases(ranges: readonly Range[]): readonly Range[] {
  const added: Range[] = []
  for (const [low, high] of ranges) {
    for (let code = low; code <= Math.min(high, lastUnit); code++) {
      const char = String.fromCharCode(code)
      for (const other of [char.toLowerCase(), char.toUpperCase()]) {
        const partner = other.charCodeAt(0)
        if (other.length === 1 && partner !== code && partner < 0x80 === code < 0x80) added.push([partner, partner])
      }
    }
  }
  return added.length === 0 ? ranges : merge([...ranges, ...added])
}

function merge(ranges: readonly Range[]): readonly Range[] {
  const merged: [number, number][] = []
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high)
    else merged.push([low, high])
  }
  return merged
}

/** The set as JavaScript writes it, valid with and without flag u. */
export function printSet({ ranges, negated }: CharSet, unicode: boolean): string {
  const [first] = ranges
  if (!negated && ranges.length === 1 && first !== undefined && first[0] === first[1]) {
    return printChar(first[0], unicode, /[$()*+./?[\\\]^{|}]/)
  }
  let text = negated ? '[^' : '['
  for (const [low, high] of ranges) {
    if (!unicode && low > lastUnit) continue
    const end = unicode ? high : Math.min(high, lastUnit)
    text += printChar(low, unicode, /[[\\\]^-]/)
    if (end > low) text += `-${printChar(end, unicode, /[[\\\]^-]/)}`
  }
  return `${text}]`
}

function printChar(code: number, unicode: boolean, syntax: RegExp): string {
  const char = String.fromCodePoint(code)
  if (code >= 0x20 && code < 0x7f) return syntax.test(char) ? `\\${char}` : char
  if (code <= lastUnit) return `\\u${code.toString(16).padStart(4, '0')}`
  return unicode ? `\\u{${code.toString(16)}}` : `(?:${char})`
}
