// The parts of a zstd frame (RFC 8878, section 3.1.1): its header and its blocks, each there as a whole.
import { damaged } from './zstd-entropy.ts'
import { readLiterals } from './zstd-literals.ts'
import { type FrameState, MAX_BLOCK_BYTES, type Output } from './zstd-output.ts'
import { readSequences } from './zstd-sequences.ts'

/*
 * data   = (frame | skippable)*
 * frame  = 28 b5 2f fd, header: descriptor, window?, dictionary id?, content size?; block*; checksum?
 * block  = 3 bytes: last (1 bit), type (2 bits), size (21 bits); raw | one byte to repeat | literals, sequences
 */

export const FRAME_MAGIC = 0xfd2fb528

export interface FrameHeader {
  /** Index of the first block. */
  next: number
  /** Bytes. */
  window: number
  /** Bytes, or undefined when they are not told. */
  contentSize: number | undefined
  hasChecksum: boolean
}

export interface BlockHeader {
  isLast: boolean
  type: number
  /** Bytes of the block after its header. */
  stored: number
  /** What the header tells: bytes of the block, or how many times its one byte is repeated. */
  size: number
}

export function isSkippable(magic: number): boolean {
  return magic >>> 4 === SKIPPABLE_MAGIC >>> 4
}

/** The header after the magic, at `start`; undefined where it is not there as a whole before `end`. */
export function readFrameHeader(bytes: Buffer, start: number, end: number): FrameHeader | undefined {
  if (start >= end) return undefined
  const descriptor = bytes[start] ?? 0
  const isSingle = (descriptor & 0x20) !== 0
  if ((descriptor & 8) !== 0) throw damaged('a reserved bit is set')
  const windowBytes = isSingle ? 0 : 1
  const idBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeFlag = descriptor >> 6
  const sizeBytes = sizeFlag === 0 ? 1 - windowBytes : 1 << sizeFlag
  let position = start + 1
  const next = position + windowBytes + idBytes + sizeBytes
  if (next > end) return undefined
  const windowByte = bytes[position] ?? 0
  position += windowBytes
  for (let i = 0; i < idBytes; i++) {
    if (bytes[position++] !== 0) throw damaged('it needs a dictionary')
  }
  let size = sizeFlag === 1 ? 256 : 0
  for (let i = 0; i < sizeBytes; i++) size += (bytes[position++] ?? 0) * 256 ** i
  const window = isSingle ? size : 2 ** (10 + (windowByte >> 3)) * (1 + (windowByte & 7) / 8)
  return { next, window, contentSize: sizeBytes > 0 ? size : undefined, hasChecksum: (descriptor & 4) !== 0 }
}

/** The state before the first block of a frame whose output begins at `start`. */
export function frameState(start: number, window: number): FrameState {
  return {
    start,
    olderEnd: 0,
    window,
    maxBlock: Math.min(window, MAX_BLOCK_BYTES),
    huffman: undefined,
    tables: [undefined, undefined, undefined],
    offsets: [1, 4, 8],
  }
}

/** The three bytes at `start`, which must be there. Throws for a block that is larger than the frame allows. */
export function readBlockHeader(bytes: Buffer, start: number, state: FrameState): BlockHeader {
  const header = bytes.readUIntLE(start, BLOCK_HEADER_BYTES)
  const type = (header >> 1) & 3
  const size = header >> 3
  if (type === 3) throw damaged('a block has no type')
  if (size > state.maxBlock) throw damaged('a block is larger than allowed')
  return { isLast: (header & 1) === 1, type, stored: type === 1 ? 1 : size, size }
}

/** Appends what the block makes whose content is at `start`, as a whole. */
export function readBlock(bytes: Buffer, start: number, header: BlockHeader, state: FrameState, output: Output): void {
  const end = start + header.stored
  if (header.type === 2) {
    readCompressedBlock(bytes, start, end, state, output)
    return
  }
  output.reserve(header.size)
  const at = output.length
  output.length += header.size
  if (header.type === 0) bytes.copy(output.buffer, at, start, end)
  else output.buffer.fill(bytes[start] ?? 0, at, output.length)
}

function readCompressedBlock(bytes: Buffer, start: number, end: number, state: FrameState, output: Output): void {
  const { literals, next } = readLiterals(bytes, start, end, state)
  const blockEnd = output.length + state.maxBlock
  const used = readSequences(bytes, next, end, literals, state, output)
  const rest = literals.length - used
  if (output.length + rest > blockEnd) throw damaged('a block is larger than allowed')
  output.reserve(rest)
  output.buffer.set(used === 0 ? literals : literals.subarray(used), output.length)
  output.length += rest
}

/** What zstd itself allows unless told otherwise. */
export const MAX_WINDOW_BYTES = 128 * 1024 * 1024
export const BLOCK_HEADER_BYTES = 3
const SKIPPABLE_MAGIC = 0x184d2a50
