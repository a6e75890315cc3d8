// Zstandard (RFC 8878) block by block: fzstd decodes, and what is checked here bounds the memory a file can ask for.
// A file is frames: magic (4 bytes), header, blocks (3 bytes header each), checksum (4 bytes, if announced). Skippable
// frames: magic 0x184D2A5?, size (4 bytes), content.
import { Decompress } from 'fzstd'
import { FeedooError, messageOf } from '../errors.ts'

/** Bytes of the largest window that is decoded: what the zstd command takes without being told more. */
const maxWindow = 128 * 1024 * 1024
/** Bytes of the largest block, by the RFC. */
const maxBlock = 128 * 1024
/** Bytes that fzstd wants to see before it reads a frame header. */
const headerLook = 18

interface Header {
  length: number
  window: number
  checksum: number
}

interface Frame {
  decoder: Decompress
  checksum: number
  /** Bytes at the front of `staged` that the decoder has yet to get. */
  staged: number
}

export class ZstdFrames {
  #input = Buffer.alloc(0)
  #skip = 0
  #frame: Frame | undefined
  #out: Buffer[] = []
  // One buffer for all blocks: fzstd keeps empty views of what it was given, which would keep every block alive.
  readonly #staging = Buffer.alloc(2 * (maxBlock + 64))

  /** Whether a frame has just ended, or none has begun. */
  get complete(): boolean {
    return this.#frame === undefined && this.#skip === 0 && this.#input.length === 0
  }

  feed(bytes: Buffer): void {
    this.#input = Buffer.concat([this.#input, bytes])
  }

  /** The next decoded bytes, at most a few blocks; undefined when there is no whole block left. Throws FILE_DAMAGED. */
  next(): Buffer | undefined {
    try {
      while (this.#out.length === 0 && this.#advance());
    } catch (cause) {
      if (cause instanceof FeedooError) throw cause
      throw damaged(messageOf(cause), cause)
    }
    return this.#out.shift()
  }

  #advance(): boolean {
    if (this.#skip > 0) return this.#passOver()
    return this.#frame === undefined ? this.#begin() : this.#block(this.#frame)
  }

  #passOver(): boolean {
    const passed = Math.min(this.#skip, this.#input.length)
    this.#skip -= passed
    this.#take(passed)
    return passed > 0
  }

  #begin(): boolean {
    const input = this.#input
    if (input.length < 8) return false
    const magic = input.readUInt32LE(0)
    if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      this.#skip = 8 + input.readUInt32LE(4)
      return true
    }
    if (magic !== 0xfd2fb528) throw damaged('this is not a Zstandard frame')
    const header = readHeader(input)
    if (header === undefined) return false
    if (header.window > maxWindow) {
      throw damaged(`it asks for a window of ${header.window} bytes; ${maxWindow} are the limit`)
    }
    const decoder = new Decompress((data) => {
      if (data.length > 0) this.#out.push(Buffer.from(data.buffer, data.byteOffset, data.length))
    })
    this.#frame = { decoder, checksum: header.checksum, staged: header.length }
    input.copy(this.#staging, 0, 0, header.length)
    this.#take(header.length)
    return true
  }

  #block(frame: Frame): boolean {
    const input = this.#input
    if (input.length < 3) return false
    const head = input.readUIntLE(0, 3)
    const last = (head & 1) === 1
    const type = (head >> 1) & 3
    const size = type === 1 ? 1 : head >> 3
    if (type === 3 || head >> 3 > maxBlock) throw damaged('a block of a kind or size that does not exist')
    const length = 3 + size + (last ? frame.checksum : 0)
    if (input.length < length) return false
    input.copy(this.#staging, frame.staged, 0, length)
    frame.staged += length
    this.#take(length)
    if (last || frame.staged >= headerLook) {
      frame.decoder.push(this.#staging.subarray(0, frame.staged), last)
      frame.staged = 0
    }
    if (last) this.#frame = undefined
    return true
  }

  #take(length: number): void {
    this.#input = this.#input.subarray(length)
  }
}

/** The frame header at the front of `input`, or undefined when it is not there as a whole. */
function readHeader(input: Buffer): Header | undefined {
  const flags = input[4] ?? 0
  const single = (flags >> 5) & 1
  const dictionary = [0, 1, 2, 4][flags & 3] ?? 0
  const contentFlag = flags >> 6
  const content = contentFlag === 0 ? single : 1 << contentFlag
  const length = 6 - single + dictionary + content
  if (input.length < length) return undefined
  const checksum = flags & 4
  if (single === 0) {
    const descriptor = input[5] ?? 0
    const base = 2 ** (10 + (descriptor >> 3))
    return { length, window: base + (base / 8) * (descriptor & 7), checksum }
  }
  const at = 5 + dictionary
  const window = content === 8 ? Number(input.readBigUInt64LE(at)) : input.readUIntLE(at, content)
  return { length, window: content === 2 ? window + 256 : window, checksum }
}

function damaged(message: string, cause?: unknown): FeedooError {
  return new FeedooError('FILE_DAMAGED', message, cause === undefined ? {} : { cause })
}
