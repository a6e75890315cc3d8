// Values of rows on their way from SQLite: exact integers, cursors as JSON, records.
import type { Json } from '../action.ts'
import type { EventRecord } from '../event.ts'

/** What SQLite stores. An integer beyond 2^53 is a bigint. */
export type SqlValue = null | number | bigint | string | Buffer

export type Row = readonly SqlValue[]

/** Bytes that a value takes beside its own: the slot, the header of a string. */
const valueBytes = 16

/**
 * About how many bytes the rows take, and whether one of them holds a number that may be an integer beyond 2^53: then the
 * rows must be read again as bigints, to see which.
 */
export function measure(rows: readonly Row[]): { bytes: number; doubtful: boolean } {
  let bytes = 0
  let doubtful = false
  for (const row of rows) {
    bytes += row.length * valueBytes
    for (const value of row) {
      if (typeof value === 'number') {
        if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) doubtful = true
      } else if (typeof value === 'string' || value instanceof Buffer) {
        bytes += value.length
      }
    }
  }
  return { bytes, doubtful }
}

/** Rows in which every integer is a bigint: a number where it fits. */
export function normalized(rows: readonly Row[]): readonly Row[] {
  return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? smallest(value) : value)))
}

function smallest(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

/** As JSON: what JSON cannot hold becomes a map. */
export function encodeValue(value: SqlValue): Json {
  if (typeof value === 'bigint') return { i: value.toString() }
  if (typeof value === 'object' && value !== null) return { b: value.toString('base64') }
  return value
}

/** False for what `encodeValue` leaves as it is. */
export function needsEncoding(value: SqlValue): boolean {
  return typeof value === 'bigint' || (typeof value === 'object' && value !== null)
}

/** Throws a TypeError for what `encodeValue` does not give. */
export function decodeValue(json: Json | undefined): SqlValue {
  if (json === null || typeof json === 'number' || typeof json === 'string') return json
  if (typeof json === 'object' && !Array.isArray(json)) {
    if (typeof json.i === 'string') return BigInt(json.i)
    if (typeof json.b === 'string') return Buffer.from(json.b, 'base64')
  }
  throw new TypeError(`a position in a SQLite table is unreadable: ${JSON.stringify(json)}`)
}

/** A list of them. */
export function decodeValues(json: Json | undefined): SqlValue[] {
  if (!Array.isArray(json)) throw new TypeError(`a position in a SQLite table is unreadable: ${JSON.stringify(json)}`)
  return json.map(decodeValue)
}

export type BuildRecord = (row: Row) => EventRecord

/** Compiles `row -> { name: row[i], ... }`, the first column at index `from`: as fast as a literal written by hand. */
export function recordBuilder(columns: readonly string[], from: number): BuildRecord {
  // In brackets `__proto__` is a key like any other; the other names do without, which is faster.
  const fields = columns.map((name, index) => {
    const key = name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)
    return `${key}: row[${from + index}]`
  })
  return new Function('row', `return { ${fields.join(', ')} }`) as BuildRecord
}
