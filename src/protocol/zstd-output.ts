// What the parts of the zstd reader share: the output, and what a frame's blocks leave for each other.
import { ProtocolError } from './errors.ts'
import type { FseTable, HuffmanTable } from './zstd-entropy.ts'

/** What one block leaves for the next ones. */
export interface FrameState {
  /** Index in the output of the first byte of the frame, or of the first one since the output began anew at 0. */
  start: number
  /** Where the output ended when it began anew: what lies before this index comes before `start`. 0: nothing does. */
  olderEnd: number
  /** How many bytes back a match may reach. */
  window: number
  maxBlock: number
  huffman: HuffmanTable | undefined
  tables: [FseTable | undefined, FseTable | undefined, FseTable | undefined]
  offsets: [number, number, number]
}

/** The output, growing up to `maxBytes`. */
export class Output {
  maxBytes: number
  buffer: Buffer
  length = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
    this.buffer = Buffer.allocUnsafe(Math.min(maxBytes, FIRST_BYTES))
  }

  /** Makes room for `bytes` more behind what is there. Throws a ProtocolError (bomb) where that is too much. */
  reserve(bytes: number): void {
    const end = this.length + bytes
    if (end > this.maxBytes) throw this.tooLarge()
    if (end <= this.buffer.length) return
    const wanted = Math.max(end, 2 * this.buffer.length)
    // At once to the end from the half on, so that the two copies are never more than one and a half times the limit.
    const larger = Buffer.allocUnsafe(2 * wanted > this.maxBytes ? this.maxBytes : wanted)
    this.buffer.copy(larger)
    this.buffer = larger
  }

  bytes(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  tooLarge(): ProtocolError {
    return new ProtocolError('bomb', `The zstd data grows beyond ${this.maxBytes} bytes`)
  }
}

/** Where the output begins to grow from. */
const FIRST_BYTES = 64 * 1024
/** The most that one block makes (RFC 8878, section 3.1.1.2.3). */
export const MAX_BLOCK_BYTES = 128 * 1024
