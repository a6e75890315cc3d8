// The first half of a compressed zstd block: the literals (RFC 8878, section 3.1.1.3.1).
import { damaged, decodeHuffman, type HuffmanTable, readHuffmanTable } from './zstd-entropy.ts'
import { type FrameState, MAX_BLOCK_BYTES } from './zstd-output.ts'

/**
 * Reads the literals of the block bytes[start, end). Returns them, valid until the next block is read, and the index
 * after them.
 */
export function readLiterals(
  bytes: Buffer,
  start: number,
  end: number,
  state: FrameState,
): { literals: Uint8Array; next: number } {
  const first = bytes[start] ?? 0
  const type = first & 3
  const format = (first >> 2) & 3
  const isPacked = type > 1
  const headerBytes = isPacked ? ([3, 3, 4, 5][format] ?? 0) : ([1, 2, 1, 3][format] ?? 0)
  if (start + headerBytes > end) throw damaged('a block has no literals')
  const header = bytes.readUIntLE(start, headerBytes)
  let position = start + headerBytes
  if (!isPacked) {
    const size = Math.floor(header / (headerBytes === 1 ? 8 : 16))
    if (size > state.maxBlock) throw damaged('a block is larger than allowed')
    if (type === 1) return { literals: scratch.subarray(0, size).fill(bytes[position] ?? 0), next: position + 1 }
    if (position + size > end) throw damaged('literals do not end')
    return { literals: bytes.subarray(position, position + size), next: position + size }
  }
  const sizeBits = [10, 10, 14, 18][format] ?? 0
  const size = Math.floor(header / 16) % 2 ** sizeBits
  const next = position + Math.floor(header / 2 ** (4 + sizeBits))
  if (size > state.maxBlock || next > end) throw damaged('literals do not end')
  if (type === 2) {
    const read = readHuffmanTable(bytes, position, next)
    state.huffman = read.table
    position = read.next
  }
  if (state.huffman === undefined) throw damaged('there is no Huffman table to use again')
  const literals = scratch.subarray(0, size)
  if (format === 0) decodeHuffman(state.huffman, bytes, position, next, literals, 0, size)
  else decodeFourStreams(state.huffman, bytes, position, next, literals)
  return { literals, next }
}

function decodeFourStreams(table: HuffmanTable, bytes: Buffer, start: number, end: number, target: Uint8Array): void {
  const part = (target.length + 3) >> 2
  if (start + 6 > end || 3 * part > target.length) throw damaged('literals do not end')
  let position = start + 6
  for (let i = 0; i < 4; i++) {
    const stop = i === 3 ? end : position + bytes.readUInt16LE(start + 2 * i)
    if (stop > end) throw damaged('literals do not end')
    decodeHuffman(table, bytes, position, stop, target, i * part, i === 3 ? target.length : (i + 1) * part)
    position = stop
  }
}

/** Where literals are decoded to: one block at a time, however many frames there are. */
const scratch = new Uint8Array(MAX_BLOCK_BYTES)
