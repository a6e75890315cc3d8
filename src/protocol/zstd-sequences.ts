// The second half of a compressed zstd block: copies of literals and of earlier output (RFC 8878, section 3.1.1.3.2).
import {
  bitsAt,
  buildFseTable,
  damaged,
  type FseTable,
  readFseTable,
  singleSymbolTable,
  streamBits,
} from './zstd-entropy.ts'
import type { FrameState, Output } from './zstd-output.ts'

/**
 * Works off the sequences in bytes[start, end) and returns how many literals they used. What they make is checked
 * against the block's limit one by one, before it is made: fzstd does not, and is busy for minutes with 30 bytes.
 */
export function readSequences(
  bytes: Buffer,
  start: number,
  end: number,
  literals: Uint8Array,
  state: FrameState,
  output: Output,
): number {
  let position = start
  if (position >= end) throw damaged('a block has no sequences')
  let count = bytes[position++] ?? 0
  if (count === 255) {
    count = (bytes[position] ?? 0) + ((bytes[position + 1] ?? 0) << 8) + 0x7f00
    position += 2
  } else if (count > 127) count = ((count - 128) << 8) + (bytes[position++] ?? 0)
  if (count === 0) {
    if (position !== end) throw damaged('a block has bytes left')
    return 0
  }
  const modes = bytes[position++] ?? 0
  if ((modes & 3) !== 0) throw damaged('a reserved bit is set')
  for (let kind = 0; kind < 3; kind++) {
    const result = readTable(bytes, position, end, (modes >> (6 - 2 * kind)) & 3, kind, state.tables[kind])
    state.tables[kind] = result.table
    position = result.next
  }
  return runSequences(bytes, position, end, count, literals, state, output)
}

/** Copies literals and earlier output in turns, by the bit stream bytes[start, end). Returns how many literals it used. */
function runSequences(
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
  literals: Uint8Array,
  state: FrameState,
  output: Output,
): number {
  const [literalTable, offsetTable, matchTable] = state.tables
  if (literalTable === undefined || offsetTable === undefined || matchTable === undefined) throw damaged('no tables')
  const limit = Math.min(state.maxBlock, output.maxBytes - output.length)
  output.reserve(limit)
  const buffer = output.buffer
  const blockEnd = output.length + limit
  // Kept in variables, as everything here is: fields would be written again with each sequence.
  const { window, start: frameStart, offsets } = state
  const literalStates = literalTable.states
  const offsetStates = offsetTable.states
  const matchStates = matchTable.states
  let left = streamBits(bytes, start, end)
  let literalEntry = literalStates[bitsAt(bytes, start, left, literalTable.log)] ?? 0
  left -= literalTable.log
  let offsetEntry = offsetStates[bitsAt(bytes, start, left, offsetTable.log)] ?? 0
  left -= offsetTable.log
  let matchEntry = matchStates[bitsAt(bytes, start, left, matchTable.log)] ?? 0
  left -= matchTable.log
  let used = 0
  let at = output.length
  for (let i = 1; i <= count; i++) {
    const offsetBits = offsetEntry & 0xff
    const matchCode = matchEntry & 0xff
    const literalCode = literalEntry & 0xff
    if (offsetBits > MAX_OFFSET_BITS) throw damaged('a match reaches before the beginning')
    let offsetValue = 1 << offsetBits
    if (offsetBits > 16) {
      offsetValue += bitsAt(bytes, start, left, offsetBits - 16) << 16
      left -= offsetBits - 16
    }
    const lowBits = Math.min(offsetBits, 16)
    offsetValue += bitsAt(bytes, start, left, lowBits)
    left -= lowBits
    let matchLength = matchBases[matchCode] ?? 0
    if (matchCode > LAST_PLAIN_MATCH) {
      const width = matchBits[matchCode] ?? 0
      matchLength += bitsAt(bytes, start, left, width)
      left -= width
    }
    let literalLength = literalBases[literalCode] ?? 0
    if (literalCode > LAST_PLAIN_LITERAL) {
      const width = literalBits[literalCode] ?? 0
      literalLength += bitsAt(bytes, start, left, width)
      left -= width
    }
    if (i < count) {
      // Up to 18 bits at once.
      const literalWidth = (literalEntry >> 8) & 0xff
      const matchWidth = (matchEntry >> 8) & 0xff
      const both = bitsAt(bytes, start, left, literalWidth + matchWidth)
      left -= literalWidth + matchWidth
      literalEntry = literalStates[(literalEntry >> 16) + (both >> matchWidth)] ?? 0
      matchEntry = matchStates[(matchEntry >> 16) + (both & ((1 << matchWidth) - 1))] ?? 0
      const offsetWidth = (offsetEntry >> 8) & 0xff
      offsetEntry = offsetStates[(offsetEntry >> 16) + bitsAt(bytes, start, left, offsetWidth)] ?? 0
      left -= offsetWidth
    }
    if (left < 0) throw damaged('sequences do not end')
    const offset = nextOffset(offsets, offsetValue, literalLength)
    const to = at + literalLength
    const from = to - offset
    if (used + literalLength > literals.length) throw damaged('sequences use more literals than there are')
    if (to + matchLength > blockEnd) throw tooLong(output, state)
    if (offset < 1 || offset > window) throw damaged('a match reaches beyond the window')
    copyBytes(literals, used, buffer, at, literalLength)
    used += literalLength
    at = to + matchLength
    if (from < frameStart) copyOlder(buffer, from, to, matchLength, state)
    // A match may overlap with what it makes: then byte by byte, from the first one on.
    else if (offset >= matchLength && matchLength > NATIVE_COPY_BYTES) buffer.copyWithin(to, from, from + matchLength)
    else for (let j = 0; j < matchLength; j++) buffer[to + j] = buffer[from + j] ?? 0
  }
  if (left !== 0) throw damaged('sequences have bits left')
  output.length = at
  return used
}

/** Copies a match that begins before `state.start`, where the output began anew. */
function copyOlder(buffer: Buffer, from: number, to: number, count: number, state: FrameState): void {
  const before = state.start - from
  if (before > state.olderEnd) throw damaged('a match reaches before the beginning')
  const older = Math.min(before, count)
  buffer.copyWithin(to, state.olderEnd - before, state.olderEnd - before + older)
  for (let i = older; i < count; i++) buffer[to + i] = buffer[from + i] ?? 0
}

/** What to say of a block that outgrows its own limit, or that of all the output. */
function tooLong(output: Output, state: FrameState): Error {
  return output.maxBytes - output.length < state.maxBlock
    ? output.tooLarge()
    : damaged('a block is larger than allowed')
}

function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, count: number): void {
  if (count > NATIVE_COPY_BYTES) target.set(source.subarray(from, from + count), to)
  else for (let i = 0; i < count; i++) target[to + i] = source[from + i] ?? 0
}

/** Values up to 3 name one of the last three offsets. */
function nextOffset(offsets: [number, number, number], value: number, literalLength: number): number {
  // By index: taking a list apart goes through an iterator.
  const first = offsets[0]
  const second = offsets[1]
  const third = offsets[2]
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

/** Shorter copies are cheaper in a loop than in a call. */
const NATIVE_COPY_BYTES = 16
/** The last codes of lengths without extra bits. */
const LAST_PLAIN_LITERAL = 15
const LAST_PLAIN_MATCH = 31
/** No offset within the window has more. */
const MAX_OFFSET_BITS = 28

const zeros = (count: number): number[] => new Array<number>(count).fill(0)
const ones = (count: number): number[] => new Array<number>(count).fill(1)
const twos = (count: number): number[] => new Array<number>(count).fill(2)
const rare = (count: number): number[] => new Array<number>(count).fill(-1)

/** Extra bits and first value of each code of a length (RFC 8878, section 3.1.1.3.2.1). */
const literalBits = Uint8Array.of(...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
const literalBases = basesOf(literalBits, 0)
const matchBits = Uint8Array.of(...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
const matchBases = basesOf(matchBits, 3)

function basesOf(bits: Uint8Array, first: number): Int32Array {
  let base = first
  return Int32Array.from(bits, (count) => {
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
