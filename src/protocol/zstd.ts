// Decompresses zstd (RFC 8878) with every length checked before it is worked off.
import { ProtocolError } from './errors.ts'
import { xxh64Low } from './xxh64.ts'
import {
  BackwardBits,
  buildFseTable,
  damaged,
  decodeHuffman,
  type FseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
  singleSymbolTable,
} from './zstd-entropy.ts'

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

/** What one block leaves for the next ones. */
interface FrameState {
  /** Index in the output where the frame began: no match reaches before it. */
  start: number
  maxBlock: number
  huffman: HuffmanTable | undefined
  tables: [FseTable | undefined, FseTable | undefined, FseTable | undefined]
  offsets: [number, number, number]
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
  let position = next
  const blockEnd = output.length + state.maxBlock
  if (position >= end) throw damaged('a block has no sequences')
  let count = bytes[position++] ?? 0
  if (count === 255) {
    count = (bytes[position] ?? 0) + ((bytes[position + 1] ?? 0) << 8) + 0x7f00
    position += 2
  } else if (count > 127) count = ((count - 128) << 8) + (bytes[position++] ?? 0)
  let used = 0
  if (count > 0) {
    const modes = bytes[position++] ?? 0
    if ((modes & 3) !== 0) throw damaged('a reserved bit is set')
    for (let kind = 0; kind < 3; kind++) {
      const result = readTable(bytes, position, end, (modes >> (6 - 2 * kind)) & 3, kind, state.tables[kind])
      state.tables[kind] = result.table
      position = result.next
    }
    used = runSequences(new BackwardBits(bytes, position, end), count, literals, state, output, blockEnd)
  } else if (position !== end) throw damaged('a block has bytes left')
  const rest = literals.length - used
  if (output.length + rest > blockEnd) throw damaged('a block is larger than allowed')
  output.buffer.set(literals.subarray(used), output.room(rest))
}

/** Copies literals and earlier output in turns. Returns how many literals were used. */
function runSequences(
  stream: BackwardBits,
  count: number,
  literals: Uint8Array,
  state: FrameState,
  output: Output,
  blockEnd: number,
): number {
  const [literalTable, offsetTable, matchTable] = state.tables
  if (literalTable === undefined || offsetTable === undefined || matchTable === undefined) throw damaged('no tables')
  const offsets = state.offsets
  let literalState = stream.read(literalTable.log)
  let offsetState = stream.read(offsetTable.log)
  let matchState = stream.read(matchTable.log)
  let used = 0
  for (let i = 0; i < count; i++) {
    const offsetBits = offsetTable.symbols[offsetState] ?? 0
    const matchCode = matchTable.symbols[matchState] ?? 0
    const literalCode = literalTable.symbols[literalState] ?? 0
    const raw = offsetBits > 16 ? stream.read(offsetBits - 16) * 0x10000 + stream.read(16) : stream.read(offsetBits)
    const offsetValue = 2 ** offsetBits + raw
    const matchLength = (matchBases[matchCode] ?? 0) + stream.read(matchBits[matchCode] ?? 0)
    const literalLength = (literalBases[literalCode] ?? 0) + stream.read(literalBits[literalCode] ?? 0)
    if (i < count - 1) {
      literalState = (literalTable.bases[literalState] ?? 0) + stream.read(literalTable.bits[literalState] ?? 0)
      matchState = (matchTable.bases[matchState] ?? 0) + stream.read(matchTable.bits[matchState] ?? 0)
      offsetState = (offsetTable.bases[offsetState] ?? 0) + stream.read(offsetTable.bits[offsetState] ?? 0)
    }
    if (stream.left < 0) throw damaged('sequences do not end')
    const offset = nextOffset(offsets, offsetValue, literalLength)
    if (used + literalLength > literals.length) throw damaged('sequences use more literals than there are')
    if (output.length + literalLength + matchLength > blockEnd) throw damaged('a block is larger than allowed')
    const at = output.room(literalLength + matchLength)
    const buffer = output.buffer
    for (let j = 0; j < literalLength; j++) buffer[at + j] = literals[used + j] ?? 0
    used += literalLength
    const to = at + literalLength
    const from = to - offset
    if (offset < 1 || from < state.start) throw damaged('a match reaches before the beginning')
    // Byte by byte: a match may overlap with what it makes.
    for (let j = 0; j < matchLength; j++) buffer[to + j] = buffer[from + j] ?? 0
  }
  if (stream.left !== 0) throw damaged('sequences have bits left')
  return used
}

/** Values up to 3 name one of the last three offsets. */
function nextOffset(offsets: [number, number, number], value: number, literalLength: number): number {
  const [first, second, third] = offsets
  const index = value > 3 ? 4 : value + (literalLength === 0 ? 1 : 0)
  if (index === 1) return first
  if (index === 2) {
    offsets[0] = second
    offsets[1] = first
    return second
  }
  offsets[0] = value > 3 ? value - 3 : index === 3 ? third : first - 1
  offsets[1] = first
  offsets[2] = second
  return offsets[0]
}

function readLiterals(
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
    if (type === 1) return { literals: new Uint8Array(size).fill(bytes[position] ?? 0), next: position + 1 }
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
  const literals = new Uint8Array(size)
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

/** One of the three tables of a block: `kind` 0 literal lengths, 1 offsets, 2 match lengths. */
function readTable(
  bytes: Buffer,
  start: number,
  end: number,
  mode: number,
  kind: number,
  previous: FseTable | undefined,
): { table: FseTable; next: number } {
  const { maxLog, maxSymbol, standard } = kinds[kind] ?? offsetKind
  if (mode === 0) return { table: standard, next: start }
  if (mode === 2) return readFseTable(bytes, start, end, maxLog, maxSymbol)
  if (mode === 3) {
    if (previous === undefined) throw damaged('there is no table to use again')
    return { table: previous, next: start }
  }
  const symbol = bytes[start] ?? 0
  if (start >= end || symbol > maxSymbol) throw damaged('a table is not allowed')
  return { table: singleSymbolTable(symbol), next: start + 1 }
}

/** The output of all frames, growing up to `maxBytes`. */
class Output {
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

const zeros = (count: number): number[] => new Array<number>(count).fill(0)
const ones = (count: number): number[] => new Array<number>(count).fill(1)
const twos = (count: number): number[] => new Array<number>(count).fill(2)
const rare = (count: number): number[] => new Array<number>(count).fill(-1)

/** Extra bits and first value of each code of a length (RFC 8878, section 3.1.1.3.2.1). */
const literalBits = [...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const literalBases = basesOf(literalBits, 0)
const matchBits = [...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const matchBases = basesOf(matchBits, 3)

function basesOf(bits: readonly number[], first: number): number[] {
  let base = first
  return bits.map((count) => {
    base += 2 ** count
    return base - 2 ** count
  })
}

/** The tables that need not be sent (section 3.1.1.3.2.2), and the limits of those that are. */
const literalKind = {
  maxLog: 9,
  maxSymbol: 35,
  standard: buildFseTable([4, 3, ...twos(11), 1, 1, 1, ...twos(9), 3, 2, ...ones(5), ...rare(4)], 6),
}
const offsetKind = {
  maxLog: 8,
  maxSymbol: 31,
  standard: buildFseTable([...ones(6), 2, 2, 2, ...ones(15), ...rare(5)], 5),
}
const matchKind = {
  maxLog: 9,
  maxSymbol: 52,
  standard: buildFseTable([1, 4, 3, ...twos(6), ...ones(37), ...rare(7)], 6),
}
const kinds = [literalKind, offsetKind, matchKind]
