// Decompresses zstd (RFC 8878) piece by piece: what is kept is one window, one block and what was fed and not yet used.
import { ProtocolError } from './errors.ts'
import { Xxh64 } from './xxh64.ts'
import { damaged } from './zstd-entropy.ts'
import {
  BLOCK_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  frameState,
  isSkippable,
  MAX_WINDOW_BYTES,
  readBlock,
  readBlockHeader,
  readFrameHeader,
} from './zstd-frame.ts'
import { type FrameState, Output } from './zstd-output.ts'

interface Frame {
  header: FrameHeader
  state: FrameState
  /** Bytes that its blocks made so far. */
  made: number
  hash: Xxh64 | undefined
}

/**
 * Reads one or several frames; skippable ones give nothing. Call `next` until it has nothing left before each `push`,
 * or what was pushed piles up. After a throw, every further call throws the same again.
 *
 * Memory: the largest window so far, at most `maxWindow` bytes, one block of 128 KiB, and what was pushed. While the
 * window grows towards that, its copy of half the size is kept too.
 */
export class ZstdStream {
  readonly #maxWindow: number
  #input = Buffer.allocUnsafe(FIRST_INPUT_BYTES)
  #from = 0
  #to = 0
  /** Bytes of a skippable frame that are yet to come. */
  #skip = 0
  #frame: Frame | undefined
  #atChecksum = false
  #frames = 0
  #failure: unknown
  /** The window, as a ring: when it is full, writing begins anew at 0. */
  readonly #output = new Output(0)

  constructor(maxWindow = MAX_WINDOW_BYTES) {
    this.#maxWindow = maxWindow
  }

  /** Takes a copy of the next bytes. */
  push(bytes: Uint8Array): void {
    const held = this.#to - this.#from
    if (this.#to + bytes.length > this.#input.length) {
      // Moved to the front at most once for each block that was used, or to a buffer of twice the size.
      const needed = held + bytes.length
      const input = needed > this.#input.length ? Buffer.allocUnsafe(2 * needed) : this.#input
      this.#input.copy(input, 0, this.#from, this.#to)
      this.#input = input
      this.#from = 0
      this.#to = held
    }
    this.#input.set(bytes, this.#to)
    this.#to += bytes.length
  }

  /**
   * What the next block made, 1 byte to 128 KiB, or undefined when there is no whole block left. Throws a
   * ProtocolError: bad_compression (also for a window above the limit, a dictionary or a checksum that differs; the
   * last block of a frame comes before its checksum is checked), garbage for what is no frame behind one.
   */
  next(): Buffer | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      for (;;) {
        const frame = this.#frame
        if (frame === undefined) {
          if (!this.#passOver() || !this.#begin()) return undefined
        } else if (this.#atChecksum) {
          if (!this.#check(frame)) return undefined
        } else {
          const made = this.#block(frame)
          if (made === undefined || made.length > 0) return made
        }
      }
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  /** Says that no more will come. Throws a ProtocolError (truncated) unless a frame has just ended, or none has begun. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#frame !== undefined || this.#skip > 0 || this.#from < this.#to) {
      throw new ProtocolError('truncated', 'The zstd data ends too early')
    }
  }

  /** Returns whether the skippable frame has come to its end. */
  #passOver(): boolean {
    const passed = Math.min(this.#skip, this.#to - this.#from)
    this.#skip -= passed
    this.#from += passed
    return this.#skip === 0
  }

  /** Reads the beginning of a frame. Returns whether it was there as a whole. */
  #begin(): boolean {
    const held = this.#to - this.#from
    if (held < 4) return false
    const magic = this.#input.readUInt32LE(this.#from)
    if (isSkippable(magic)) {
      if (held < 8) return false
      this.#skip = this.#input.readUInt32LE(this.#from + 4)
      this.#from += 8
      this.#frames++
      return true
    }
    if (magic !== FRAME_MAGIC) {
      if (this.#frames === 0) throw damaged('it does not begin with a frame')
      throw new ProtocolError('garbage', 'There are bytes after the end of the zstd data that are no frame')
    }
    const header = readFrameHeader(this.#input, this.#from + 4, this.#to)
    if (header === undefined) return false
    if (header.window > this.#maxWindow) {
      throw damaged(`its window of ${header.window} bytes is larger than the ${this.#maxWindow} that are allowed`)
    }
    this.#from = header.next
    const state = frameState(0, header.window)
    this.#output.length = 0
    this.#output.maxBytes = header.window + state.maxBlock
    this.#frame = { header, state, made: 0, hash: header.hasChecksum ? new Xxh64() : undefined }
    this.#frames++
    return true
  }

  /** Reads a block and returns what it made, or undefined when it is not there as a whole. */
  #block(frame: Frame): Buffer | undefined {
    const at = this.#from + BLOCK_HEADER_BYTES
    if (at > this.#to) return undefined
    const { state, header } = frame
    const block = readBlockHeader(this.#input, this.#from, state)
    if (at + block.stored > this.#to) return undefined
    const output = this.#output
    if (output.length > state.window) {
      // No room for a whole block: over the oldest bytes, which no match can reach any more when they are written over.
      state.olderEnd = output.length
      output.length = 0
    }
    const start = output.length
    readBlock(this.#input, at, block, state, output)
    this.#from = at + block.stored
    frame.made += output.length - start
    const { contentSize } = header
    if (contentSize !== undefined && (frame.made > contentSize || (block.isLast && frame.made < contentSize))) {
      throw damaged('its length is not the one it declares')
    }
    frame.hash?.update(output.buffer, start, output.length)
    if (block.isLast && header.hasChecksum) this.#atChecksum = true
    else if (block.isLast) this.#frame = undefined
    return Buffer.from(output.buffer.subarray(start, output.length))
  }

  /** Returns whether the checksum was there. */
  #check(frame: Frame): boolean {
    if (this.#from + CHECKSUM_BYTES > this.#to) return false
    if (this.#input.readUInt32LE(this.#from) !== frame.hash?.low()) throw damaged('its checksum differs')
    this.#from += CHECKSUM_BYTES
    this.#atChecksum = false
    this.#frame = undefined
    return true
  }
}

const FIRST_INPUT_BYTES = 64 * 1024
const CHECKSUM_BYTES = 4
