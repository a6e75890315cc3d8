// Rows that were read and are to be removed while we run: looked at again, and removed if they are what was read.
import type { Json } from '../action.ts'
import type { Taken } from '../series/store.ts'
import type { Connection } from './open.ts'
import { type FileId, isSameFile } from './series-identity.ts'
import type { Layout } from './series-layout.ts'
import { type RowidRange, rangesOf, rowDigest, spanOf } from './series-span.ts'
import type { Statements } from './series-statements.ts'
import type { UseConnection } from './series-table.ts'
import type { Row, SqlValue } from './series-values.ts'

/** The table as it is now; undefined when it is gone. */
type LookAt = (db: Connection, file: FileId) => { layout: Layout; statements: Statements } | undefined

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
    const digests = rows.map(rowDigest)
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
    const { layout, statements } = now
    const isRead = (row: Row) => this.#digests.has(rowDigest(row))
    if (byRowid) statements.removeIds(rangesOf(statements.rowsOfIds(this.#ids).filter(isRead)))
    else for (const row of statements.rows(this.#places).filter(isRead)) statements.remove(placeOf(row, layout))
  }
}

/** What a row begins with: its time and its key. */
export function placeOf(row: Row, { key }: Layout): SqlValue[] {
  return row.slice(0, 1 + key.length)
}
