// Decompresses zstd (RFC 8878) as a whole, with every length checked before it is worked off.
import { ProtocolError } from './errors.ts'
import { xxh64Low } from './xxh64.ts'
import { damaged } from './zstd-entropy.ts'
import {
  BLOCK_HEADER_BYTES,
  FRAME_MAGIC,
  frameState,
  isSkippable,
  MAX_WINDOW_BYTES,
  readBlock,
  readBlockHeader,
  readFrameHeader,
} from './zstd-frame.ts'
import { Output } from './zstd-output.ts'

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
    if (magic === FRAME_MAGIC) position = readFrame(bytes, position + 4, output, budget)
    else if (isSkippable(magic)) {
      need(bytes, position, 8)
      const size = bytes.readUInt32LE(position + 4)
      need(bytes, position + 8, size)
      position += 8 + size
    } else throw new ProtocolError('garbage', 'There are bytes after the end of the zstd data that are no frame')
  }
  return output.bytes()
}

function readFrame(bytes: Buffer, start: number, output: Output, budget: { blocks: number }): number {
  const header = readFrameHeader(bytes, start, bytes.length)
  if (header === undefined) throw tooShort()
  const { window, contentSize } = header
  if (contentSize !== undefined && contentSize > output.maxBytes - output.length) throw output.tooLarge()
  // It is not allocated here, but what a stream refuses is refused here too.
  if (window > MAX_WINDOW_BYTES) throw damaged(`its window is larger than ${MAX_WINDOW_BYTES} bytes`)
  const state = frameState(output.length, window)
  let position = header.next
  for (let isLast = false; !isLast; ) {
    need(bytes, position, BLOCK_HEADER_BYTES)
    const block = readBlockHeader(bytes, position, state)
    position += BLOCK_HEADER_BYTES
    need(bytes, position, block.stored)
    readBlock(bytes, position, block, state, output)
    position += block.stored
    isLast = block.isLast
    if (--budget.blocks < 0) throw damaged('it has too many blocks')
  }
  if (contentSize !== undefined && output.length - state.start !== contentSize) {
    throw damaged('its length is not the one it declares')
  }
  if (!header.hasChecksum) return position
  need(bytes, position, 4)
  if (bytes.readUInt32LE(position) !== xxh64Low(output.buffer, state.start, output.length)) {
    throw damaged('its checksum differs')
  }
  return position + 4
}

function need(bytes: Buffer, position: number, count: number): void {
  if (position + count > bytes.length) throw tooShort()
}

function tooShort(): ProtocolError {
  return new ProtocolError('truncated', 'The zstd data ends too early')
}

/** 64 MiB make 512 full blocks; the tables of a block cost time even when it holds nothing. */
const MAX_BLOCKS = 65_536
