// The words of a list file: one a line, UTF-8. Blank lines and those that begin with # are none.
import { isUtf8 } from 'node:buffer'
import { copyText } from './identity.ts'

const newline = 10
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** Takes a file piece by piece; what it does at once grows with the piece alone. */
export class WordLines {
  readonly words: string[] = []
  /** Lines that are not UTF-8, which are no words. */
  invalid = 0
  /** Number of the first of them. */
  firstInvalid = 0
  #line = 0
  /** What has come of a line without its end. */
  #held: Buffer[] = []
  #atStart = true

  /** Takes the next bytes. They may be overwritten afterwards. */
  push(bytes: Buffer): void {
    const end = bytes.lastIndexOf(newline) + 1
    if (end > 0) {
      this.#take(Buffer.concat([...this.#held, bytes.subarray(0, end - 1)]))
      this.#held = []
    }
    if (end < bytes.length) this.#held.push(Buffer.from(bytes.subarray(end)))
  }

  /** The last line needs no end. */
  finish(): void {
    if (this.#held.length > 0) this.#take(Buffer.concat(this.#held))
    this.#held = []
  }

  /** Whole lines; the last one without its newline. */
  #take(bytes: Buffer): void {
    const marked = this.#atStart && bytes.subarray(0, byteOrderMark.length).equals(byteOrderMark)
    const lines = marked ? bytes.subarray(byteOrderMark.length) : bytes
    this.#atStart = false
    if (isUtf8(lines)) {
      for (const line of lines.toString('utf8').split('\n')) this.#add(line)
      return
    }
    for (let start = 0; start <= lines.length; ) {
      const found = lines.indexOf(newline, start)
      const end = found === -1 ? lines.length : found
      const line = lines.subarray(start, end)
      if (isUtf8(line)) {
        this.#add(line.toString('utf8'))
      } else {
        this.#line++
        if (this.invalid++ === 0) this.firstInvalid = this.#line
      }
      start = end + 1
    }
  }

  #add(line: string): void {
    this.#line++
    const word = line.trim()
    // The line is a slice of the whole piece, which it would keep in memory.
    if (word !== '' && word.charCodeAt(0) !== hash) this.words.push(copyText(word))
  }
}

const hash = 35
