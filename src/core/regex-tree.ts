// Reads a regex in Python's syntax, with JavaScript's (?<name>...) and \k<name>, into a tree.
// Where the rules come from: the page of Python's module re, checked against Python 3.11 by a test.
import { readClass, readEscapedCode } from './regex-chars.ts'
import { fail, RegexCursor } from './regex-cursor.ts'
import { bothCases, type CharSet, namedSet, type Range } from './regex-set.ts'

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

/** Groups within groups, at most. */
const maxDepth = 250

/** Repetitions that {m,n} may ask for. */
const maxCount = 65_536

/** Throws a RegexMistake. */
export function parseRegex(text: string): RegexTree {
  return new RegexReader(text).read()
}

class RegexReader {
  readonly #cursor: RegexCursor
  #depth = 0
  #groupCount = 0
  readonly #names = new Map<string, number>()
  readonly #open = new Set<number>()
  #hasBack = false
  #needsUnicode = false
  #flags = ''

  constructor(text: string) {
    this.#cursor = new RegexCursor(text)
  }

  read(): RegexTree {
    const flags = /^(?:\(\?[aiLmsux]+\))+/.exec(this.#cursor.text)?.[0] ?? ''
    if (flags.includes('L')) fail(flags.indexOf('L'), 'flag L (locale) is not supported; leave it out')
    this.#flags = flags
    this.#cursor.at = flags.length
    const body = this.#choice()
    if (!this.#cursor.done) fail(this.#cursor.at, 'this ) closes nothing; write \\) for a literal one')
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

  #choice(): Choice {
    const alternatives: Node[][] = []
    do alternatives.push(this.#sequence())
    while (this.#cursor.take('|'))
    return alternatives
  }

  #sequence(): Node[] {
    const nodes: Node[] = []
    while (!this.#cursor.done) {
      const char = this.#cursor.peek()
      if (char === '|' || char === ')') break
      if (this.#has('x') && this.#skipVerbose()) continue
      const at = this.#cursor.at
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
    return this.#cursor.takeMatch(/^(?:[ \t\n\r\f\v]+|#[^\n]*\n?)/, this.#cursor.text.length) !== null
  }

  /** Reads `*`, `+`, `?` or `{m,n}`, or nothing; any other `{` stands for itself. */
  #quantifier(): Range | undefined {
    if (this.#cursor.take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#cursor.take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#cursor.take('?')) return [0, 1]
    const braces = /^\{(\d*)(,?)(\d*)\}/.exec(this.#cursor.text.slice(this.#cursor.at, this.#cursor.at + 64))
    if (braces === null || braces[0] === '{}') return undefined
    const [whole, low = '', comma, high = ''] = braces
    const min = Number(low)
    const max = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high)
    if (min > maxCount || (max > maxCount && max !== Number.POSITIVE_INFINITY)) {
      fail(this.#cursor.at, `${whole} repeats more than ${maxCount} times; leave out the limit, as in {1,}`)
    }
    if (max < min) fail(this.#cursor.at, `${whole} runs backwards; write {${high},${low}}`)
    this.#cursor.at += whole.length
    return [min, max]
  }

  #repeat(body: Node | undefined, [min, max]: Range, at: number): Node {
    const sign = this.#cursor.text.slice(at, this.#cursor.at)
    if (body === undefined || body.kind === 'assert' || body.kind === 'look') {
      fail(at, `there is nothing here for ${sign} to repeat; write \\${sign} for the text itself`)
    }
    if (body.kind === 'repeat') {
      if (sign === '+') {
        fail(at, 'a possessive quantifier is not supported; leave out this +')
      }
      fail(at, `${sign} repeats what is repeated already; put that in (?:...) or leave one out`)
    }
    return { kind: 'repeat', min, max, lazy: this.#cursor.take('?'), body, at }
  }

  #item(): Node | undefined {
    const char = this.#cursor.peek()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return this.#class()
      case '\\':
        return this.#escape()
      case '.':
        this.#cursor.at++
        return { kind: 'set', set: { ranges: this.#has('s') ? [] : [[10, 10]], negated: true } }
      case '^':
        this.#cursor.at++
        return { kind: 'assert', what: this.#has('m') ? 'lineStart' : 'start' }
      case '$':
        this.#cursor.at++
        return { kind: 'assert', what: this.#has('m') ? 'lineEnd' : 'end' }
      default:
        return this.#literal(this.#cursor.code())
    }
  }

  #class(): Node {
    const { set, wide } = readClass(this.#cursor, { ignoreCase: this.#has('i'), ascii: this.#has('a') })
    this.#needsUnicode ||= wide
    return { kind: 'set', set }
  }

  #literal(code: number): Node {
    const ranges: Range[] = [[code, code]]
    return { kind: 'set', set: { ranges: this.#has('i') ? bothCases(ranges) : ranges, negated: false } }
  }

  /** A group, or undefined for a comment. */
  #group(): Node | undefined {
    const at = this.#cursor.at
    this.#cursor.at++
    if (!this.#cursor.take('?')) return this.#capture(at, undefined)
    if (this.#cursor.take('#')) {
      const end = this.#cursor.text.indexOf(')', this.#cursor.at)
      if (end === -1) fail(at, 'this comment is never closed; write ) behind it')
      this.#cursor.at = end + 1
      return undefined
    }
    if (this.#cursor.take(':')) return { kind: 'group', capture: false, body: this.#inside(at) }
    if (this.#cursor.take('=')) return { kind: 'look', behind: false, negated: false, body: this.#inside(at) }
    if (this.#cursor.take('!')) return { kind: 'look', behind: false, negated: true, body: this.#inside(at) }
    if (this.#cursor.take('<=')) return { kind: 'look', behind: true, negated: false, body: this.#inside(at) }
    if (this.#cursor.take('<!')) return { kind: 'look', behind: true, negated: true, body: this.#inside(at) }
    if (this.#cursor.take('P=')) return this.#reference(this.#name(at, ')'), at)
    if (this.#cursor.take('P<') || this.#cursor.take('<')) return this.#capture(at, this.#name(at, '>'))
    return this.#refuse(at)
  }

  #refuse(at: number): never {
    const rest = this.#cursor.text.slice(this.#cursor.at)
    if (rest.startsWith('>')) fail(at, 'an atomic group is not supported; write (?:...)')
    if (rest.startsWith('(')) {
      fail(at, 'a conditional group is not supported; write both cases as alternatives, (?:...|...)')
    }
    if (/^[aiLmsux]+\)/.test(rest)) fail(at, 'flags hold for the whole regex; move them to its start')
    if (/^-?[aiLmsux]+[-:]/.test(rest)) {
      fail(at, 'flags for a part of the regex are not supported; write them at its start, as in (?i)...')
    }
    fail(at, 'this kind of group is not supported; write (?:...), (?P<name>...) or (?<name>...)')
  }

  #capture(at: number, name: string | undefined): Node {
    const index = ++this.#groupCount
    if (name !== undefined) {
      if (this.#names.has(name)) fail(at, `there is a group named ${name} already; give this one another name`)
      this.#names.set(name, index)
    }
    this.#open.add(index)
    const body = this.#inside(at)
    this.#open.delete(index)
    return { kind: 'group', capture: true, body }
  }

  #inside(at: number): Choice {
    if (++this.#depth > maxDepth) fail(at, `groups stand in each other more than ${maxDepth} deep`)
    const body = this.#choice()
    if (!this.#cursor.take(')')) fail(at, 'this ( is never closed; write \\( for a literal one')
    this.#depth--
    return body
  }

  #name(at: number, end: string): string {
    const close = this.#cursor.text.indexOf(end, this.#cursor.at)
    if (close === -1) fail(at, `the name of this group is never closed; write ${end} behind it`)
    const name = this.#cursor.text.slice(this.#cursor.at, close)
    if (!/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name)) {
      fail(this.#cursor.at, 'this is no name for a group; take letters, digits and _, beginning with a letter or _')
    }
    this.#cursor.at = close + 1
    return name
  }

  #reference(to: string | number, at: number): Node {
    const group = typeof to === 'string' ? this.#names.get(to) : to <= this.#groupCount ? to : undefined
    if (group === undefined) fail(at, `there is no group ${to} before this place`)
    if (this.#open.has(group)) fail(at, `group ${to} is not closed at this place, so it holds nothing yet`)
    this.#hasBack = true
    return { kind: 'back', group }
  }

  #escape(): Node {
    const at = this.#cursor.at
    const char = this.#cursor.peek(1)
    const assertions = { A: 'start', Z: 'textEnd', b: 'boundary', B: 'notBoundary' } as const
    if (char === 'A' || char === 'Z' || char === 'b' || char === 'B') {
      this.#cursor.at += 2
      return { kind: 'assert', what: assertions[char] }
    }
    const set = namedSet(char, this.#has('a'))
    if (set !== undefined) {
      this.#cursor.at += 2
      return { kind: 'set', set }
    }
    if (char >= '1' && char <= '9' && !/^[0-7]{3}/.test(this.#cursor.text.slice(at + 1, at + 4))) {
      this.#cursor.at++
      return this.#reference(Number(this.#cursor.takeMatch(/^\d{1,2}/, 2)?.[0]), at)
    }
    if (char === 'k' && this.#cursor.peek(2) === '<') {
      this.#cursor.at += 3
      return this.#reference(this.#name(at, '>'), at)
    }
    return this.#literal(readEscapedCode(this.#cursor))
  }
}
