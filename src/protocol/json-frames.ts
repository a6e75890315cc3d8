// Fluentd's JSON dialect: the same requests as text, on the same port, when the first byte is `[` or `{`.
import { randomBytes } from 'node:crypto'
import { ProtocolError } from './errors.ts'
import {
  addEntry,
  checkChunk,
  checkTag,
  checkTime,
  type ForwardFrame,
  type ForwardLimits,
  NOW,
  newFrame,
  setOption,
  tooManyValues,
} from './forward-frame.ts'
import { isMap, type MsgpackMap } from './msgpack-map.ts'
import { defaultMsgpackLimits, type MsgpackLimits, type Scanner } from './msgpack-scanner.ts'

/*
 * stream  = (space* request)* space*
 * request = [tag, time, record, option?] | [tag, [entry*], option?]
 * entry   = [time, record] | [[time, metadata], record]
 * time    = number of Unix seconds; 0 and null say "now"
 * Packed entries have no JSON form. An acknowledgement is {"ack": chunk} as JSON text.
 */

/** True when a connection's first byte says that it speaks JSON. MessagePack requests never begin so. */
export function isJsonStart(byte: number): boolean {
  return byte === OPEN_LIST || byte === OPEN_MAP
}

/** Finds where each JSON list or map ends. A run of white space before one is a value of its own. */
export class JsonScanner implements Scanner {
  readonly #limits: MsgpackLimits
  #at = 0
  #depth = 0
  #values = 0
  #inString = false
  #escaped = false

  constructor(limits: Partial<MsgpackLimits> = {}) {
    this.#limits = { ...defaultMsgpackLimits, ...limits }
  }

  reset(): void {
    this.#at = 0
    this.#depth = 0
    this.#values = 0
    this.#inString = false
    this.#escaped = false
  }

  /** As `Scanner` says. Throws a ProtocolError (too_large, too_deep, bad_type). */
  scan(buffer: Uint8Array, start: number, end: number): number {
    const last = Math.min(end, start + this.#limits.maxBytes)
    let position = start + this.#at
    if (this.#at === 0 && isSpace(buffer[start] ?? 0)) {
      while (position < end && isSpace(buffer[position] ?? 0)) position++
      return position
    }
    while (position < last) {
      const byte = buffer[position++] ?? 0
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (byte === BACKSLASH) this.#escaped = true
        else if (byte === QUOTE) this.#inString = false
      } else if (byte === OPEN_LIST || byte === OPEN_MAP) this.#open()
      else if (this.#depth === 0) throw new ProtocolError('bad_type', 'A JSON request begins with no [ or {')
      else if (byte === CLOSE_LIST || byte === CLOSE_MAP) {
        if (--this.#depth === 0) {
          this.reset()
          return position
        }
      } else if (byte === QUOTE) this.#inString = true
      else if (byte === COMMA) this.#count()
    }
    if (end - start > this.#limits.maxBytes) {
      throw new ProtocolError('too_large', `A request needs more than ${this.#limits.maxBytes} bytes`)
    }
    this.#at = position - start
    return -1
  }

  #open(): void {
    if (++this.#depth > this.#limits.maxDepth) {
      throw new ProtocolError('too_deep', `A request is nested deeper than ${this.#limits.maxDepth} levels`)
    }
    this.#count()
  }

  #count(): void {
    if (++this.#values > this.#limits.maxValues) {
      throw new ProtocolError('too_large', `A request holds more than ${this.#limits.maxValues} values`)
    }
  }
}

/**
 * Reads one request out of the text that a JsonScanner found; undefined for white space. 64-bit integers beyond 2^53
 * become BigInt, as in MessagePack. Throws a ProtocolError.
 */
export function decodeJsonForward(
  bytes: Buffer,
  limits: Partial<Pick<ForwardLimits, 'maxTag'>> = {},
): ForwardFrame | undefined {
  if (isSpace(bytes[0] ?? SPACE)) return undefined
  const request = parseExact(bytes.toString())
  if (!Array.isArray(request) || request.length < 2) {
    throw new ProtocolError('bad_frame', 'A request is no list of 2 to 4 values')
  }
  const [tag, second, third, fourth]: unknown[] = request
  const frame = newFrame(checkTag(tag, limits.maxTag))
  const isForward = Array.isArray(second)
  const optionAt = isForward ? 2 : 3
  if (request.length > optionAt + 1) throw tooManyValues()
  readOption(frame, isForward ? third : fourth)
  if (frame.option.signal !== 0) return frame
  if (isForward) {
    frame.mode = 'forward'
    for (const entry of second) readEntry(frame, entry)
  } else {
    if (typeof second === 'string') throw new ProtocolError('bad_frame', 'Packed entries have no JSON form')
    addEntry(frame, timeOf(second), recordOf(third), frame.option.metadata)
  }
  return frame
}

/** The acknowledgement of a chunk, as a JSON client waits for it. */
export function encodeJsonAck(chunk: Buffer): Buffer {
  return Buffer.from(JSON.stringify({ ack: chunk.toString() }))
}

function readEntry(frame: ForwardFrame, entry: unknown): void {
  if (!Array.isArray(entry) || entry.length !== 2) {
    throw new ProtocolError('bad_entry', 'An entry is no list of a time and a record')
  }
  const [head, record]: unknown[] = entry
  const [time, metadata]: unknown[] = Array.isArray(head) ? head : [head, null]
  if (Array.isArray(head) && head.length !== 2) {
    throw new ProtocolError('bad_entry', "An entry's head is no time and metadata")
  }
  addEntry(frame, timeOf(time), recordOf(record), metadata === null ? undefined : recordOf(metadata))
}

function readOption(frame: ForwardFrame, option: unknown): void {
  if (option === undefined || option === null) return
  if (!isMap(option)) throw new ProtocolError('bad_option', 'The option is no map')
  for (const key of Object.keys(option)) {
    const value = option[key]
    if (key === 'chunk') frame.option.chunk = checkChunk(typeof value === 'string' ? Buffer.from(value) : undefined)
    else setOption(frame.option, key, value)
  }
}

function timeOf(time: unknown): number {
  return time === 0 || time === null ? NOW : checkTime(time)
}

function recordOf(record: unknown): MsgpackMap {
  if (!isMap(record)) throw new ProtocolError('bad_entry', 'A record is no map')
  return record
}

/** JSON.parse, with 64-bit integers beyond 2^53 as BigInt. Time and memory grow with the text and no faster. */
export function parseExact(text: string): unknown {
  try {
    // A number that may be too long is rare; only then are the numbers marked first.
    if (!/\d{16}/.test(text)) return JSON.parse(text)
    // Drawn when the text is already here: no string in it can begin so.
    const mark = randomBytes(12).toString('base64')
    const marked = markIntegers(text, mark)
    // Walked by hand: a reviver takes many times as long.
    return marked === text ? JSON.parse(text) : revive(JSON.parse(marked), mark)
  } catch (error) {
    throw new ProtocolError('bad_type', 'A request is no JSON', error)
  }
}

/** The marked integers as BigInt, put where they stand. The scanner has bounded the depth. */
function revive(value: unknown, mark: string): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = revive(value[i], mark)
  } else if (isMap(value)) {
    // Every key is the map's own already: setting `__proto__` changes that key, not the prototype.
    for (const key of Object.keys(value)) value[key] = revive(value[key], mark)
  }
  return value
}

/** Writes each integer outside of strings that a number cannot hold as a string that begins with `mark`. */
function markIntegers(text: string, mark: string): string {
  const markLong = (digits: string): string => (needsBigInt(digits) ? `"${mark}${digits}"` : digits)
  let marked = ''
  let at = 0
  // By hand: a regular expression for strings needs a stack as deep as the longest one.
  while (at < text.length) {
    const quote = text.indexOf('"', at)
    const open = quote === -1 ? text.length : quote
    const close = stringEnd(text, open)
    marked += text.slice(at, open).replace(LONG_INTEGER, markLong) + text.slice(open, close)
    at = close
  }
  return marked
}

/** Index after the string that begins at `open`. */
function stringEnd(text: string, open: number): number {
  let close = text.indexOf('"', open + 1)
  while (close !== -1) {
    let first = close
    while (text[first - 1] === '\\') first--
    if ((close - first) % 2 === 0) return close + 1
    close = text.indexOf('"', close + 1)
  }
  return text.length
}

function needsBigInt(digits: string): boolean {
  if (Number.isSafeInteger(Number(digits))) return false
  const value = BigInt(digits)
  return BigInt.asUintN(64, value) === value || BigInt.asIntN(64, value) === value
}

/** An integer of 16 to 20 digits that is no part of a fraction. */
const LONG_INTEGER = /(?<![\d.eE+-])-?\d{16,20}(?![\d.eE])/g

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d)
}

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_MAP = 0x7b
const CLOSE_MAP = 0x7d
