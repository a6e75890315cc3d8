// Reads single characters in a regex: escapes and classes.
import { fail, type RegexCursor } from './regex-cursor.ts'
import { bothCases, type CharSet, namedSet, type Range, rangesOf } from './regex-set.ts'

export interface CharFlags {
  /** Flag i. */
  ignoreCase: boolean
  /** Flag a. */
  ascii: boolean
}

const simpleEscapes: Record<string, number> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }

/** Reads a class; `wide` when it names a character past U+FFFF. Throws a RegexMistake. */
export function readClass(cursor: RegexCursor, flags: CharFlags): { set: CharSet; wide: boolean } {
  const at = cursor.at++
  const negated = cursor.take('^')
  const ranges: Range[] = []
  let wide = false
  const start = cursor.at
  while (cursor.at === start || cursor.peek() !== ']') {
    if (cursor.done) {
      fail(at, 'this [ is never closed; a ] right behind it belongs to the class; write \\[ for a literal one')
    }
    const item = readClassItem(cursor, flags)
    if (isRange(item)) {
      wide ||= item[1] > 0xffff
      ranges.push(...(flags.ignoreCase ? bothCases([item]) : [item]))
    } else {
      ranges.push(...rangesOf(item))
    }
  }
  cursor.at++
  return { set: { ranges, negated }, wide }
}

function isRange(item: Range | CharSet): item is Range {
  return Array.isArray(item)
}

function readClassItem(cursor: RegexCursor, flags: CharFlags): Range | CharSet {
  const at = cursor.at
  if (/^\[:\^?\w+:\]/.test(cursor.text.slice(at, at + 16))) {
    fail(at, 'POSIX classes are not supported; write for example [A-Za-z] or \\d')
  }
  const low = readClassAtom(cursor, flags)
  if (cursor.peek() !== '-' || cursor.peek(1) === ']' || cursor.peek(1) === '') {
    return typeof low === 'number' ? [low, low] : low
  }
  cursor.at++
  const high = readClassAtom(cursor, flags)
  const written = cursor.text.slice(at, cursor.at)
  if (typeof low !== 'number' || typeof high !== 'number') {
    fail(at, `${written} is no range; put the - at the end of the class for a literal one`)
  }
  if (high < low) fail(at, `the range ${written} runs backwards`)
  return [low, high]
}

/** A code point, or the set of `\d` and its like. */
function readClassAtom(cursor: RegexCursor, { ascii }: CharFlags): number | CharSet {
  if (cursor.peek() !== '\\') return cursor.code()
  const char = cursor.peek(1)
  const set = namedSet(char, ascii)
  if (set === undefined && char !== 'b') return readEscapedCode(cursor)
  cursor.at += 2
  return set ?? 8
}

/** The code point that an escape stands for, in and outside of classes. Throws a RegexMistake. */
export function readEscapedCode(cursor: RegexCursor): number {
  const at = cursor.at++
  if (cursor.done) fail(at, 'a backslash stands at the end; write \\\\ for a literal one')
  const hex = cursor.takeMatch(/^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/, 9)
  if (hex !== null) return checked(Number.parseInt(hex[0].slice(1), 16), 0x10ffff, at)
  const octal = cursor.takeMatch(/^[0-7]{1,3}/, 3)
  if (octal !== null) return checked(Number.parseInt(octal[0], 8), 0o377, at)
  const char = cursor.peek()
  const simple = Object.hasOwn(simpleEscapes, char) ? simpleEscapes[char] : undefined
  if (simple === undefined && /[0-9A-Za-z]/.test(char)) fail(at, escapeAdvice(char))
  const literal = cursor.code()
  return simple ?? literal
}

function checked(code: number, last: number, at: number): number {
  return code > last ? fail(at, 'there is no character with this number') : code
}

function escapeAdvice(char: string): string {
  if (char === 'z') return '\\z is not supported; write \\Z'
  if (char === 'p' || char === 'P') return `\\${char}{...} is not supported; write the characters as a class`
  if (char === 'N') return '\\N{...} is not supported; write the character itself, or \\u and its four hex digits'
  if (char === 'c') return '\\c is not supported; write \\x and two hex digits'
  if (char === 'x' || char === 'u' || char === 'U') {
    return `\\${char} wants ${{ x: 2, u: 4, U: 8 }[char]} hex digits behind it`
  }
  return `\\${char} means nothing in a regex; write ${char} for the letter, or \\\\${char} for a backslash before it`
}
