// Cuts a stream that comes in pieces of any size into the bytes of whole values.
import type { Scanner } from './msgpack-scanner.ts'

/**
 * Linear in the bytes, however they are cut: a value that is not complete is gathered in one buffer, which doubles when
 * it is full, and the scanner goes on where it stopped. Nothing is allocated by what a header declares.
 *
 *     reader.push(chunk)
 *     for (let bytes = reader.take(); bytes !== undefined; bytes = reader.take()) ...
 */
export class PushReader {
  readonly #scanner: Scanner
  #buffer: Buffer = EMPTY
  /** Bytes of `#buffer` before `#start` are taken, those before `#end` are there. */
  #start = 0
  #end = 0
  /** True when `#buffer` was made here and may be written to. */
  #owned = false

  constructor(scanner: Scanner) {
    this.#scanner = scanner
  }

  /** Bytes that came in and were not taken yet. */
  get pending(): number {
    return this.#end - this.#start
  }

  /** Adds bytes. The reader keeps them without a copy: the caller must not write to them afterwards. */
  push(chunk: Buffer): void {
    const pending = this.#end - this.#start
    if (pending === 0) {
      this.#buffer = chunk
      this.#start = 0
      this.#end = chunk.length
      this.#owned = false
      return
    }
    if (this.#owned && pending + chunk.length <= this.#buffer.length) {
      // What was taken makes room.
      if (this.#end + chunk.length > this.#buffer.length) {
        this.#buffer.copyWithin(0, this.#start, this.#end)
        this.#start = 0
        this.#end = pending
      }
    } else {
      const larger = Buffer.allocUnsafe(Math.max(2 * pending, pending + chunk.length, 1024))
      this.#buffer.copy(larger, 0, this.#start, this.#end)
      this.#buffer = larger
      this.#start = 0
      this.#end = pending
      this.#owned = true
    }
    chunk.copy(this.#buffer, this.#end)
    this.#end += chunk.length
  }

  /**
   * The bytes of the next whole value, undefined when there is none yet. They are a view, good until the next `push`:
   * copy what is to live longer. Throws a ProtocolError when the stream cannot be read any further.
   */
  take(): Buffer | undefined {
    if (this.#start === this.#end) return undefined
    const end = this.#scanner.scan(this.#buffer, this.#start, this.#end)
    if (end === -1) return undefined
    const bytes = this.#buffer.subarray(this.#start, end)
    this.#scanner.reset()
    this.#start = end
    if (end === this.#end) {
      this.#buffer = EMPTY
      this.#start = 0
      this.#end = 0
    }
    return bytes
  }

  /** The bytes that were not taken, for a reader of another format to go on with. */
  rest(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end)
  }
}

const EMPTY = Buffer.alloc(0)
