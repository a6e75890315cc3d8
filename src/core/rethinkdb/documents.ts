// Records as RethinkDB documents and back. What JSON or RethinkDB cannot hold is marked, so that it comes back as it was.
import { FeedooError } from '../errors.ts'
import { type EventRecord, isPlainObject, setOwn } from '../event.ts'

// RethinkDB numbers are doubles, and it keeps keys with `$reql_` for itself. What it could not hold is stored as:
//   integer beyond 2^53   { "$feedoo:int": "9223372036854775807" }
//   NaN, Infinity         { "$feedoo:float": "-Infinity" }
//   key `$reql_...`, `$feedoo:...`, `__proto__`   the key with `$feedoo:key:` in front
//   `id` that is no key   another id, and the value under "$feedoo:id"
// `__proto__` is marked because drivers for JavaScript lose such a key, or set a prototype by it.
const ours = '$feedoo:'
const intMark = '$feedoo:int'
const floatMark = '$feedoo:float'
const keyMark = '$feedoo:key:'
const idMark = '$feedoo:id'
const typeKey = '$reql_type$'

/** Levels of maps and lists in a record. The server reads JSON by recursion on a small stack. */
const maxDepth = 100
/** Bytes of a primary key. */
const maxKeyBytes = 127
/** Milliseconds of the years that RethinkDB's dates can have, 1400 to 9999. */
const firstDate = Date.UTC(1400, 0, 1)
const lastDate = Date.UTC(10_000, 0, 1)

export interface Document {
  /** The primary key as JSON text: equal for documents of which the later one replaces the other. */
  key: string
  /** The document as JSON text. */
  text: string
}

/**
 * The document of a record. Its primary key is its own `id`, or what `idFor` gives for the text of the record without
 * one. Throws RECORD_UNWRITABLE for what cannot be stored: more than 100 levels, a date outside of 1400 to 9999, ...
 */
export function encodeDocument(record: EventRecord, idFor: (text: string) => string | number): Document {
  const id: unknown = Object.hasOwn(record, 'id') ? record.id : undefined
  if (isKey(id)) return { key: JSON.stringify(storable(id, 0)), text: encodeRecord(record) }
  if (id === undefined) {
    const text = encodeRecord(record)
    const key = JSON.stringify(idFor(text))
    return { key, text: withFirst(`"id":${key}`, text) }
  }
  const { id: moved, ...rest } = record
  const movedText = JSON.stringify(storable(moved, 0))
  const text = withFirst(`"${idMark}":${movedText}`, encodeRecord(rest))
  // The row of an integer that is too large for a number is found by its digits.
  const key = JSON.stringify(typeof id === 'bigint' ? id.toString() : idFor(text))
  return { key, text: withFirst(`"id":${key}`, text) }
}

/** The record of a document's JSON text. */
export function decodeDocument(text: string): EventRecord {
  const parsed: unknown = JSON.parse(text)
  if (!isPlainObject(parsed)) throw new FeedooError('INPUT_UNREADABLE', 'a row of RethinkDB is no document')
  // All that is marked has a key with a dollar sign.
  if (!text.includes('"$')) return parsed
  const record: EventRecord = {}
  for (const key of Object.keys(parsed)) {
    if (key !== idMark) setOwn(record, keyOf(key), restored(parsed[key]))
  }
  if (Object.hasOwn(parsed, idMark)) setOwn(record, 'id', restored(parsed[idMark]))
  return record
}

/** A primary key as JSON text, for `r.json`. */
export function encodeKey(id: unknown): string {
  return JSON.stringify(storable(id, 0))
}

function encodeRecord(record: EventRecord): string {
  return JSON.stringify(isJson(record, 0) ? record : storable(record, 0))
}

function withFirst(member: string, text: string): string {
  return text === '{}' ? `{${member}}` : `{${member},${text.slice(1)}`
}

function isKey(id: unknown): boolean {
  switch (typeof id) {
    case 'string':
      return !id.includes('\0') && Buffer.byteLength(id) <= maxKeyBytes
    case 'number':
      return Number.isFinite(id)
    case 'bigint':
      return isSafe(id)
    default:
      return typeof id === 'boolean'
  }
}

/** Whether JSON.stringify writes the value as it is to be stored: nearly always, and it is much faster. */
function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  checkDepth(depth)
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1))
  if (!isPlainObject(value)) return false
  for (const key of Object.keys(value)) {
    if (isReserved(key) || !isJson(value[key], depth + 1)) return false
  }
  return true
}

/** What JSON.stringify writes as it is to be stored. */
function storable(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return value
    case 'number':
      return Number.isFinite(value) ? value : { [floatMark]: String(value) }
    case 'bigint':
      return isSafe(value) ? Number(value) : { [intMark]: value.toString() }
    case 'object':
      break
    default:
      throw unwritable(`a ${typeof value} cannot be stored`)
  }
  if (value === null) return null
  if (value instanceof Date) return storableDate(value)
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return { [typeKey]: 'BINARY', data: bytes.toString('base64') }
  }
  checkDepth(depth)
  if (Array.isArray(value)) return value.map((item) => storable(item, depth + 1))
  if (!isPlainObject(value)) throw unwritable(`a ${value.constructor.name} cannot be stored`)
  const copy: EventRecord = {}
  for (const key of Object.keys(value)) {
    copy[isReserved(key) ? keyMark + key : key] = storable(value[key], depth + 1)
  }
  return copy
}

function storableDate(date: Date): unknown {
  const ms = date.getTime()
  if (!(ms >= firstDate && ms < lastDate)) throw unwritable('RethinkDB holds dates of the years 1400 to 9999')
  return { [typeKey]: 'TIME', epoch_time: ms / 1000, timezone: '+00:00' }
}

function restored(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(restored)
  if (!isPlainObject(value)) return value
  const known = restoredType(value)
  if (known !== undefined) return known
  const copy: EventRecord = {}
  for (const key of Object.keys(value)) setOwn(copy, keyOf(key), restored(value[key]))
  return copy
}

/** Dates, bytes and our marks; undefined for a plain map, and for types that have none of their own here. */
function restoredType(value: EventRecord): unknown {
  const int = Object.hasOwn(value, intMark) ? value[intMark] : undefined
  if (typeof int === 'string' && /^-?\d+$/.test(int)) return BigInt(int)
  const float = Object.hasOwn(value, floatMark) ? value[floatMark] : undefined
  if (typeof float === 'string') return Number(float)
  if (!Object.hasOwn(value, typeKey)) return undefined
  const { [typeKey]: type, epoch_time, data } = value
  // Rounded: a double of seconds would often be cut to the millisecond before.
  if (type === 'TIME' && typeof epoch_time === 'number') return new Date(Math.round(epoch_time * 1000))
  return type === 'BINARY' && typeof data === 'string' ? Buffer.from(data, 'base64') : undefined
}

function keyOf(stored: string): string {
  return stored.startsWith(keyMark) ? stored.slice(keyMark.length) : stored
}

function isReserved(key: string): boolean {
  return key === '__proto__' || (key.startsWith('$') && (key.startsWith('$reql_') || key.startsWith(ours)))
}

function isSafe(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
}

function checkDepth(depth: number): void {
  if (depth >= maxDepth) throw unwritable(`nested more than ${maxDepth} levels deep`)
}

function unwritable(message: string): FeedooError {
  return new FeedooError('RECORD_UNWRITABLE', message)
}
