// Rows that were read and are to be removed: looked at again, and removed if they still are what was read.
import type { Json } from '../action.ts'
import type { Taken } from '../series/store.ts'
import type { Connection } from './open.ts'
import { type FileId, isSameFile } from './series-identity.ts'
import type { Layout } from './series-layout.ts'
import { type RowidRange, rangesOf, rowDigest, type SqliteSpan, spanOf } from './series-span.ts'
import type { Statements } from './series-statements.ts'
import type { UseConnection } from './series-table.ts'
import type { Row, SqlValue } from './series-values.ts'

/** Rows of a span that are looked at together. */
const spanPage = 1000

/** A table as it is now. */
interface Table {
  layout: Layout
  statements: Statements
}

/** Undefined when it is gone. */
type LookAt = (db: Connection, file: FileId) => Table | undefined

/** Removes the rows of all of them in one transaction. */
export function removeTogether(use: UseConnection, all: readonly SqliteTaken[]): Promise<void> {
  return use((db, file) =>
    db
      .transaction(() => {
        for (const taken of all) taken.removeIn(db, file)
      })
      .immediate(),
  )
}

export class SqliteTaken implements Taken {
  readonly span: Json
  readonly #use: UseConnection
  readonly #lookAt: LookAt
  readonly #layout: Layout
  readonly #file: FileId
  readonly #digests: ReadonlySet<string>
  /** Where the rows were: their rowids, or in a table without these their places. */
  readonly #ids: readonly RowidRange[]
  readonly #places: readonly (readonly SqlValue[])[]

  constructor(rows: readonly Row[], read: { layout: Layout; file: FileId }, use: UseConnection, lookAt: LookAt) {
    const { layout, file } = read
    const digests = rows.map(rowDigest(layout))
    this.span = spanOf(rows, digests, layout)
    this.#use = use
    this.#lookAt = lookAt
    this.#layout = layout
    this.#file = file
    this.#digests = new Set(digests)
    this.#ids = layout.byRowid ? rangesOf(rows) : []
    this.#places = layout.byRowid ? [] : rows.map((row) => placeOf(row, layout))
  }

  remove(): Promise<void> {
    return removeTogether(this.#use, [this])
  }

  /** In a transaction of the caller, who holds the lock. */
  removeIn(db: Connection, file: FileId): void {
    // Equal rows in another file were never read.
    if (!isSameFile(file, this.#file)) return
    const now = this.#lookAt(db, file)
    const { byRowid, key } = this.#layout
    if (now === undefined || now.layout.byRowid !== byRowid || now.layout.key.length !== key.length) return
    const found = byRowid ? now.statements.rowsOfIds(this.#ids) : now.statements.rows(this.#places)
    removeRead(now, found, this.#digests, this.#layout.columns.length)
  }
}

/** Removes what is left of a span, in a transaction of the caller, who holds the lock. */
export function removeSpanIn(now: Table, span: SqliteSpan): void {
  const places = now.statements.spanPlaces(span)
  for (let i = 0; i < places.length; i += spanPage) {
    removeRead(now, now.statements.rows(places.slice(i, i + spanPage)), span.digests, span.columns)
  }
}

/** Those of these rows that hold what was read, when they had so many columns. */
function removeRead(now: Table, found: readonly Row[], digests: ReadonlySet<string>, columns: number): void {
  const { layout, statements } = now
  if (layout.columns.length < columns) return
  const digestOf = rowDigest(layout, columns)
  const read = found.filter((row) => digests.has(digestOf(row)))
  if (layout.byRowid) statements.removeIds(rangesOf(read))
  else for (const row of read) statements.remove(placeOf(row, layout))
}

/** What a row begins with: its time and its key. */
export function placeOf(row: Row, { key }: Layout): SqlValue[] {
  return row.slice(0, 1 + key.length)
}
