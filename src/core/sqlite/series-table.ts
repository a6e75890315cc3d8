// One SQLite table as a time series: pages in order of time, and the removal of what was read.
import type { Range, SeriesPage, SeriesTable, Span, Taken } from '../series/store.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Connection } from './open.ts'
import { KeyRun } from './series-key-run.ts'
import { type Layout, layoutOf } from './series-layout.ts'
import { digestOf, readSpan, spanOf } from './series-span.ts'
import { type Bounds, boundsOf, type Statements, statementsOf } from './series-statements.ts'
import { type BuildRecord, encodeValue, measure, type Row, recordBuilder, type SqlValue } from './series-values.ts'

/** Bytes of a row while nothing is known of it. */
const firstRowBytes = 16 * 1024

/** Gives the connection to synchronous work, and turns what it throws into a FeedooError. */
export type UseConnection = <T>(work: (db: Connection) => T) => Promise<T>

/** What goes with one layout of the table, on one connection. */
interface Ready {
  db: Connection
  schemaVersion: unknown
  layout: Layout
  statements: Statements
  build: BuildRecord
  run: KeyRun | undefined
}

export class SqliteSeriesTable implements SeriesTable {
  readonly name: string
  readonly advice?: string
  readonly #timeKey: string
  readonly #use: UseConnection
  #ready: Ready | undefined
  #rowBytes = firstRowBytes
  /** The highest rowid when rows were last looked up. */
  #highest: bigint | undefined

  constructor(name: string, timeKey: string, layout: Layout, use: UseConnection) {
    this.name = name
    this.#timeKey = timeKey
    this.#use = use
    if (!layout.indexed) {
      const sql = `CREATE INDEX ${quoteIdentifier(`${name}_${timeKey}`)} ON ${quoteIdentifier(name)} (${quoteIdentifier(timeKey)})`
      this.advice = `there is no index on its field ${timeKey}, so that it is searched from beginning to end again and again: ${sql}`
    }
  }

  page(range: Range, limit: number, bytes: number): Promise<SeriesPage> {
    return this.#use((db) =>
      // One snapshot for all that is asked.
      db.transaction(() => {
        const ready = this.#prepare(db)
        return ready === undefined ? emptyPage : this.#page(ready, boundsOf(range), limit, bytes)
      })(),
    )
  }

  count(range: Range): Promise<number> {
    return this.#ask(0, ({ statements }) => statements.count(boundsOf(range)))
  }

  last(): Promise<number | undefined> {
    return this.#ask(undefined, ({ statements }) => statements.last())
  }

  timeless(): Promise<number> {
    return this.#ask(0, ({ statements }) => statements.timeless())
  }

  removeSpan(json: Span): Promise<void> {
    const span = readSpan(json)
    return this.#write((_, { statements }) => {
      // They are removed a span at a time, all or none: others than these very rows have been inserted since.
      if (digestOf(statements.spanRows(span)) === span.digest) statements.removeSpan(span)
    }, undefined)
  }

  dropIfEmpty(): Promise<boolean> {
    return this.#write((db, { statements }) => {
      if (!statements.isEmpty()) return false
      db.exec(`DROP TABLE main.${quoteIdentifier(this.name)}`)
      return true
    }, false)
  }

  #ask<T>(gone: T, work: (ready: Ready) => T): Promise<T> {
    return this.#use((db) => {
      const ready = this.#prepare(db)
      return ready === undefined ? gone : work(ready)
    })
  }

  #write<T>(work: (db: Connection, ready: Ready) => T, gone: T): Promise<T> {
    return this.#use((db) =>
      db
        .transaction(() => {
          const ready = this.#prepare(db)
          return ready === undefined ? gone : work(db, ready)
        })
        .immediate(),
    )
  }

  /** The statements for the table as it is now; undefined when it is gone, or has no times any more. */
  #prepare(db: Connection): Ready | undefined {
    const schemaVersion = db.pragma('schema_version', { simple: true })
    if (this.#ready?.db === db && this.#ready.schemaVersion === schemaVersion) return this.#ready
    this.#ready = undefined
    const layout = layoutOf(db, this.name, this.#timeKey)
    if (layout === undefined || 'problem' in layout) return undefined
    const statements = statementsOf(db, this.name, layout)
    const build = recordBuilder(layout.columns, 1 + layout.key.length)
    this.#ready = { db, schemaVersion, layout, statements, build, run: undefined }
    return this.#ready
  }

  #page(ready: Ready, bounds: Bounds, limit: number, room: number): SeriesPage {
    const { layout, statements, build } = ready
    const most = Math.max(1, Math.min(limit, Math.floor(room / this.#rowBytes)))
    let rows: readonly Row[]
    let more: boolean
    let late = 0
    if (layout.indexed) {
      late = this.#countLate(ready, bounds)
      rows = statements.page(bounds, most)
      more = rows.length === most
    } else {
      if (!ready.run?.goesOn(bounds)) {
        late = this.#countLate(ready, bounds)
        ready.run = new KeyRun(statements, bounds, limit)
      }
      rows = ready.run.next(most)
      more = ready.run.more
    }
    const { bytes } = measure(rows)
    if (rows.length > 0) this.#rowBytes = Math.max(1, bytes / rows.length)
    return {
      times: rows.map((row) => Number(row[0])),
      records: rows.map(build),
      more,
      bytes,
      ...(late > 0 ? { late } : {}),
      cursor: (index) => placeOf(rows[index] ?? [], layout).map(encodeValue),
      take: (start, end) => this.#take(rows.slice(start, end), layout),
    }
  }

  /** Rows that have come behind the reader: with a rowid that was not there at its last look, and a time it has passed. */
  #countLate({ layout, statements }: Ready, { after }: Bounds): number {
    if (!layout.byRowid) return 0
    const before = this.#highest
    this.#highest = statements.highestRowid()
    if (before === undefined || after === undefined || this.#highest <= before) return 0
    return statements.countLate(before, this.#highest, after)
  }

  #take(rows: readonly Row[], layout: Layout): Taken {
    const places = rows.map((row) => placeOf(row, layout))
    const remove = () =>
      this.#write((_, { statements }) => {
        for (const place of places) statements.remove(place)
      }, undefined)
    return { span: spanOf(rows, layout), remove }
  }
}

const emptyPage: SeriesPage = {
  times: [],
  records: [],
  more: false,
  bytes: 0,
  cursor: () => null,
  take: () => ({ span: null, remove: async () => {} }),
}

/** What a row begins with: its time and its key. */
function placeOf(row: Row, { key }: Layout): SqlValue[] {
  return row.slice(0, 1 + key.length)
}
