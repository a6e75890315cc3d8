// Finds where a MessagePack value ends, and whether it is one that may be taken, without making any of it.
import { ProtocolError } from './errors.ts'

/*
 * MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), by first byte; lengths are big-endian.
 *
 *   00-7f fixint      80-8f fixmap      90-9f fixarray    a0-bf fixstr      e0-ff negative fixint
 *   c0 nil            c1 never used     c2 c3 false true
 *   c4 c5 c6 bin 8 16 32                c7 c8 c9 ext 8 16 32: length, type, bytes
 *   ca cb float 32 64                   cc cd ce cf uint 8 16 32 64      d0 d1 d2 d3 int 8 16 32 64
 *   d4 d5 d6 d7 d8 fixext 1 2 4 8 16: type, bytes
 *   d9 da db str 8 16 32                dc dd array 16 32                de df map 16 32
 *
 *   value = scalar | array(n) value*n | map(n) (value value)*n
 */

export interface MsgpackLimits {
  /** Bytes of one value, headers included. */
  maxBytes: number
  /** How many arrays and maps may stand inside of each other. */
  maxDepth: number
  /** Values inside of one value, so that a few bytes on the wire never become much memory. */
  maxValues: number
}

export const defaultMsgpackLimits: MsgpackLimits = {
  maxBytes: 16 * 1024 * 1024,
  maxDepth: 64,
  maxValues: 4 * 1024 * 1024,
}

/** What a push reader asks to find the end of each value in a stream. */
export interface Scanner {
  /** Begins a new value. */
  reset(): void
  /**
   * Scans the value that begins at `start`, of which the bytes before `end` are there. Returns the index after it, and
   * is then ready for the next one; -1 if more bytes are needed: call again with the same value and more of it.
   */
  scan(buffer: Uint8Array, start: number, end: number): number
}

/** Resumable: goes on where it stopped when more bytes are there. Only a header that was cut is read again. */
export class MsgpackScanner implements Scanner {
  readonly limits: MsgpackLimits
  /** How far into the value the scanner is, in bytes. */
  #at = 0
  #depth = 0
  #declared = 1
  /** For each open level, how many values it still waits for. Level 0 waits for the value itself. */
  readonly #left: Int32Array

  constructor(limits: Partial<MsgpackLimits> = {}) {
    this.limits = { ...defaultMsgpackLimits, ...limits }
    this.#left = new Int32Array(this.limits.maxDepth + 1)
    this.reset()
  }

  reset(): void {
    this.#at = 0
    this.#depth = 0
    this.#declared = 1
    this.#left[0] = 1
  }

  /** As `Scanner` says. `maxValues` counts from the last `reset`, over several values. Throws a ProtocolError. */
  scan(buffer: Uint8Array, start: number, end: number): number {
    const left = this.#left
    const limits = this.limits
    const last = start + limits.maxBytes
    let depth = this.#depth
    let position = start + this.#at
    while (position < end) {
      const byte = buffer[position] ?? 0
      let count = 0
      let next = position + 1
      if (byte < 0xa0) {
        if (byte >= 0x80) count = byte < 0x90 ? (byte & 0x0f) * 2 : byte & 0x0f
      } else if (byte < 0xc0) next = position + byte - 0x9f
      else if (byte < 0xe0) {
        next = position + (headerSizes[byte - 0xc0] ?? 0)
        if (next > end) break
        if (byte >= 0xdc) count = containerSize(buffer, position, byte)
        else next += payloadSize(buffer, position, byte)
      }
      if (next + count > last) throw tooLarge(limits.maxBytes)
      if (next > end) break
      position = next
      if (count > 0) {
        this.#declared += count
        if (this.#declared > limits.maxValues) throw tooMany(limits.maxValues)
        if (++depth > limits.maxDepth) throw tooDeep(limits.maxDepth)
        left[depth] = count
        continue
      }
      // Closes every level that this value was the last one of.
      for (;;) {
        const missing = (left[depth] ?? 0) - 1
        left[depth] = missing
        if (missing > 0) break
        if (depth-- === 0) {
          this.#at = 0
          this.#depth = 0
          left[0] = 1
          return position
        }
      }
    }
    this.#depth = depth
    this.#at = position - start
    return -1
  }
}

/** Bytes before the payload, for the first bytes c0 to df. */
const headerSizes = Uint8Array.of(
  ...[1, 1, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9],
  ...[2, 3, 5, 9, 2, 2, 2, 2, 2, 2, 3, 5, 3, 5, 3, 5],
)

/** How many values an array or map (dc to df) holds. */
function containerSize(buffer: Uint8Array, position: number, byte: number): number {
  const count = (byte & 1) === 0 ? readUint16(buffer, position + 1) : readUint32(buffer, position + 1)
  return byte < 0xde ? count : count * 2
}

/** Bytes after the header, for the first bytes c0 to db. */
function payloadSize(buffer: Uint8Array, position: number, byte: number): number {
  switch (byte) {
    case 0xc1:
      throw new ProtocolError('bad_type', 'The byte 0xc1 begins no MessagePack value')
    case 0xc4:
    case 0xd9:
      return buffer[position + 1] ?? 0
    case 0xc5:
    case 0xda:
      return readUint16(buffer, position + 1)
    case 0xc6:
    case 0xdb:
      return readUint32(buffer, position + 1)
    case 0xd7:
      return eventTimeSize(8, buffer[position + 1] ?? 0)
    case 0xc7:
      return eventTimeSize(buffer[position + 1] ?? 0, buffer[position + 2] ?? 0)
    case 0xc8:
    case 0xc9:
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd8:
      throw new ProtocolError(
        'bad_ext',
        `Extension header 0x${byte.toString(16)}: only EventTime (type 0, 8 bytes) is known`,
      )
    default:
      return 0
  }
}

function eventTimeSize(size: number, type: number): number {
  if (type === 0 && size === 8) return 8
  throw new ProtocolError(
    'bad_ext',
    `Extension type ${type} of ${size} bytes: only EventTime (type 0, 8 bytes) is known`,
  )
}

export function readUint16(buffer: Uint8Array, position: number): number {
  return ((buffer[position] ?? 0) << 8) | (buffer[position + 1] ?? 0)
}

export function readUint32(buffer: Uint8Array, position: number): number {
  return readUint16(buffer, position) * 0x10000 + readUint16(buffer, position + 2)
}

/** `high` are its first 32 bits. A BigInt where a number would not be exact. */
export function readInteger64(buffer: Buffer, position: number, high: number, signed: boolean): number | bigint {
  const value = high * 0x100000000 + readUint32(buffer, position + 4)
  if (Number.isSafeInteger(value)) return value
  return signed ? buffer.readBigInt64BE(position) : buffer.readBigUInt64BE(position)
}

function tooLarge(maxBytes: number): ProtocolError {
  return new ProtocolError('too_large', `A value needs more than the ${maxBytes} bytes that are allowed`)
}

function tooMany(maxValues: number): ProtocolError {
  return new ProtocolError('too_large', `A value holds more than the ${maxValues} values that are allowed`)
}

function tooDeep(maxDepth: number): ProtocolError {
  return new ProtocolError('too_deep', `A value is nested deeper than the ${maxDepth} levels that are allowed`)
}
