// Reads a regex in Python's syntax, with JavaScript's (?<name>...) and \k<name>, into a tree.
// Where the rules come from: the page of Python's module re, checked against Python 3.11 by a test.
import { bothCases, type CharSet, namedSet, type Range, rangesOf } from './regex-set.ts'

export type Assertion = 'start' | 'lineStart' | 'end' | 'lineEnd' | 'textEnd' | 'boundary' | 'notBoundary'

export type Node =
  | { kind: 'set'; set: CharSet }
  | { kind: 'assert'; what: Assertion }
  | { kind: 'group'; capture: boolean; body: Choice }
  | { kind: 'look'; behind: boolean; negated: boolean; body: Choice }
  | { kind: 'back'; group: number }
  /** `at`: offset of the quantifier in the text. */
  | { kind: 'repeat'; min: number; max: number; lazy: boolean; body: Node; at: number }

/** Alternatives, each a sequence. */
export type Choice = readonly (readonly Node[])[]

export interface RegexTree {
  body: Choice
  /** Groups by name, in the order they open; `index` counts all capturing groups from 1. */
  groups: readonly { name: string; index: number }[]
  ignoreCase: boolean
  /** It compares a group with what it matched before. */
  hasBack: boolean
  /** A class names a character past U+FFFF. */
  needsUnicode: boolean
}

/** What is wrong with a regex, at an offset in its text. */
export class RegexMistake extends Error {
  readonly index: number

  constructor(index: number, message: string) {
    super(message)
    this.index = index
  }
}

/** Groups within groups, at most. */
const maxDepth = 250

/** Repetitions that {m,n} may ask for. */
const maxCount = 65_536

const simpleEscapes: Record<string, number> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }

/** Throws a RegexMistake. */
export function parseRegex(text: string): RegexTree {
  return new RegexReader(text).read()
}

class RegexReader {
  readonly #text: string
  #at = 0
  #depth = 0
  #groupCount = 0
  readonly #names = new Map<string, number>()
  readonly #open = new Set<number>()
  #hasBack = false
  #needsUnicode = false
  #flags = ''

  constructor(text: string) {
    this.#text = text
  }

  read(): RegexTree {
    const flags = /^(?:\(\?[aiLmsux]+\))+/.exec(this.#text)?.[0] ?? ''
    if (flags.includes('L')) this.#fail(flags.indexOf('L'), 'flag L (locale) is not supported; leave it out')
    this.#flags = flags
    this.#at = flags.length
    const body = this.#choice()
    if (this.#at < this.#text.length) this.#fail(this.#at, 'this ) closes nothing; write \\) for a literal one')
    return {
      body,
      groups: Array.from(this.#names, ([name, index]) => ({ name, index })),
      ignoreCase: this.#has('i'),
      hasBack: this.#hasBack,
      needsUnicode: this.#needsUnicode,
    }
  }

  #has(flag: string): boolean {
    return this.#flags.includes(flag)
  }

  #fail(index: number, message: string): never {
    throw new RegexMistake(index, message)
  }

  #peek(offset = 0): string {
    return this.#text[this.#at + offset] ?? ''
  }

  #take(prefix: string): boolean {
    if (!this.#text.startsWith(prefix, this.#at)) return false
    this.#at += prefix.length
    return true
  }

  /** One code point; the caller knows that there is one. */
  #code(): number {
    const code = this.#text.codePointAt(this.#at) ?? 0
    this.#at += code > 0xffff ? 2 : 1
    return code
  }

  #choice(): Choice {
    const alternatives: Node[][] = []
    do alternatives.push(this.#sequence())
    while (this.#take('|'))
    return alternatives
  }

  #sequence(): Node[] {
    const nodes: Node[] = []
    while (this.#at < this.#text.length) {
      const char = this.#peek()
      if (char === '|' || char === ')') break
      if (this.#has('x') && this.#skipVerbose()) continue
      const at = this.#at
      const range = this.#quantifier()
      if (range !== undefined) {
        nodes.push(this.#repeat(nodes.pop(), range, at))
      } else {
        const node = this.#item()
        if (node !== undefined) nodes.push(node)
      }
    }
    return nodes
  }

  /** Flag x: white space and comments between the items mean nothing. */
  #skipVerbose(): boolean {
    const skipped = /^(?:[ \t\n\r\f\v]+|#[^\n]*\n?)/.exec(this.#text.slice(this.#at))?.[0] ?? ''
    this.#at += skipped.length
    return skipped !== ''
  }

  /** Reads `*`, `+`, `?` or `{m,n}`, or nothing; any other `{` stands for itself. */
  #quantifier(): Range | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    const braces = /^\{(\d*)(,?)(\d*)\}/.exec(this.#text.slice(this.#at, this.#at + 64))
    if (braces === null || braces[0] === '{}') return undefined
    const [whole, low = '', comma, high = ''] = braces
    const min = Number(low)
    const max = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high)
    if (min > maxCount || (max > maxCount && max !== Number.POSITIVE_INFINITY)) {
      this.#fail(this.#at, `${whole} repeats more than ${maxCount} times; leave out the limit, as in {1,}`)
    }
    if (max < min) this.#fail(this.#at, `${whole} runs backwards; write {${high},${low}}`)
    this.#at += whole.length
    return [min, max]
  }

  #repeat(body: Node | undefined, [min, max]: Range, at: number): Node {
    const sign = this.#text.slice(at, this.#at)
    if (body === undefined || body.kind === 'assert' || body.kind === 'look') {
      this.#fail(at, `there is nothing here for ${sign} to repeat; write \\${sign} for the text itself`)
    }
    if (body.kind === 'repeat') {
      if (sign === '+') {
        this.#fail(at, 'a possessive quantifier is not supported; leave out this +')
      }
      this.#fail(at, `${sign} repeats what is repeated already; put that in (?:...) or leave one out`)
    }
    return { kind: 'repeat', min, max, lazy: this.#take('?'), body, at }
  }

  #item(): Node | undefined {
    const char = this.#peek()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return this.#class()
      case '\\':
        return this.#escape()
      case '.':
        this.#at++
        return { kind: 'set', set: { ranges: this.#has('s') ? [] : [[10, 10]], negated: true } }
      case '^':
        this.#at++
        return { kind: 'assert', what: this.#has('m') ? 'lineStart' : 'start' }
      case '$':
        this.#at++
        return { kind: 'assert', what: this.#has('m') ? 'lineEnd' : 'end' }
      default:
        return this.#literal(this.#code())
    }
  }

  #literal(code: number): Node {
    const ranges: Range[] = [[code, code]]
    return { kind: 'set', set: { ranges: this.#has('i') ? bothCases(ranges) : ranges, negated: false } }
  }

  /** A group, or undefined for a comment. */
  #group(): Node | undefined {
    const at = this.#at
    this.#at++
    if (!this.#take('?')) return this.#capture(at, undefined)
    if (this.#take('#')) {
      const end = this.#text.indexOf(')', this.#at)
      if (end === -1) this.#fail(at, 'this comment is never closed; write ) behind it')
      this.#at = end + 1
      return undefined
    }
    if (this.#take(':')) return { kind: 'group', capture: false, body: this.#inside(at) }
    if (this.#take('=')) return { kind: 'look', behind: false, negated: false, body: this.#inside(at) }
    if (this.#take('!')) return { kind: 'look', behind: false, negated: true, body: this.#inside(at) }
    if (this.#take('<=')) return { kind: 'look', behind: true, negated: false, body: this.#inside(at) }
    if (this.#take('<!')) return { kind: 'look', behind: true, negated: true, body: this.#inside(at) }
    if (this.#take('P=')) return this.#reference(this.#name(at, ')'), at)
    if (this.#take('P<') || this.#take('<')) return this.#capture(at, this.#name(at, '>'))
    return this.#refuse(at)
  }

  #refuse(at: number): never {
    const rest = this.#text.slice(this.#at)
    if (rest.startsWith('>')) this.#fail(at, 'an atomic group is not supported; write (?:...)')
    if (rest.startsWith('(')) {
      this.#fail(at, 'a conditional group is not supported; write both cases as alternatives, (?:...|...)')
    }
    if (/^[aiLmsux]+\)/.test(rest)) this.#fail(at, 'flags hold for the whole regex; move them to its start')
    if (/^-?[aiLmsux]+[-:]/.test(rest)) {
      this.#fail(at, 'flags for a part of the regex are not supported; write them at its start, as in (?i)...')
    }
    this.#fail(at, 'this kind of group is not supported; write (?:...), (?P<name>...) or (?<name>...)')
  }

  #capture(at: number, name: string | undefined): Node {
    const index = ++this.#groupCount
    if (name !== undefined) {
      if (this.#names.has(name)) this.#fail(at, `there is a group named ${name} already; give this one another name`)
      this.#names.set(name, index)
    }
    this.#open.add(index)
    const body = this.#inside(at)
    this.#open.delete(index)
    return { kind: 'group', capture: true, body }
  }

  #inside(at: number): Choice {
    if (++this.#depth > maxDepth) this.#fail(at, `groups stand in each other more than ${maxDepth} deep`)
    const body = this.#choice()
    if (!this.#take(')')) this.#fail(at, 'this ( is never closed; write \\( for a literal one')
    this.#depth--
    return body
  }

  #name(at: number, end: string): string {
    const close = this.#text.indexOf(end, this.#at)
    if (close === -1) this.#fail(at, `the name of this group is never closed; write ${end} behind it`)
    const name = this.#text.slice(this.#at, close)
    if (!/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name)) {
      this.#fail(this.#at, 'this is no name for a group; take letters, digits and _, beginning with a letter or _')
    }
    this.#at = close + 1
    return name
  }

  #reference(to: string | number, at: number): Node {
    const group = typeof to === 'string' ? this.#names.get(to) : to <= this.#groupCount ? to : undefined
    if (group === undefined) this.#fail(at, `there is no group ${to} before this place`)
    if (this.#open.has(group)) this.#fail(at, `group ${to} is not closed at this place, so it holds nothing yet`)
    this.#hasBack = true
    return { kind: 'back', group }
  }

  #escape(): Node {
    const at = this.#at
    const char = this.#peek(1)
    const assertions = { A: 'start', Z: 'textEnd', b: 'boundary', B: 'notBoundary' } as const
    if (char === 'A' || char === 'Z' || char === 'b' || char === 'B') {
      this.#at += 2
      return { kind: 'assert', what: assertions[char] }
    }
    const set = namedSet(char, this.#has('a'))
    if (set !== undefined) {
      this.#at += 2
      return { kind: 'set', set }
    }
    if (char >= '1' && char <= '9' && !/^[0-7]{3}/.test(this.#text.slice(at + 1, at + 4))) {
      const digits = /^\d{1,2}/.exec(this.#text.slice(at + 1))?.[0] ?? char
      this.#at += 1 + digits.length
      return this.#reference(Number(digits), at)
    }
    if (char === 'k' && this.#peek(2) === '<') {
      this.#at += 3
      return this.#reference(this.#name(at, '>'), at)
    }
    return this.#literal(this.#escapedCode())
  }

  /** The code point that an escape stands for, in and outside of classes. */
  #escapedCode(): number {
    const at = this.#at++
    const rest = this.#text.slice(this.#at, this.#at + 9)
    if (rest === '') this.#fail(at, 'a backslash stands at the end; write \\\\ for a literal one')
    const hex = /^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/.exec(rest)
    const digits = hex?.[1] ?? hex?.[2] ?? hex?.[3]
    const octal = /^[0-7]{1,3}/.exec(rest)?.[0]
    const code = digits !== undefined ? Number.parseInt(digits, 16) : Number.parseInt(octal ?? '', 8)
    if (!Number.isNaN(code)) {
      if (code > (octal === undefined ? 0x10ffff : 0o377)) this.#fail(at, 'there is no character with this number')
      this.#at += (hex?.[0] ?? octal ?? '').length
      return code
    }
    const char = rest.charAt(0)
    const simple = Object.hasOwn(simpleEscapes, char) ? simpleEscapes[char] : undefined
    if (simple === undefined && /[0-9A-Za-z]/.test(char)) this.#fail(at, escapeAdvice(char))
    const literal = this.#code()
    return simple ?? literal
  }

  #class(): Node {
    const at = this.#at
    this.#at++
    const negated = this.#take('^')
    const ranges: Range[] = []
    const start = this.#at
    while (this.#at === start || this.#peek() !== ']') {
      if (this.#at >= this.#text.length) {
        this.#fail(at, 'this [ is never closed; a ] right behind it belongs to the class; write \\[ for a literal one')
      }
      this.#classItem(ranges)
    }
    this.#at++
    return { kind: 'set', set: { ranges, negated } }
  }

  #classItem(ranges: Range[]): void {
    const at = this.#at
    if (/^\[:\^?\w+:\]/.test(this.#text.slice(at, at + 16))) {
      this.#fail(at, 'POSIX classes are not supported; write for example [A-Za-z] or \\d')
    }
    const low = this.#classAtom()
    if (this.#peek() !== '-' || this.#peek(1) === ']' || this.#at + 1 >= this.#text.length) {
      ranges.push(...this.#classRanges(low))
      return
    }
    this.#at++
    const high = this.#classAtom()
    const written = this.#text.slice(at, this.#at)
    if (typeof low !== 'number' || typeof high !== 'number') {
      this.#fail(at, `${written} is no range; put the - at the end of the class for a literal one`)
    }
    if (high < low) this.#fail(at, `the range ${written} runs backwards`)
    if (high > 0xffff) this.#needsUnicode = true
    ranges.push(...(this.#has('i') ? bothCases([[low, high]]) : [[low, high] as const]))
  }

  #classRanges(atom: number | CharSet): readonly Range[] {
    if (typeof atom !== 'number') return rangesOf(atom)
    if (atom > 0xffff) this.#needsUnicode = true
    return this.#has('i') ? bothCases([[atom, atom]]) : [[atom, atom]]
  }

  /** A code point, or the set of `\d` and its like. */
  #classAtom(): number | CharSet {
    if (this.#peek() !== '\\') return this.#code()
    const char = this.#peek(1)
    const set = namedSet(char, this.#has('a'))
    if (set === undefined && char !== 'b') return this.#escapedCode()
    this.#at += 2
    return set ?? 8
  }
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
