// Whether a table is still the one it was: by its file, by the version of the schema, and by what is left of its rows.
import type { Statements } from './series-statements.ts'
import type { SqlValue } from './series-values.ts'

/** Which file it is, whatever its name. */
export interface FileId {
  dev: bigint
  ino: bigint
}

export function isSameFile(a: FileId, b: FileId): boolean {
  return a.ino === b.ino && a.dev === b.dev
}

/** Any change of a table changes it, of other tables too, and VACUUM. */
export function identityOf({ ino }: FileId, schemaVersion: number | undefined): string {
  return `${ino}.${schemaVersion}`
}

/**
 * Whether a table that has another identity now was dropped and made anew since the row at `place` was the last one
 * read. It was not if a row of that time is left; nor if the key is taken by a row that moved on in time, or was given to
 * a row before. Rowids begin at 1 in a new table.
 */
export function isRemade(statements: Statements, place: readonly SqlValue[], byRowid: boolean): boolean {
  const [time, ...key] = place
  if (!isNumber(time) || statements.hasTime(time)) return false
  const now = statements.timeOf(key)
  if (now !== undefined) return isNumber(now) && now < time
  const [rowid] = key
  return !byRowid || (isNumber(rowid) && statements.highestRowid() < rowid)
}

function isNumber(value: SqlValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
