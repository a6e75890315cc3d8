// Rows that were read and are to be removed: by their keys while we run, by a span after a restart.
import { hash } from 'node:crypto'
import type { Json } from '../action.ts'
import type { Layout } from './series-layout.ts'
import { decodeValue, decodeValues, encodeValue, needsEncoding, type Row, type SqlValue } from './series-values.ts'

/** Ranges of rowids that a span names; when there are more, it names the one around them all. */
const maxRanges = 64

export type RowidRange = readonly [first: number | bigint, last: number | bigint]

/**
 * Rows in the order of reading, first and last included, between which there were no others when they were read. `ids` are
 * their rowids: a row that is inserted later has another one, as a rule a higher one.
 */
export interface SqliteSpan {
  first: readonly SqlValue[]
  last: readonly SqlValue[]
  ids: readonly RowidRange[] | undefined
  /** How many columns a row had. */
  columns: number
  /** Of each row: one of them may be changed, and SQLite may give the rowid of a removed row to a new one. */
  digests: ReadonlySet<string>
}

/** Characters of a digest in Base64, which are 6 bytes: enough to tell a row from others, and from what became of it. */
const digestLength = 8

/**
 * What gives the digest of a row: of its place, and of its first `columns` values with their names. Columns that a table
 * gets later stand behind these.
 */
export function rowDigest({ key, columns }: Layout, count = columns.length): (row: Row) => string {
  const names = digestOf(JSON.stringify(columns.slice(0, count)))
  const end = 1 + key.length + count
  return (whole) => {
    const row = whole.length > end ? whole.slice(0, end) : whole
    // Most rows are JSON as they are.
    return digestOf(names + JSON.stringify(row.some(needsEncoding) ? row.map(encodeValue) : row))
  }
}

function digestOf(text: string): string {
  return hash('sha1', text, 'base64url').slice(0, digestLength)
}

/** The span of rows that were read one after another, and have these digests. Each row begins with its time and its key. */
export function spanOf(rows: readonly Row[], digests: readonly string[], { byRowid, key, columns }: Layout): Json {
  const place = (row: Row | undefined) => (row ?? []).slice(0, 1 + key.length).map(encodeValue)
  const span = { first: place(rows[0]), last: place(rows.at(-1)), columns: columns.length, digests: digests.join('') }
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
    typeof json.columns !== 'number' ||
    typeof json.digests !== 'string'
  ) {
    throw new TypeError(`a span of rows to remove is unreadable: ${JSON.stringify(json)}`)
  }
  const { first, last, columns, digests, ids } = json
  return {
    first: decodeValues(first),
    last: decodeValues(last),
    ids: Array.isArray(ids) ? ids.map(readRange) : undefined,
    columns,
    digests: new Set(digests.match(/.{8}/g)),
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
