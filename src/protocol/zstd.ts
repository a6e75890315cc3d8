// Decompresses zstd (RFC 8878) with every length checked before it is worked off.
import { ProtocolError } from './errors.ts'
import { xxh64Low } from './xxh64.ts'
import { damaged } from './zstd-entropy.ts'
import { readLiterals } from './zstd-literals.ts'
import { type FrameState, Output } from './zstd-output.ts'
import { readSequences } from './zstd-sequences.ts'

/*
 * data   = (frame | skippable)*
 * frame  = 28 b5 2f fd, header: descriptor, window?, dictionary id?, content size?; block*; checksum?
 * block  = 3 bytes: last (1 bit), type (2 bits), size (21 bits); raw | one byte to repeat | literals, sequences
 *
 * fzstd is not used here: it works off match lengths that reach far over the end of a block (30 bytes of input keep it
 * busy for minutes), and does not look at the checksum.
 */

/**
 * Decompresses one or several frames. Skippable frames give nothing. Throws a ProtocolError: bomb beyond `maxBytes` of
 * output, truncated, bad_compression (also for a window of more than 128 MiB, a dictionary or a checksum that differs).
 */
export function decompressZstd(bytes: Buffer, maxBytes: number): Buffer {
  const output = new Output(maxBytes)
  let position = 0
  const budget = { blocks: MAX_BLOCKS }
  while (position < bytes.length) {
    need(bytes, position, 4)
    const magic = bytes.readUInt32LE(position)
    if (magic === MAGIC) position = readFrame(bytes, position + 4, output, budget)
    else if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) {
      need(bytes, position, 8)
      const size = bytes.readUInt32LE(position + 4)
      need(bytes, position + 8, size)
      position += 8 + size
    } else throw new ProtocolError('garbage', 'There are bytes after the end of the zstd data that are no frame')
  }
  return output.bytes()
}

function readFrame(bytes: Buffer, start: number, output: Output, budget: { blocks: number }): number {
  need(bytes, start, 1)
  const descriptor = bytes[start] ?? 0
  const sizeFlag = descriptor >> 6
  const single = (descriptor & 0x20) !== 0
  if ((descriptor & 8) !== 0) throw damaged('a reserved bit is set')
  let position = start + 1
  let window = 0
  if (!single) {
    need(bytes, position, 1)
    const byte = bytes[position++] ?? 0
    window = 2 ** (10 + (byte >> 3)) * (1 + (byte & 7) / 8)
  }
  const idBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  need(bytes, position, idBytes)
  for (let i = 0; i < idBytes; i++) {
    if (bytes[position++] !== 0) throw damaged('it needs a dictionary')
  }
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag
  need(bytes, position, sizeBytes)
  let contentSize = 0
  for (let i = 0; i < sizeBytes; i++) contentSize += (bytes[position++] ?? 0) * 256 ** i
  if (sizeFlag === 1) contentSize += 256
  if (contentSize > output.maxBytes - output.length) throw output.tooLarge()
  if (single) window = contentSize
  if (window > MAX_WINDOW_BYTES) throw damaged(`its window is larger than ${MAX_WINDOW_BYTES} bytes`)
  const state: FrameState = {
    start: output.length,
    maxBlock: Math.min(window, MAX_BLOCK_BYTES),
    huffman: undefined,
    tables: [undefined, undefined, undefined],
    offsets: [1, 4, 8],
  }
  for (let last = false; !last; ) {
    need(bytes, position, 3)
    const header = bytes.readUIntLE(position, 3)
    position += 3
    last = (header & 1) === 1
    position = readBlock(bytes, position, (header >> 1) & 3, header >> 3, state, output)
    if (--budget.blocks < 0) throw damaged('it has too many blocks')
  }
  if (sizeBytes > 0 && output.length - state.start !== contentSize)
    throw damaged('its length is not the one it declares')
  if ((descriptor & 4) === 0) return position
  need(bytes, position, 4)
  if (bytes.readUInt32LE(position) !== xxh64Low(output.buffer, state.start, output.length)) {
    throw damaged('its checksum differs')
  }
  return position + 4
}

function readBlock(
  bytes: Buffer,
  start: number,
  type: number,
  size: number,
  state: FrameState,
  output: Output,
): number {
  if (size > state.maxBlock) throw damaged('a block is larger than allowed')
  const end = start + (type === 1 ? 1 : size)
  need(bytes, start, end - start)
  if (type === 3) throw damaged('a block has no type')
  if (type === 2) readCompressedBlock(bytes, start, end, state, output)
  else {
    const at = output.room(size)
    if (type === 0) output.buffer.set(bytes.subarray(start, end), at)
    else output.buffer.fill(bytes[start] ?? 0, at, at + size)
  }
  return end
}

function readCompressedBlock(bytes: Buffer, start: number, end: number, state: FrameState, output: Output): void {
  const { literals, next } = readLiterals(bytes, start, end, state)
  const blockEnd = output.length + state.maxBlock
  const used = readSequences(bytes, next, end, literals, state, output)
  const rest = literals.length - used
  if (output.length + rest > blockEnd) throw damaged('a block is larger than allowed')
  const at = output.room(rest)
  output.buffer.set(literals.subarray(used), at)
}

function need(bytes: Buffer, position: number, count: number): void {
  if (position + count > bytes.length) throw new ProtocolError('truncated', 'The zstd data ends too early')
}

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** What zstd itself allows unless told otherwise. The window is not allocated here. */
const MAX_WINDOW_BYTES = 128 * 1024 * 1024
const MAX_BLOCK_BYTES = 128 * 1024
/** 64 MiB make 512 full blocks; the tables of a block cost time even when it holds nothing. */
const MAX_BLOCKS = 65_536
