// Cuts a stream of bytes into whole lines. What is held of an unfinished line is bounded, however long it gets.
import type { TextEncoding } from './text-encoding.ts'

/** Bytes that are shown of a line that was too long. */
const shownLimit = 64 * 1024
/** Bytes decoded in one go: V8 keeps strings beyond 128 KiB outside of its young generation, where each costs page faults. */
const textLimit = 64 * 1024
/** Bytes first set aside for an unfinished line. */
const firstCapacity = 1024

export interface LineSink {
  /** Takes whole lines in order, each ended by `\n`: as many as there are, so that this is not called once a line. */
  lines(text: string): void
  /** Takes the first part, up to 64 KiB, of a line longer than the limit. */
  tooLong(start: string): void
}

export class LineSplitter {
  readonly #encoding: TextEncoding
  readonly #maxLine: number
  readonly #sink: LineSink
  #held = Buffer.alloc(0)
  #length = 0
  /** Half a code unit at the end of the last chunk. */
  #half: Buffer | undefined
  #skipping: boolean
  #mayHaveMark: boolean

  /**
   * `maxLine` is in bytes, without the newline. A splitter that starts in the middle of a file tells by `skipping`
   * that it does so inside a line that is too long. `atStart` lets it take off a byte order mark.
   */
  constructor(
    encoding: TextEncoding,
    maxLine: number,
    sink: LineSink,
    { skipping = false, atStart = true }: { skipping?: boolean; atStart?: boolean } = {},
  ) {
    this.#encoding = encoding
    this.#maxLine = maxLine
    this.#sink = sink
    this.#skipping = skipping
    this.#mayHaveMark = atStart
  }

  /** Bytes taken that belong to a line which is not finished. */
  get pending(): number {
    return this.#length + (this.#half?.length ?? 0)
  }

  /** Whether the rest of a line that was too long is being passed over. */
  get skipping(): boolean {
    return this.#skipping
  }

  /** Takes the next bytes. They may be overwritten afterwards. */
  push(chunk: Buffer): void {
    const bytes = this.#wholeUnits(chunk)
    const { unit } = this.#encoding
    const first = this.#newline(bytes, 0)
    if (first === -1) {
      this.#hold(bytes)
      return
    }
    let start = 0
    if (this.#skipping || this.#length > 0) {
      start = first + unit
      this.#endHeld(bytes.subarray(0, first))
    }
    const end = this.#lastNewline(bytes, bytes.length) + unit
    if (end - start <= this.#maxLine) this.#emit(bytes, start, end)
    else this.#walk(bytes, start, end)
    this.#hold(bytes.subarray(end))
  }

  /** Gives out the unfinished line, as nothing more will come. */
  finish(): void {
    const rest = this.rest()
    const whole = !this.#skipping && this.pending > 0
    this.#release()
    this.#half = undefined
    this.#skipping = false
    if (whole) this.#send(`${rest}\n`)
  }

  /** The text of the unfinished line. */
  rest(): string {
    const bytes = Buffer.concat([this.#held.subarray(0, this.#length), this.#half ?? Buffer.alloc(0)])
    return this.#encoding.decode(bytes, 0, bytes.length)
  }

  #wholeUnits(chunk: Buffer): Buffer {
    if (this.#encoding.unit === 1) return chunk
    const bytes = this.#half === undefined ? chunk : Buffer.concat([this.#half, chunk])
    const whole = bytes.length - (bytes.length % 2)
    this.#half = whole === bytes.length ? undefined : Buffer.from(bytes.subarray(whole))
    return bytes.subarray(0, whole)
  }

  #endHeld(end: Buffer): void {
    if (!this.#skipping) this.#hold(end)
    // The end itself may have made it too long.
    if (this.#skipping) this.#skipping = false
    else this.#send(`${this.#encoding.decode(this.#held, 0, this.#length)}\n`)
    this.#release()
  }

  /** Lines of which some may be too long. */
  #walk(bytes: Buffer, start: number, end: number): void {
    let run = start
    let line = start
    while (line < end) {
      const stop = this.#newline(bytes, line)
      const next = stop + this.#encoding.unit
      if (stop - line > this.#maxLine) {
        this.#emit(bytes, run, line)
        this.#cutOff(bytes.subarray(line, stop))
        run = next
      }
      line = next
    }
    this.#emit(bytes, run, end)
  }

  #emit(bytes: Buffer, start: number, end: number): void {
    let from = start
    while (end - from > textLimit) {
      const last = this.#lastNewline(bytes, from + textLimit - 1)
      // Before `from` when the line that begins there is longer by itself.
      const stop = (last < from ? this.#newline(bytes, from) : last) + this.#encoding.unit
      this.#send(this.#encoding.decode(bytes, from, stop))
      from = stop
    }
    if (end > from) this.#send(this.#encoding.decode(bytes, from, end))
  }

  #send(text: string): void {
    const marked = this.#mayHaveMark && text.charCodeAt(0) === 0xfeff
    this.#mayHaveMark = false
    this.#sink.lines(marked ? text.slice(1) : text)
  }

  #cutOff(line: Buffer): void {
    this.#mayHaveMark = false
    this.#sink.tooLong(this.#encoding.decode(line, 0, Math.min(line.length, shownLimit)))
  }

  #hold(bytes: Buffer): void {
    if (this.#skipping || bytes.length === 0) return
    const length = this.#length + bytes.length
    if (length > this.#maxLine) {
      const shown = Buffer.concat([this.#held.subarray(0, this.#length), bytes.subarray(0, shownLimit)])
      this.#cutOff(shown)
      this.#release()
      this.#skipping = true
      return
    }
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(firstCapacity, length, 2 * this.#held.length))
      this.#held.copy(grown, 0, 0, this.#length)
      this.#held = grown
    }
    bytes.copy(this.#held, this.#length)
    this.#length = length
  }

  #release(): void {
    // The usual short line keeps its place for the next one.
    if (this.#held.length > shownLimit) this.#held = Buffer.alloc(0)
    this.#length = 0
  }

  #newline(bytes: Buffer, from: number): number {
    const { newline, unit } = this.#encoding
    if (unit === 1) return bytes.indexOf(10, from)
    let at = bytes.indexOf(newline, from)
    while (at !== -1 && at % unit !== 0) at = bytes.indexOf(newline, at + 1)
    return at
  }

  #lastNewline(bytes: Buffer, from: number): number {
    const { newline, unit } = this.#encoding
    if (unit === 1) return bytes.lastIndexOf(10, from)
    let at = bytes.lastIndexOf(newline, from)
    while (at > 0 && at % unit !== 0) at = bytes.lastIndexOf(newline, at - 1)
    return at
  }
}
