// Writes MessagePack: what the forward protocol sends.
import { ProtocolError } from './errors.ts'
import { EventTime } from './event-time.ts'

/*
 * What becomes of each value:
 *   number    the shortest integer form when it is a safe integer (-0 is 0), else float 64
 *   BigInt    the shortest integer form; beyond 64 bits it is refused
 *   string    str, lone surrogates as U+FFFD      Buffer, Uint8Array   bin
 *   null, undefined   nil                         EventTime            fixext 8 of type 0
 *   an object with toJSON   what toJSON gives     other objects        map of their own keys
 */

/** Appends values to a buffer that grows. */
export class MsgpackWriter {
  #buffer: Buffer
  #length = 0
  readonly #maxDepth: number

  /** `maxDepth` is how many lists and maps may stand inside of a list or map that `value` writes. */
  constructor(capacityBytes = 4096, maxDepth = 256) {
    this.#maxDepth = maxDepth
    this.#buffer = Buffer.allocUnsafe(Math.max(capacityBytes, 16))
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** Forgets what was written beyond `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length)
  }

  /** What was written. The writer is empty afterwards and uses another buffer. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length)
    this.#buffer = Buffer.allocUnsafe(Math.max(Math.min(this.#buffer.length, MAX_KEPT_BYTES), 16))
    this.#length = 0
    return bytes
  }

  /** Any value. Throws a ProtocolError (unwritable) for what has no form on the wire, and beyond `maxDepth`. */
  value(value: unknown, depth = 0): this {
    switch (typeof value) {
      case 'string':
        return this.str(value)
      case 'number':
        return this.number(value)
      case 'boolean':
        return this.#byte(value ? 0xc3 : 0xc2)
      case 'undefined':
        return this.#byte(0xc0)
      case 'bigint':
        return this.#bigint(value)
      case 'object':
        return value === null ? this.#byte(0xc0) : this.#object(value, depth)
      default:
        throw new ProtocolError('unwritable', `A ${typeof value} has no MessagePack form`)
    }
  }

  number(value: number): this {
    if (!Number.isSafeInteger(value)) return this.float(value)
    if (value >= 0) {
      if (value < 0x80) return this.#byte(value)
      if (value < 0x100) return this.#header8(0xcc, value)
      if (value < 0x10000) return this.#header16(0xcd, value)
      if (value < 0x100000000) return this.#header32(0xce, value)
      return this.#integer64(0xcf, value)
    }
    if (value >= -0x20) return this.#byte(value + 0x100)
    if (value >= -0x80) return this.#header8(0xd0, value + 0x100)
    if (value >= -0x8000) return this.#header16(0xd1, value + 0x10000)
    if (value >= -0x80000000) return this.#header32(0xd2, value + 0x100000000)
    return this.#integer64(0xd3, value)
  }

  float(value: number): this {
    const at = this.#room(9)
    this.#buffer[at] = 0xcb
    this.#buffer.writeDoubleBE(value, at + 1)
    return this
  }

  str(text: string): this {
    const length = text.length
    if (length < 32 && this.#ascii(text, length)) return this
    const bytes = Buffer.byteLength(text)
    this.strHeader(bytes)
    const at = this.#room(bytes)
    this.#buffer.write(text, at, 'utf8')
    return this
  }

  /** A str of bytes that may be no UTF-8. */
  rawStr(bytes: Uint8Array): this {
    return this.strHeader(bytes.length).raw(bytes)
  }

  strHeader(bytes: number): this {
    if (bytes < 0x20) return this.#byte(0xa0 | bytes)
    if (bytes < 0x100) return this.#header8(0xd9, bytes)
    return bytes < 0x10000 ? this.#header16(0xda, bytes) : this.#header32(0xdb, bytes)
  }

  bin(bytes: Uint8Array): this {
    if (bytes.length < 0x100) this.#header8(0xc4, bytes.length)
    else if (bytes.length < 0x10000) this.#header16(0xc5, bytes.length)
    else this.#header32(0xc6, bytes.length)
    return this.raw(bytes)
  }

  arrayHeader(count: number): this {
    if (count < 0x10) return this.#byte(0x90 | count)
    return count < 0x10000 ? this.#header16(0xdc, count) : this.#header32(0xdd, count)
  }

  mapHeader(count: number): this {
    if (count < 0x10) return this.#byte(0x80 | count)
    return count < 0x10000 ? this.#header16(0xde, count) : this.#header32(0xdf, count)
  }

  eventTime(time: EventTime): this {
    const at = this.#room(10)
    const buffer = this.#buffer
    buffer[at] = 0xd7
    buffer[at + 1] = 0
    buffer.writeUInt32BE(time.seconds, at + 2)
    buffer.writeUInt32BE(time.nanoseconds, at + 6)
    return this
  }

  /** Bytes that are MessagePack already. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  #object(value: object, depth: number): this {
    if (depth > this.#maxDepth) {
      throw new ProtocolError('unwritable', `A value is nested deeper than ${this.#maxDepth} levels`)
    }
    if (Array.isArray(value)) {
      this.arrayHeader(value.length)
      for (let i = 0; i < value.length; i++) this.value(value[i], depth + 1)
      return this
    }
    if (value instanceof EventTime) return this.eventTime(value)
    if (value instanceof Uint8Array) return this.bin(value)
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.value(value.toJSON(), depth + 1)
    const keys = Object.keys(value)
    this.mapHeader(keys.length)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] ?? ''
      this.str(key)
      this.value(Reflect.get(value, key), depth + 1)
    }
    return this
  }

  /** Writes a text of fewer than 32 characters; false, with nothing written, when it is not ASCII. */
  #ascii(text: string, length: number): boolean {
    const start = this.#room(length + 1)
    const buffer = this.#buffer
    buffer[start] = 0xa0 | length
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) {
        this.#length = start
        return false
      }
      buffer[start + 1 + i] = unit
    }
    return true
  }

  #bigint(value: bigint): this {
    if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) return this.number(Number(value))
    const unsigned = value > 0n
    if (BigInt.asUintN(64, value) !== value && BigInt.asIntN(64, value) !== value) {
      throw new ProtocolError('unwritable', 'An integer has more than 64 bits')
    }
    const at = this.#room(9)
    this.#buffer[at] = unsigned ? 0xcf : 0xd3
    if (unsigned) this.#buffer.writeBigUInt64BE(value, at + 1)
    else this.#buffer.writeBigInt64BE(value, at + 1)
    return this
  }

  #integer64(byte: number, value: number): this {
    const high = Math.floor(value / 0x100000000)
    this.#header32(byte, high < 0 ? high + 0x100000000 : high)
    const at = this.#room(4)
    this.#buffer.writeUInt32BE(value - high * 0x100000000, at)
    return this
  }

  #byte(byte: number): this {
    const at = this.#room(1)
    this.#buffer[at] = byte
    return this
  }

  #header8(byte: number, value: number): this {
    const at = this.#room(2)
    this.#buffer[at] = byte
    this.#buffer[at + 1] = value
    return this
  }

  #header16(byte: number, value: number): this {
    const at = this.#room(3)
    this.#buffer[at] = byte
    this.#buffer[at + 1] = value >>> 8
    this.#buffer[at + 2] = value
    return this
  }

  #header32(byte: number, value: number): this {
    const at = this.#room(5)
    this.#buffer[at] = byte
    this.#buffer[at + 1] = value >>> 24
    this.#buffer[at + 2] = value >>> 16
    this.#buffer[at + 3] = value >>> 8
    this.#buffer[at + 4] = value
    return this
  }

  /** Makes room for `bytes` more and returns where they go. Replaces `#buffer`: call it before that is read. */
  #room(bytes: number): number {
    const at = this.#length
    const end = at + bytes
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#length = end
    return at
  }
}

/** A buffer larger than this is not made again for the next value. */
const MAX_KEPT_BYTES = 1024 * 1024

/** The bytes of one value. */
export function encodeMsgpack(value: unknown): Buffer {
  return new MsgpackWriter(256).value(value).take()
}
