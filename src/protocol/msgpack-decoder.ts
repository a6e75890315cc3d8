// Makes values of MessagePack bytes that the scanner has found complete and within the limits.
import { ProtocolError } from './errors.ts'
import { EventTime } from './event-time.ts'
import { keyText, type MsgpackMap, setPair } from './msgpack-map.ts'
import { type MsgpackLimits, MsgpackScanner, readInteger64, readUint16, readUint32 } from './msgpack-scanner.ts'
import { firstOf, learn, maxShapeKeys, missed, type ShapeSlot, shapeSlot } from './msgpack-shapes.ts'
import { readText, sameBytes } from './msgpack-text.ts'

/*
 * What becomes of each type:
 *   integers  number, or BigInt beyond 2^53 - 1 either way: always exact
 *   floats    number, NaN and infinities included
 *   str       string; what is not UTF-8 becomes U+FFFD
 *   bin       Buffer, a copy
 *   map       plain object; the last of equal keys wins; `__proto__` is a key like any other
 *   map keys  that are no strings become text: 1, true, null, [1,a], {a:1}; bin as if it were str
 *   ext 0     EventTime
 */

/** Decodes the one value that `bytes` holds. Throws a ProtocolError (also truncated, garbage). */
export function decodeMsgpack(bytes: Buffer, limits: Partial<MsgpackLimits> = {}): unknown {
  const end = new MsgpackScanner(limits).scan(bytes, 0, bytes.length)
  if (end === -1) throw new ProtocolError('truncated', 'The data ends inside of a value')
  if (end < bytes.length) throw new ProtocolError('garbage', `${bytes.length - end} bytes after the value`)
  return new MsgpackDecoder(bytes).value()
}

/**
 * A cursor over scanned bytes. It checks no bounds and no depth: what it is given must have passed the scanner.
 */
export class MsgpackDecoder {
  readonly buffer: Buffer
  /** Index of the next value. */
  position: number
  readonly #view: DataView
  /** Index in `values` from which on the maps that are being read keep theirs. */
  #base = 0

  constructor(buffer: Buffer, position = 0) {
    this.buffer = buffer
    this.position = position
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
  }

  /** First byte of the next value. */
  peek(): number {
    return this.buffer[this.position] ?? NIL
  }

  value(): unknown {
    const byte = this.buffer[this.position++] ?? NIL
    if (byte < 0x80) return byte
    if (byte < 0x90) return this.#map(byte & 0x0f)
    if (byte < 0xa0) return this.#array(byte & 0x0f)
    if (byte < 0xc0) return this.#text(byte & 0x1f)
    if (byte >= 0xe0) return byte - 0x100
    return this.#other(byte)
  }

  /** Number of values of the array that comes next, and steps inside; -1 if it is no array. */
  arrayHeader(): number {
    const byte = this.peek()
    if (byte >= 0x90 && byte < 0xa0) {
      this.position++
      return byte & 0x0f
    }
    if (byte === 0xdc) return this.#uint16()
    if (byte === 0xdd) return this.#uint32()
    return -1
  }

  /** Number of pairs of the map that comes next, and steps inside; -1 if it is no map. */
  mapHeader(): number {
    const byte = this.peek()
    if (byte >= 0x80 && byte < 0x90) {
      this.position++
      return byte & 0x0f
    }
    if (byte === 0xde) return this.#uint16()
    if (byte === 0xdf) return this.#uint32()
    return -1
  }

  /** The map that comes next; undefined, without a step, if it is no map. */
  map(): MsgpackMap | undefined {
    const count = this.mapHeader()
    return count < 0 ? undefined : this.#map(count)
  }

  /** The bytes of the str that comes next, a view; undefined, without a step, if it is no str. */
  str(): Buffer | undefined {
    const byte = this.peek()
    if (byte >= 0xa0 && byte < 0xc0) {
      this.position++
      return this.#bytes(byte & 0x1f)
    }
    if (byte < 0xd9 || byte > 0xdb) return undefined
    return this.#bytes(this.#length(byte - 0xd9))
  }

  /** The bytes of the bin that comes next, a view; undefined, without a step, if it is no bin. */
  bin(): Buffer | undefined {
    const byte = this.peek()
    if (byte < 0xc4 || byte > 0xc6) return undefined
    return this.#bytes(this.#length(byte - 0xc4))
  }

  /** The str that comes next as text; undefined, without a step, if it is no str. */
  text(): string | undefined {
    return this.peekIsStr() ? String(this.value()) : undefined
  }

  peekIsArray(): boolean {
    const byte = this.peek()
    return (byte >= 0x90 && byte < 0xa0) || byte === 0xdc || byte === 0xdd
  }

  peekIsStr(): boolean {
    const byte = this.peek()
    return (byte >= 0xa0 && byte < 0xc0) || (byte >= 0xd9 && byte <= 0xdb)
  }

  /** Steps over the value that comes next. */
  skip(): void {
    skipper.reset()
    const end = skipper.scan(this.buffer, this.position, this.buffer.length)
    this.position = end === -1 ? this.buffer.length : end
  }

  #map(count: number): MsgpackMap {
    if (count === 0) return {}
    if (count > maxShapeKeys) return this.#mapFrom({}, 0, count)
    const { buffer } = this
    const start = this.position
    const slot = shapeSlot(count, buffer[start] ?? 0, buffer[start + 1] ?? 0)
    const { shape } = slot
    // Maps of other sizes may share the slot.
    if (shape?.keys.length !== count) return this.#mapAndLearn(slot, count, {}, 0, start)
    const { bytes, ends } = shape
    const base = this.#base
    let at = 0
    for (let i = 0; i < count; i++) {
      const length = (ends[i] ?? 0) - at
      const { position } = this
      // Another key, or none: what has been read so far stays.
      if (position + length > buffer.length || !sameBytes(this.#view, position, bytes, at, length)) {
        this.#base = base
        return this.#mapAndLearn(slot, count, firstOf(shape, values, base, i), i, start)
      }
      at += length
      this.position = position + length
      this.#base = base + i
      values[base + i] = this.value()
    }
    this.#base = base
    if (slot.misses > 0) slot.misses--
    return shape.build(values, base)
  }

  /** A map that has not its slot's shape, of which the first `done` pairs are there. */
  #mapAndLearn(slot: ShapeSlot, count: number, map: MsgpackMap, done: number, start: number): MsgpackMap {
    this.#mapFrom(map, done, count)
    if (missed(slot)) learn(slot, this, start, count)
    return map
  }

  #mapFrom(map: MsgpackMap, done: number, count: number): MsgpackMap {
    for (let i = done; i < count; i++) setPair(map, this.key(), this.value())
    return map
  }

  /** The key of a map that comes next, as text. */
  key(): string {
    const byte = this.peek()
    if (byte >= 0xa0 && byte < 0xc0) {
      this.position++
      return this.#text(byte & 0x1f)
    }
    const value = this.value()
    return typeof value === 'string' ? value : keyText(value)
  }

  #array(count: number): unknown[] {
    const items: unknown[] = []
    for (let i = 0; i < count; i++) items.push(this.value())
    return items
  }

  #text(length: number): string {
    const start = this.position
    this.position = start + length
    return readText(this.buffer, this.#view, start, length)
  }

  #other(byte: number): unknown {
    const buffer = this.buffer
    const start = this.position
    switch (byte) {
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xc5:
      case 0xc6:
        this.position--
        return Buffer.from(this.#bytes(this.#length(byte - 0xc4)))
      case 0xc7:
        this.position = start + 10
        return new EventTime(readUint32(buffer, start + 2), readUint32(buffer, start + 6))
      case 0xd7:
        this.position = start + 9
        return new EventTime(readUint32(buffer, start + 1), readUint32(buffer, start + 5))
      case 0xca:
        this.position = start + 4
        return buffer.readFloatBE(start)
      case 0xcb:
        this.position = start + 8
        return buffer.readDoubleBE(start)
      case 0xcc:
        this.position = start + 1
        return buffer[start]
      case 0xcd:
        this.position = start + 2
        return readUint16(buffer, start)
      case 0xce:
        this.position = start + 4
        return readUint32(buffer, start)
      case 0xcf:
        this.position = start + 8
        return readInteger64(buffer, start, readUint32(buffer, start), false)
      case 0xd0:
        this.position = start + 1
        return buffer.readInt8(start)
      case 0xd1:
        this.position = start + 2
        return buffer.readInt16BE(start)
      case 0xd2:
        this.position = start + 4
        return buffer.readInt32BE(start)
      case 0xd3:
        this.position = start + 8
        return readInteger64(buffer, start, buffer.readInt32BE(start), true)
      case 0xd9:
      case 0xda:
      case 0xdb: {
        this.position--
        const length = this.#length(byte - 0xd9)
        return this.#text(length)
      }
      case 0xdc:
      case 0xdd:
        this.position--
        return this.#array(this.arrayHeader())
      case 0xde:
      case 0xdf:
        this.position--
        return this.#map(this.mapHeader())
      default:
        return null
    }
  }

  /** The length after a header of 8, 16 or 32 bits (0, 1, 2). */
  #length(width: number): number {
    if (width === 0) {
      this.position += 2
      return this.buffer[this.position - 1] ?? 0
    }
    return width === 1 ? this.#uint16() : this.#uint32()
  }

  #uint16(): number {
    this.position += 3
    return readUint16(this.buffer, this.position - 2)
  }

  #uint32(): number {
    this.position += 5
    return readUint32(this.buffer, this.position - 4)
  }

  #bytes(length: number): Buffer {
    const start = this.position
    this.position = start + length
    return this.buffer.subarray(start, start + length)
  }
}

const NIL = 0xc0
/** Of the maps that are being read, before they are made. */
const values: unknown[] = []

/** What it steps over has been scanned already, with the limits that hold. */
const skipper = new MsgpackScanner({ maxBytes: 2 ** 31 - 1, maxDepth: 1024, maxValues: Number.MAX_SAFE_INTEGER })
