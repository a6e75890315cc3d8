// How tags match: Python's fnmatch, case-sensitive, over code points.
// `*` takes anything (dots and slashes too), `?` one character, `[seq]` one of, `[!seq]` none of.
// An unclosed `[` stands for itself.

type Token =
  | { kind: 'literal'; char: string }
  | { kind: 'any' }
  | { kind: 'star' }
  | { kind: 'set'; negated: boolean; ranges: readonly Range[] }

/** Code points, both ends included. */
interface Range {
  low: number
  high: number
  index: number
}

const exclamationMark = 0x21
const hyphen = 0x2d

export type TagMatcher = (tag: string) => boolean

/** Compiles a glob, or a list of globs of which one must match. Matching takes time linear in tag times glob. */
export function compileMatch(match: string | readonly string[]): TagMatcher {
  const globs = typeof match === 'string' ? [match] : match
  const matchers = globs.map(compileGlob)
  return (tag) => matchers.some((matches) => matches(tag))
}

function compileGlob(glob: string): TagMatcher {
  if (!/[*?[]/.test(glob)) return (tag) => tag === glob
  const tokens = parseGlob(glob)
  return (tag) => matchTokens(tokens, Array.from(tag))
}

function parseGlob(glob: string): Token[] {
  const chars = Array.from(glob)
  const tokens: Token[] = []
  let i = 0
  while (i < chars.length) {
    const char = chars[i++] as string
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' })
    } else if (char === '?') {
      tokens.push({ kind: 'any' })
    } else if (char === '[') {
      const end = closingBracket(chars, i)
      if (end === -1) {
        tokens.push({ kind: 'literal', char })
      } else {
        tokens.push(parseSet(chars.slice(i, end)))
        i = end + 1
      }
    } else {
      tokens.push({ kind: 'literal', char })
    }
  }
  return tokens
}

/** Index of the `]` that closes a set opened before `start`, or -1. A `]` right after `[` or `[!` belongs to the set. */
function closingBracket(chars: readonly string[], start: number): number {
  let i = start
  if (chars[i] === '!') i++
  if (chars[i] === ']') i++
  return chars.indexOf(']', i)
}

function parseSet(body: readonly string[]): Token {
  const negated = body[0] === '!'
  const parsed = rangesOf(negated ? body.slice(1) : body)
  const ranges = parsed.filter(({ low, high }) => low <= high)
  const [first] = ranges
  // Python drops ranges that run backwards and only then looks whether the set begins with `!`.
  if (negated || parsed[0] === first || first?.low !== exclamationMark) return { kind: 'set', negated, ranges }
  const rest = ranges.slice(1)
  if (first.high !== first.low) {
    rest.push({ low: hyphen, high: hyphen, index: 0 }, { low: first.high, high: first.high, index: 0 })
  }
  return { kind: 'set', negated: true, ranges: rest }
}

/** The ranges of a set's body behind `!`, with the place where each begins; one character is a range of its own. */
function rangesOf(chars: readonly string[]): Range[] {
  const ranges: Range[] = []
  let index = 0
  while (index < chars.length) {
    const low = codeOf(chars[index])
    // A `-` between two characters is a range; first or last it stands for itself.
    const isRange = chars[index + 1] === '-' && index + 2 < chars.length
    ranges.push({ low, high: isRange ? codeOf(chars[index + 2]) : low, index })
    index += isRange ? 3 : 1
  }
  return ranges
}

function codeOf(char: string | undefined): number {
  return char?.codePointAt(0) ?? 0
}

function matchTokens(tokens: readonly Token[], chars: readonly string[]): boolean {
  let t = 0
  let c = 0
  let starToken = -1
  let starChar = 0
  while (c < chars.length) {
    const token = tokens[t]
    if (token?.kind === 'star') {
      starToken = t++
      starChar = c
    } else if (token !== undefined && takes(token, chars[c])) {
      t++
      c++
    } else if (starToken !== -1) {
      // Give the last star one character more. Earlier stars need no second try: the last one covers them.
      t = starToken + 1
      c = ++starChar
    } else {
      return false
    }
  }
  while (tokens[t]?.kind === 'star') t++
  return t === tokens.length
}

function takes(token: Token, char: string | undefined): boolean {
  if (token.kind === 'any') return true
  if (token.kind === 'literal') return token.char === char
  if (token.kind === 'star') return false
  const code = codeOf(char)
  return token.ranges.some(({ low, high }) => low <= code && code <= high) !== token.negated
}

/**
 * What is surely a slip in a glob, or undefined: fnmatch takes these, but nobody means what they do. `index` is in
 * UTF-16 units, as everywhere in text that is shown.
 */
export function globMistake(glob: string): { index: number; message: string } | undefined {
  const chars = Array.from(glob)
  for (let i = 0; i < chars.length; i++) {
    if (chars[i] !== '[') continue
    const end = closingBracket(chars, i + 1)
    const offset = (at: number) => chars.slice(0, at).join('').length
    if (end === -1) return { index: offset(i), message: 'this [ is never closed; write [[] for a literal bracket' }
    const start = chars[i + 1] === '!' ? i + 2 : i + 1
    const wrong = rangesOf(chars.slice(start, end)).find(({ low, high }) => low > high)
    if (wrong !== undefined) {
      const range = `${String.fromCodePoint(wrong.low)}-${String.fromCodePoint(wrong.high)}`
      return { index: offset(start + wrong.index), message: `the range ${range} runs backwards and matches nothing` }
    }
    i = end
  }
  return undefined
}
