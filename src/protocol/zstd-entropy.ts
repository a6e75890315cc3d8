// The entropy coders of zstd (RFC 8878, section 4): FSE and Huffman tables, and bits read from the end.
import { ProtocolError } from './errors.ts'

/** A table of finite state entropy: what each state stands for, and how the next state is made. */
export interface FseTable {
  /** Bits of the first state. */
  log: number
  /** For each state: its symbol, 8 bits to the left how many bits to read for the next one, 16 what to add to them. */
  states: Int32Array
}

export interface HuffmanTable {
  maxBits: number
  /** For each value of `maxBits` bits: the symbol it begins with, and 8 bits to the left that symbol's length in bits. */
  codes: Uint16Array
}

/** How many bits are in the stream bytes[start, end). It is read from its last byte, whose highest bit set is a mark. */
export function streamBits(bytes: Uint8Array, start: number, end: number): number {
  const last = end > start ? (bytes[end - 1] ?? 0) : 0
  if (last === 0) throw damaged('a bit stream has no end mark')
  return (end - start) * 8 - Math.clz32(last) + 23
}

/**
 * The last `count` bits, at most 25, of the `left` bits that begin at `start`. For a `count` above `left` the answer
 * means nothing: whoever reads looks, in his own time, whether more was read than there was.
 */
export function bitsAt(bytes: Uint8Array, start: number, left: number, count: number): number {
  // In two steps, as a shift by 32 would be none.
  return ((wordAt(bytes, start, left) << (-left & 7)) >>> 1) >>> (31 - count)
}

/** The 32 bits up to the byte in which the bit stream ends, so that up to 7 of them lie after its end. */
function wordAt(bytes: Uint8Array, start: number, left: number): number {
  const at = start + ((left + 7) >> 3) - 4
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
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
  const states = new Int32Array(size)
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state] ?? 0
    const value = nextState[symbol] ?? 1
    nextState[symbol] = value + 1
    const width = log - (31 - Math.clz32(value))
    states[state] = symbol | (width << 8) | (((value << width) - size) << 16)
  }
  return { log, states }
}

export function singleSymbolTable(symbol: number): FseTable {
  return { log: 0, states: Int32Array.of(symbol) }
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
  const weights: number[] = []
  let left = streamBits(bytes, next, end)
  let state = bitsAt(bytes, next, left, table.log)
  let other = bitsAt(bytes, next, left - table.log, table.log)
  left -= 2 * table.log
  if (left < 0) throw damaged('Huffman weights do not end')
  while (weights.length < 255) {
    const entry = table.states[state] ?? 0
    weights.push(entry & 0xff)
    const width = (entry >> 8) & 0xff
    if (width > left) {
      weights.push((table.states[other] ?? 0) & 0xff)
      return weights
    }
    const following = (entry >> 16) + bitsAt(bytes, next, left, width)
    left -= width
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
  const codes = new Uint16Array(1 << maxBits)
  let at = 0
  for (let weight = 1; weight <= maxBits; weight++) {
    const span = 1 << (weight - 1)
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue
      codes.fill(symbol | ((maxBits + 1 - weight) << 8), at, at + span)
      at += span
    }
  }
  return { maxBits, codes }
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
  const { maxBits, codes } = table
  let left = streamBits(bytes, start, end)
  let at = from
  // Two symbols of at most 11 bits from each word.
  for (; at + 1 < to && left >= 32; at += 2) {
    const word = wordAt(bytes, start, left) << (-left & 7)
    const first = codes[word >>> (32 - maxBits)] ?? 0
    const second = codes[(word << (first >> 8)) >>> (32 - maxBits)] ?? 0
    // An array of bytes keeps the low eight bits.
    target[at] = first
    target[at + 1] = second
    left -= (first >> 8) + (second >> 8)
  }
  for (; at < to && left > 0; at++) {
    const missing = maxBits - left
    const value = missing > 0 ? bitsAt(bytes, start, left, left) << missing : bitsAt(bytes, start, left, maxBits)
    const code = codes[value] ?? 0
    target[at] = code
    left -= code >> 8
  }
  if (left !== 0 || at < to) throw damaged('a Huffman stream has another length than its literals')
}

export function damaged(what: string): ProtocolError {
  return new ProtocolError('bad_compression', `The zstd data is damaged: ${what}`)
}

const MAX_HUFFMAN_BITS = 11
