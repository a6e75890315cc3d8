// The text of a regex and a place in it.

/** What is wrong with a regex, at an offset in its text. */
export class RegexMistake extends Error {
  readonly index: number

  constructor(index: number, message: string) {
    super(message)
    this.index = index
  }
}

export class RegexCursor {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get done(): boolean {
    return this.at >= this.text.length
  }

  /** The UTF-16 unit at the place, or one further on; empty past the end. */
  peek(offset = 0): string {
    return this.text[this.at + offset] ?? ''
  }

  /** Steps over a text if it stands here. */
  take(expected: string): boolean {
    if (!this.text.startsWith(expected, this.at)) return false
    this.at += expected.length
    return true
  }

  /** Steps over what a regex, anchored by ^, finds here within `window` units. */
  takeMatch(pattern: RegExp, window: number): RegExpExecArray | null {
    const found = pattern.exec(this.text.slice(this.at, this.at + window))
    if (found !== null) this.at += found[0].length
    return found
  }

  /** Steps over one code point; the caller knows that there is one. */
  code(): number {
    const code = this.text.codePointAt(this.at) ?? 0
    this.at += code > 0xffff ? 2 : 1
    return code
  }
}

export function fail(index: number, message: string): never {
  throw new RegexMistake(index, message)
}
