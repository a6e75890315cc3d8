// What the parts of the zstd reader share: the output, and what a frame's blocks leave for each other.
import { ProtocolError } from './errors.ts'
import type { FseTable, HuffmanTable } from './zstd-entropy.ts'

/** What one block leaves for the next ones. */
export interface FrameState {
  /** Index in the output where the frame began: no match reaches before it. */
  start: number
  maxBlock: number
  huffman: HuffmanTable | undefined
  tables: [FseTable | undefined, FseTable | undefined, FseTable | undefined]
  offsets: [number, number, number]
}

/** The output of all frames, growing up to `maxBytes`. */
export class Output {
  readonly maxBytes: number
  buffer: Buffer
  length = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
    this.buffer = Buffer.allocUnsafe(Math.min(maxBytes, 64 * 1024))
  }

  /** Makes room for `bytes` more and returns where they go. */
  room(bytes: number): number {
    const at = this.length
    const end = at + bytes
    if (end > this.maxBytes) throw this.tooLarge()
    if (end > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.maxBytes, Math.max(end, 2 * this.buffer.length)))
      this.buffer.copy(larger, 0, 0, at)
      this.buffer = larger
    }
    this.length = end
    return at
  }

  bytes(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  tooLarge(): ProtocolError {
    return new ProtocolError('bomb', `The zstd data grows beyond ${this.maxBytes} bytes`)
  }
}
