// The bytes that a compressed file decodes to, as it grows.
import type { FileHandle } from 'node:fs/promises'
import { type Compression, type Decompressor, decompressor } from './decompress.ts'
import { lastBytes } from './fingerprint.ts'

/** Bytes read at a time. */
const rawChunkSize = 64 * 1024

export class DecodedBytes {
  /** Bytes of the file, not decoded, that were read. */
  rawRead = 0
  readonly #handle: FileHandle
  readonly #decoder: Decompressor
  #ended = false
  /** The last bytes, not decoded, that were read. */
  #rawLast: Buffer = Buffer.alloc(0)

  /** Of a file that stays open until `close` was called. */
  constructor(handle: FileHandle, compression: Compression) {
    this.#handle = handle
    this.#decoder = decompressor(compression)
  }

  /** Whether `end` has been called. */
  get ended(): boolean {
    return this.#ended
  }

  /**
   * The next piece; `end`: there is nothing more for now; `replaced`: what was read before is no longer there. `buffer`
   * is for the bytes before they are decoded. Throws what reading throws, and FILE_DAMAGED.
   */
  async next(buffer: Buffer): Promise<Buffer | 'end' | 'replaced'> {
    for (;;) {
      const piece = await this.#decoder.next()
      if (piece !== undefined) return piece
      if (this.#ended) return 'end'
      // Each read begins with bytes that are known: so a file that was replaced and has grown again is never mixed up.
      const known = this.#rawLast.length
      const { bytesRead } = await this.#handle.read(buffer, 0, known + rawChunkSize, this.rawRead - known)
      if (bytesRead < known || buffer.compare(this.#rawLast, 0, known, 0, known) !== 0) return 'replaced'
      if (bytesRead === known) return 'end'
      const bytes = buffer.subarray(known, bytesRead)
      this.rawRead += bytes.length
      this.#rawLast = lastBytes(this.#rawLast, bytes, bytes.length)
      this.#decoder.feed(bytes)
    }
  }

  /** Says that the file has all that it will have; `next` gives what the decoder still holds. */
  end(): void {
    this.#decoder.end()
    this.#ended = true
  }

  close(): void {
    this.#decoder.close()
  }
}
