// Whether a table is still the one it was: by its file, by its entry in the schema, and by what is left of its rows.
import { hash } from 'node:crypto'
import type { Json } from '../action.ts'
import type { Connection } from './open.ts'
import type { Statements } from './series-statements.ts'
import { decodeValue, encodeValue, type Row, type SqlValue } from './series-values.ts'

/** Which file it is, whatever its name. */
export interface FileId {
  dev: bigint
  ino: bigint
}

export function isSameFile(a: FileId, b: FileId): boolean {
  return a.ino === b.ino && a.dev === b.dev
}

/** Times of rows that were read and tell the table again: no more than these are kept. */
const maxWitnesses = 8

/** What tells a table from others of its name, as it is saved with a position. */
export interface Identity {
  /** The file, and the table's entry in its schema. ALTER TABLE changes it, and VACUUM may; other tables do not. */
  entry: string
  /** Times of some rows that were read, the first one among them. */
  witnesses: readonly SqlValue[]
}

export function entryOf(db: Connection, { ino }: FileId, table: string): string {
  const entry = db
    .prepare<[string], { rootpage: number; sql: string }>(
      "SELECT rootpage, sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?",
    )
    .get(table)
  return `${ino}.${entry?.rootpage}.${hash('sha1', entry?.sql ?? '', 'base64url').slice(0, 8)}`
}

export function encodeIdentity({ entry, witnesses }: Identity): Json {
  return [entry, ...witnesses.map(encodeValue)]
}

/** Undefined for what `encodeIdentity` does not give. */
export function decodeIdentity(json: Json | undefined): Identity | undefined {
  const [entry, ...witnesses] = Array.isArray(json) ? json : []
  return typeof entry === 'string' ? { entry, witnesses: witnesses.map(decodeValue) } : undefined
}

/** Those of before, and some of these rows, each of which begins with its time: the older, the fewer. */
export function withWitnesses(before: readonly SqlValue[], rows: readonly Row[]): readonly SqlValue[] {
  const step = Math.max(1, Math.ceil(rows.length / maxWitnesses))
  let witnesses = [...before, ...rows.filter((_, index) => index % step === 0).map(([time]) => time ?? null)]
  while (witnesses.length > maxWitnesses) witnesses = witnesses.filter((_, index) => index % 2 === 0)
  return witnesses
}

/**
 * Whether a table that has another entry now was dropped and made anew since the row at `place` was the last one read. It
 * was not if a row is left that has its time, or that of a witness: reading a table a second time would be worse than
 * not knowing a new one. Nor if the key is taken by a row that moved on in time. Rowids begin at 1 in a new table.
 */
export function isRemade(
  statements: Statements,
  place: readonly SqlValue[],
  { witnesses }: Identity,
  byRowid: boolean,
): boolean {
  const [time, ...key] = place
  if (!isNumber(time) || [time, ...witnesses].some((of) => statements.hasTime(of))) return false
  const now = statements.timeOf(key)
  if (now !== undefined) return isNumber(now) && now < time
  const [rowid] = key
  return !byRowid || (isNumber(rowid) && statements.highestRowid() < rowid)
}

function isNumber(value: SqlValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
