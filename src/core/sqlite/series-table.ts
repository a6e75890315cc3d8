// One SQLite table as a time series: pages in order of time, and the removal of what was read.
import type { Json } from '../action.ts'
import type { Range, SeriesPage, SeriesTable, Span } from '../series/store.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Connection } from './open.ts'
import { decodeIdentity, encodeIdentity, entryOf, type FileId, isRemade, withWitnesses } from './series-identity.ts'
import { KeyRun } from './series-key-run.ts'
import { type Layout, layoutOf } from './series-layout.ts'
import { inSnapshot, schemaVersionOf } from './series-snapshot.ts'
import { readSpan } from './series-span.ts'
import { type Bounds, boundsOf, type Statements, statementsOf } from './series-statements.ts'
import { placeOf, removeSpanIn, SqliteTaken } from './series-taken.ts'
import { type BuildRecord, encodeValue, measure, type Row, recordBuilder, type SqlValue } from './series-values.ts'

/** Bytes of a row while nothing is known of it. */
const firstRowBytes = 16 * 1024

/** Gives the connection to synchronous work, and turns what it throws into a FeedooError. */
export type UseConnection = <T>(work: (db: Connection, file: FileId) => T) => Promise<T>

/** What goes with one layout of the table, on one connection. */
interface Ready {
  db: Connection
  file: FileId
  schemaVersion: number | undefined
  layout: Layout
  statements: Statements
  build: BuildRecord
  run: KeyRun | undefined
  /** Its entry in the schema, and another one that turned out to be of this very table. */
  entry: string
  known: string | undefined
}

export class SqliteSeriesTable implements SeriesTable {
  readonly name: string
  readonly advice?: string
  readonly #timeKey: string
  readonly #use: UseConnection
  /** Rows of its pages may be taken. */
  readonly #removes: boolean
  #ready: Ready | undefined
  #rowBytes = firstRowBytes
  /** The highest rowid when rows were last looked up. */
  #highest: bigint | undefined

  constructor(name: string, timeKey: string, layout: Layout, use: UseConnection, removes: boolean) {
    this.name = name
    this.#timeKey = timeKey
    this.#use = use
    this.#removes = removes
    if (!layout.indexed) {
      const sql = `CREATE INDEX ${quoteIdentifier(`${name}_${timeKey}`)} ON ${quoteIdentifier(name)} (${quoteIdentifier(timeKey)})`
      this.advice = `there is no index on its field ${timeKey}, so that it is searched from beginning to end again and again: ${sql}`
    }
  }

  page(range: Range, limit: number, bytes: number): Promise<SeriesPage> {
    return this.#use((db, file) =>
      // One snapshot for all that is asked.
      inSnapshot(db, () => {
        const ready = this.#prepare(db, file)
        return ready === undefined ? emptyPage : this.#page(ready, range, limit, bytes)
      }),
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

  removeSpan(span: Span): Promise<void> {
    return this.#use((db, file) => db.transaction(() => this.removeSpanIn(db, file, span)).immediate())
  }

  /** The same in a transaction of the caller, who holds the lock. */
  removeSpanIn(db: Connection, file: FileId, json: Span): void {
    const span = readSpan(json)
    const ready = this.#prepare(db, file)
    if (ready !== undefined) removeSpanIn(ready, span)
  }

  dropIfEmpty(): Promise<boolean> {
    return this.#write((db, { statements }) => {
      if (!statements.isEmpty()) return false
      db.exec(`DROP TABLE main.${quoteIdentifier(this.name)}`)
      return true
    }, false)
  }

  #ask<T>(gone: T, work: (ready: Ready) => T): Promise<T> {
    return this.#use((db, file) => {
      const ready = this.#prepare(db, file)
      return ready === undefined ? gone : work(ready)
    })
  }

  #write<T>(work: (db: Connection, ready: Ready) => T, gone: T): Promise<T> {
    return this.#use((db, file) =>
      db
        .transaction(() => {
          const ready = this.#prepare(db, file)
          return ready === undefined ? gone : work(db, ready)
        })
        .immediate(),
    )
  }

  /** The statements for the table as it is now; undefined when it is gone, or has no times any more. */
  readonly #prepare = (db: Connection, file: FileId): Ready | undefined => {
    const schemaVersion = schemaVersionOf(db)
    if (this.#ready?.db === db && this.#ready.schemaVersion === schemaVersion) return this.#ready
    this.#ready = undefined
    const layout = layoutOf(db, this.name, this.#timeKey)
    if (layout === undefined || 'problem' in layout) return undefined
    const statements = statementsOf(db, this.name, layout)
    const build = recordBuilder(layout.columns, 1 + layout.key.length)
    const entry = entryOf(db, file, this.name)
    this.#ready = { db, file, schemaVersion, layout, statements, build, run: undefined, entry, known: undefined }
    return this.#ready
  }

  #page(ready: Ready, asked: Range, limit: number, room: number): SeriesPage {
    const { layout, statements } = ready
    const remade = this.#isRemade(ready, asked)
    if (remade) this.#highest = undefined
    const witnesses = remade ? [] : (decodeIdentity(asked.identity)?.witnesses ?? [])
    const bounds = boundsOf(remade ? { ...asked, after: undefined, seen: undefined } : asked)
    const most = Math.max(1, Math.min(limit, Math.floor(room / this.#rowBytes)))
    const goesOn = ready.run?.goesOn(bounds) === true
    if (!goesOn) {
      const missed = missedRows(statements, bounds, most)
      if (missed.length > 0)
        return { ...this.#pageOf(missed, true, ready, witnesses), cursor: () => asked.after ?? null }
    }
    const late = goesOn ? 0 : this.#countLate(ready, bounds)
    let rows: readonly Row[]
    let more: boolean
    if (layout.indexed) {
      rows = statements.page(bounds, most)
      more = rows.length === most
    } else {
      const run = goesOn && ready.run !== undefined ? ready.run : new KeyRun(statements, bounds, limit)
      ready.run = run
      rows = run.next(most)
      more = run.more
      if (rows.length === 0 && more) {
        // Somebody else has removed all that was looked up: what is there now is found in this snapshot.
        ready.run = new KeyRun(statements, bounds, limit)
        rows = ready.run.next(most)
        more = ready.run.more
      }
    }
    return {
      ...this.#pageOf(rows, more, ready, witnesses),
      ...(late > 0 ? { late } : {}),
      ...(remade ? { remade: true as const } : {}),
    }
  }

  #pageOf(rows: readonly Row[], more: boolean, ready: Ready, before: readonly SqlValue[]): SeriesPage {
    const { layout, build, entry } = ready
    const { bytes } = measure(rows)
    if (rows.length > 0) this.#rowBytes = Math.max(1, bytes / rows.length)
    return {
      times: rows.map((row) => Number(row[0])),
      records: rows.map(build),
      more,
      bytes,
      identity: encodeIdentity({ entry, witnesses: withWitnesses(before, rows) }),
      ...(this.#removes ? this.#placesByRow(rows, ready) : placesByColumn(rows, layout)),
    }
  }

  #isRemade(ready: Ready, asked: Range): boolean {
    const { entry, known, layout, statements } = ready
    const { after } = boundsOf(asked)
    if (after === undefined) return false
    if (after.length !== 1 + layout.key.length) return true
    const identity = decodeIdentity(asked.identity)
    if (identity === undefined || identity.entry === entry || identity.entry === known) return false
    if (isRemade(statements, after, identity, layout.byRowid)) return true
    ready.known = identity.entry
    return false
  }

  /** Rows that have come behind the reader: with a rowid that was not there at its last look, and a time it has passed. */
  #countLate({ layout, statements }: Ready, { after }: Bounds): number {
    if (!layout.byRowid) return 0
    const before = this.#highest
    this.#highest = statements.highestRowid()
    if (before === undefined || after === undefined || this.#highest <= before) return 0
    return statements.countLate(before, this.#highest, after)
  }

  #placesByRow(rows: readonly Row[], ready: Ready): Places {
    const { layout } = ready
    return {
      cursor: (index) => placeOf(rows[index] ?? [], layout).map(encodeValue),
      ...(layout.byRowid ? {} : { key: (index) => keyOf(placeOf(rows[index] ?? [], layout)) }),
      take: (start, end) => new SqliteTaken(rows.slice(start, end), ready, this.#use, this.#prepare),
    }
  }
}

type Places = Pick<SeriesPage, 'cursor' | 'key' | 'take'>

const emptyPage: SeriesPage = {
  times: [],
  records: [],
  more: false,
  bytes: 0,
  cursor: () => null,
  take: () => ({ span: null, remove: async () => {} }),
}

/** Without the rows, which would take as much memory as the records. */
function placesByColumn(rows: readonly Row[], { key, byRowid }: Layout): Places {
  const columns = Array.from({ length: 1 + key.length }, (_, column) => rows.map((row) => row[column] ?? null))
  const placeAt = (index: number) => columns.map((values) => values[index] ?? null)
  return {
    cursor: (index) => placeAt(index).map(encodeValue),
    ...(byRowid ? {} : { key: (index) => keyOf(placeAt(index)) }),
    take() {
      throw new TypeError('a file that is open for reading only has rows removed')
    },
  }
}

/** Rows of the time of `after` that were not seen, though they stand before it. */
function missedRows(statements: Statements, { from, until, after, seen }: Bounds, limit: number): readonly Row[] {
  const time = after?.[0]
  if (after === undefined || seen === undefined || seen.size === 0) return []
  if (typeof time !== 'number' && typeof time !== 'bigint') return []
  if (time < from || time > until) return []
  const places = statements.placesBefore(after, limit + seen.size)
  return statements.rows(places.filter((place) => !seen.has(JSON.stringify(keyOf(place)))).slice(0, limit))
}

function keyOf(place: readonly SqlValue[]): Json {
  return place.slice(1).map(encodeValue)
}
