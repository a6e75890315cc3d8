// The entropy coders of zstd (RFC 8878, section 4): FSE and Huffman tables, and bits read from the end.
import { ProtocolError } from './errors.ts'

/** A table of finite state entropy: for each state its symbol, and how the next state is made. */
export interface FseTable {
  /** Bits of the first state. */
  log: number
  symbols: Uint8Array
  /** Bits to read for the next state, and what to add to them. */
  bits: Uint8Array
  bases: Uint16Array
}

export interface HuffmanTable {
  maxBits: number
  /** For each value of `maxBits` bits: the symbol it begins with, and that symbol's length in bits. */
  symbols: Uint8Array
  bits: Uint8Array
}

/** Reads the bits of bytes[start, end) from the last one, whose highest bit set is a mark, to the first. */
export class BackwardBits {
  readonly #bytes: Uint8Array
  readonly #start: number
  /** Bits that are left. Negative: more were asked for than there are, and the excess was read as zeros. */
  left: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? (bytes[end - 1] ?? 0) : 0
    if (last === 0) throw damaged('a bit stream has no end mark')
    this.#bytes = bytes
    this.#start = start
    this.left = (end - start) * 8 - Math.clz32(last) + 23
  }

  /** The next `count` bits, at most 24. */
  read(count: number): number {
    const value = this.peek(count)
    this.left -= count
    return value
  }

  /** The next `count` bits, at most 24, without a step. */
  peek(count: number): number {
    const from = this.left - count
    if (from < 0) return this.left <= 0 ? 0 : this.#at(0, this.left) << -from
    return this.#at(from, count)
  }

  #at(from: number, count: number): number {
    const bytes = this.#bytes
    const at = this.#start + (from >>> 3)
    const word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
    return (word >>> (from & 7)) & ((1 << count) - 1)
  }
}

/** Reads the description of an FSE table at `start`. Returns the table and the index after it. */
export function readFseTable(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxLog: number,
  maxSymbol: number,
): { table: FseTable; next: number } {
  let position = start * 8
  const take = (count: number): number => {
    const at = position >>> 3
    const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
    return (word >>> (position & 7)) & ((1 << count) - 1)
  }
  const log = take(4) + 5
  position += 4
  if (log > maxLog) throw damaged('a table is larger than allowed')
  const counts: number[] = []
  let remaining = (1 << log) + 1
  while (remaining > 1) {
    if (position > end * 8 || counts.length > maxSymbol) throw damaged('a table does not end')
    // A value up to `remaining` takes `width` bits, the small ones of them one bit less.
    const width = 32 - Math.clz32(remaining)
    const half = 1 << (width - 1)
    const small = 2 * half - 1 - remaining
    let value = take(width - 1)
    if (value < small) position += width - 1
    else {
      value = take(width)
      if (value >= half) value -= small
      position += width
    }
    const count = value - 1
    remaining -= Math.abs(count)
    counts.push(count)
    for (let repeat = count === 0 ? 3 : 0; repeat === 3; ) {
      repeat = take(2)
      position += 2
      if (position > end * 8) throw damaged('a table does not end')
      for (let i = 0; i < repeat; i++) counts.push(0)
    }
  }
  const next = (position + 7) >>> 3
  if (next > end || counts.length > maxSymbol + 1) throw damaged('a table does not end')
  return { table: buildFseTable(counts, log), next }
}

/** `counts`: how many states each symbol has; -1 is one state at the end of the table. */
export function buildFseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log
  const symbols = new Uint8Array(size)
  const bits = new Uint8Array(size)
  const bases = new Uint16Array(size)
  const nextState = new Uint16Array(counts.length)
  let high = size - 1
  counts.forEach((count, symbol) => {
    nextState[symbol] = Math.abs(count)
    if (count === -1) symbols[high--] = symbol
  })
  const step = (size >> 1) + (size >> 3) + 3
  let at = 0
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol
      do at = (at + step) & (size - 1)
      while (at > high)
    }
  })
  if (at !== 0) throw damaged('a table is not full')
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state] ?? 0
    const value = nextState[symbol] ?? 1
    nextState[symbol] = value + 1
    const width = log - (31 - Math.clz32(value))
    bits[state] = width
    bases[state] = (value << width) - size
  }
  return { log, symbols, bits, bases }
}

export function singleSymbolTable(symbol: number): FseTable {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) }
}

/** Reads the description of a Huffman table at `start`. Returns the table and the index after it. */
export function readHuffmanTable(bytes: Uint8Array, start: number, end: number): { table: HuffmanTable; next: number } {
  const header = bytes[start] ?? 0
  const count = header - 127
  const next = start + 1 + (header < 128 ? header : (count + 1) >> 1)
  if (next > end) throw damaged('a Huffman table does not end')
  let weights: number[] = []
  if (header < 128) weights = readWeights(bytes, start + 1, next)
  else {
    for (let i = 0; i < count; i++) {
      const byte = bytes[start + 1 + (i >> 1)] ?? 0
      weights.push(i % 2 === 0 ? byte >> 4 : byte & 15)
    }
  }
  return { table: buildHuffmanTable(weights), next }
}

/** The weights of a Huffman table, packed by two FSE states that take turns. */
function readWeights(bytes: Uint8Array, start: number, end: number): number[] {
  const { table, next } = readFseTable(bytes, start, end, 6, 255)
  const stream = new BackwardBits(bytes, next, end)
  const weights: number[] = []
  let state = stream.read(table.log)
  let other = stream.read(table.log)
  if (stream.left < 0) throw damaged('Huffman weights do not end')
  while (weights.length < 255) {
    weights.push(table.symbols[state] ?? 0)
    const width = table.bits[state] ?? 0
    if (width > stream.left) {
      weights.push(table.symbols[other] ?? 0)
      return weights
    }
    const following = (table.bases[state] ?? 0) + stream.read(width)
    state = other
    other = following
  }
  throw damaged('there are too many Huffman weights')
}

/** The weight of the last symbol is not written: it is what fills the table. */
function buildHuffmanTable(weights: number[]): HuffmanTable {
  let sum = 0
  for (const weight of weights) {
    if (weight > MAX_HUFFMAN_BITS) throw damaged('a Huffman weight is too large')
    sum += weight === 0 ? 0 : 1 << (weight - 1)
  }
  const maxBits = 32 - Math.clz32(sum)
  const rest = (1 << maxBits) - sum
  if (sum === 0 || maxBits > MAX_HUFFMAN_BITS || (rest & (rest - 1)) !== 0) throw damaged('a Huffman table is not full')
  const all = [...weights, 32 - Math.clz32(rest)]
  if (all.length > 256) throw damaged('there are too many Huffman weights')
  const symbols = new Uint8Array(1 << maxBits)
  const bits = new Uint8Array(1 << maxBits)
  let at = 0
  for (let weight = 1; weight <= maxBits; weight++) {
    const span = 1 << (weight - 1)
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue
      symbols.fill(symbol, at, at + span)
      bits.fill(maxBits + 1 - weight, at, at + span)
      at += span
    }
  }
  return { maxBits, symbols, bits }
}

/** Decodes one Huffman stream, bytes[start, end), into all of target[from, to). */
export function decodeHuffman(
  table: HuffmanTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  from: number,
  to: number,
): void {
  const stream = new BackwardBits(bytes, start, end)
  for (let at = from; at < to; at++) {
    const value = stream.peek(table.maxBits)
    target[at] = table.symbols[value] ?? 0
    stream.left -= table.bits[value] ?? 0
    if (stream.left < 0) break
  }
  if (stream.left !== 0) throw damaged('a Huffman stream has another length than its literals')
}

export function damaged(what: string): ProtocolError {
  return new ProtocolError('bad_compression', `The zstd data is damaged: ${what}`)
}

const MAX_HUFFMAN_BITS = 11
