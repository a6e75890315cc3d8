// Rows that were read and are to be removed: by their keys while we run, by a span of a few numbers after a restart.
import { hash } from 'node:crypto'
import type { Json } from '../action.ts'
import type { Layout } from './series-layout.ts'
import { decodeValue, decodeValues, encodeValue, needsEncoding, type Row, type SqlValue } from './series-values.ts'

/** Ranges of rowids that a span names; when there are more, it names the one around them all. */
const maxRanges = 64

export type RowidRange = readonly [first: number | bigint, last: number | bigint]

/**
 * Rows in the order of reading, first and last included, and how many they are. When they were read there were no
 * others between the two. `ids` are their rowids: a row that is inserted later has another one, as a rule a higher one.
 */
export interface SqliteSpan {
  first: readonly SqlValue[]
  last: readonly SqlValue[]
  rows: number
  ids: readonly RowidRange[] | undefined
  /** Of all the values in the rows: SQLite may give the rowid of a removed row to a new one. */
  digest: string
}

/** Of all values of a row, its place among them. */
export function rowDigest(row: Row): string {
  // Most rows are JSON as they are.
  return hash('sha1', JSON.stringify(row.some(needsEncoding) ? row.map(encodeValue) : row), 'base64url')
}

/** Of rows in any order. */
export function digestOf(rowDigests: readonly string[]): string {
  return hash('sha1', [...rowDigests].sort().join('\n'), 'base64url')
}

/** The span of rows that were read one after another, and have these digests. Each row begins with its time and its key. */
export function spanOf(rows: readonly Row[], digests: readonly string[], { byRowid, key }: Layout): Json {
  const place = (row: Row | undefined) => (row ?? []).slice(0, 1 + key.length).map(encodeValue)
  const span = { first: place(rows[0]), last: place(rows.at(-1)), rows: rows.length, digest: digestOf(digests) }
  if (!byRowid) return span
  const ranges = rangesOf(rows)
  const first = ranges[0]?.[0]
  const last = ranges.at(-1)?.[1]
  const tooMany = ranges.length > maxRanges && first !== undefined && last !== undefined
  const ids: readonly RowidRange[] = tooMany ? [[first, last]] : ranges
  return { ...span, ids: ids.map((range) => range.map(encodeValue)) }
}

/** Throws a TypeError for what is none. */
export function readSpan(json: Json): SqliteSpan {
  if (
    typeof json !== 'object' ||
    json === null ||
    Array.isArray(json) ||
    typeof json.rows !== 'number' ||
    typeof json.digest !== 'string'
  ) {
    throw new TypeError(`a span of rows to remove is unreadable: ${JSON.stringify(json)}`)
  }
  const { first, last, rows, ids, digest } = json
  return {
    first: decodeValues(first),
    last: decodeValues(last),
    rows,
    digest,
    ids: Array.isArray(ids) ? ids.map(readRange) : undefined,
  }
}

function readRange(json: Json): RowidRange {
  const [first, last] = Array.isArray(json) ? [decodeValue(json[0]), decodeValue(json[1])] : []
  if (isInteger(first) && isInteger(last)) return [first, last]
  throw new TypeError(`a range of rows to remove is unreadable: ${JSON.stringify(json)}`)
}

function isInteger(value: SqlValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/**
 * The rowids of rows, each of which begins with its time and its rowid: nothing else is between the ends of a range. Rows
 * that arrive in order of time are few ranges, a single one mostly.
 */
export function rangesOf(rows: readonly Row[]): RowidRange[] {
  const sorted = rows
    .map((row) => row[1])
    .filter(isInteger)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const ranges: [number | bigint, number | bigint][] = []
  for (const id of sorted) {
    const range = ranges.at(-1)
    if (range !== undefined && isNext(range[1], id)) range[1] = id
    else ranges.push([id, id])
  }
  return ranges
}

function isNext(id: number | bigint, other: number | bigint): boolean {
  if (typeof id === 'number' && typeof other === 'number') return other === id + 1
  return BigInt(other) === BigInt(id) + 1n
}
