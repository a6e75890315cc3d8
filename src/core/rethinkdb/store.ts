// The tables of a RethinkDB database as time series, for the reader that input_sqlite and input_rethinkdb share.
import { createHash } from 'node:crypto'
import type { Connection, RDatum, RSelection, RTable } from 'rethinkdb-ts'
import { z } from 'zod'
import { FeedooError } from '../errors.ts'
import type { Cursor, Range, SeriesPage, SeriesStore, SeriesTable, Span, Taken, Unreadable } from '../series/store.ts'
import { decodeDocument } from './documents.ts'
import { RethinkFailure } from './failure.ts'
import type { R, RethinkPool } from './pool.ts'
import { ensureTimeIndex, timeField } from './tables.ts'

/** Elements of a list on the server: as many rows of the very same time can be sorted by their key. */
const arrayLimit = 1_000_000
/** Rows deleted by one query. */
const deleteSize = 500
/** Bytes kept of the digest of a key, to find a row of a span again. */
const digestBytes = 6

export interface StoreOptions {
  pool: RethinkPool
  database: string
  /** The time field, and the index over it. */
  timeKey: string
  /** Makes that index where it is missing. */
  createIndex: boolean
}

/** Time and primary key, as JSON text, of a row. */
const cursorSchema = z.tuple([z.number(), z.string()])
/** Times of the first and the last row, and digests of the keys. */
const spanSchema = z.tuple([z.number(), z.number(), z.string()])

type Row = readonly [time: number, key: string, text: string]

/** How the time is kept: only the one kind is read. */
type TimeKind = 'number' | 'date'

export function createRethinkStore(options: StoreOptions): SeriesStore {
  const { pool, database, timeKey, createIndex } = options
  return {
    tables: async () => (await pool.run((r) => r.db(database).tableList())) ?? [],
    async table(name): Promise<SeriesTable | Unreadable | undefined> {
      try {
        const { primary_key: primaryKey, indexes } = await pool.run((r) => r.db(database).table(name).info())
        if (createIndex) await ensureTimeIndex(pool, database, name, timeKey)
        else if (!indexes?.includes(timeKey)) {
          return { problem: `it has no index ${timeKey}: make one, or set create_index: true` }
        }
        const [index] = await pool.run((r) => r.db(database).table(name).indexWait(timeKey))
        if (index?.multi || index?.geo) return { problem: `its index ${timeKey} is no index over a time` }
        return createTable(options, name, primaryKey ?? 'id')
      } catch (error) {
        if (error instanceof RethinkFailure && error.kind === 'missing') return undefined
        throw error
      }
    },
    close: () => pool.close(),
  }
}

function createTable(options: StoreOptions, name: string, primaryKey: string): SeriesTable {
  const { pool, database, timeKey } = options
  const rowsOf = (r: R): RTable => r.db(database).table(name)
  let kind: TimeKind | undefined

  /** Undefined while the table holds no row with a time, or is gone. */
  async function findKind(): Promise<TimeKind | undefined> {
    for (const candidate of ['number', 'date'] as const) {
      if (kind !== undefined) break
      const rows = await pool.run((r) => between(r, rowsOf(r), everything, candidate).limit(1).count())
      if (rows > 0) kind = candidate
    }
    return kind
  }

  const between = (r: R, rows: RTable, range: Range, as: TimeKind, left: 'open' | 'closed' = 'closed') =>
    rows.between(bound(r, range.from, as), bound(r, range.until, as), {
      index: timeKey,
      leftBound: left,
      rightBound: 'closed',
    })

  /** What a page wants of a row. The text of the document, because the driver would change keys and dates of an object. */
  const shown = (row: RDatum, as: TimeKind): [RDatum, RDatum, RDatum] => {
    const time = timeField(row, timeKey)
    return [as === 'date' ? time.toEpochTime() : time, row(primaryKey).toJsonString(), row.toJsonString()]
  }

  async function rowsIn(range: Range, limit: number): Promise<Row[]> {
    const as = await findKind()
    if (as === undefined) return []
    const after = range.after === undefined ? undefined : cursorSchema.parse(range.after)
    if (after === undefined || after[0] < range.from) return rowsBehind(range, 'closed', limit, as)
    const [time, key] = after
    if (time > range.until) return []
    // The rest of the rows of the very same time, then those of later times.
    const same = await pool.run((r) =>
      page(
        rowsOf(r)
          .getAll(bound(r, time, as), { index: timeKey })
          .filter((row: RDatum) => row(primaryKey).gt(r.json(key)))
          .orderBy(primaryKey),
        limit,
        as,
      ),
    )
    if (same.length === limit) return same
    const later = await rowsBehind({ ...range, from: time }, 'open', limit - same.length, as)
    return [...same, ...later]
  }

  function rowsBehind(range: Range, left: 'open' | 'closed', limit: number, as: TimeKind): Promise<Row[]> {
    return pool.run((r) =>
      page(between(r, rowsOf(r), range, as, left).orderBy(primaryKey, { index: timeKey }), limit, as),
    )
  }

  const page = (rows: RSelection, limit: number, as: TimeKind) => ({
    // As a list: the answer is one, not a stream that would have to be closed.
    run: (connection: Connection): Promise<Row[]> =>
      rows
        .limit(limit)
        .map((row: RDatum) => shown(row, as))
        .coerceTo('array')
        .run(connection, { arrayLimit }),
  })

  async function removeKeys(keys: readonly string[]): Promise<void> {
    for (let i = 0; i < keys.length; i += deleteSize) {
      const text = `[${keys.slice(i, i + deleteSize).join(',')}]`
      const { errors, first_error } = await pool.run((r) =>
        rowsOf(r)
          .getAll(r.args(r.json(text)))
          .delete(),
      )
      if (errors > 0)
        throw new FeedooError('INPUT_UNREADABLE', `cannot remove rows: ${first_error}`, { retriable: true })
    }
  }

  return {
    name,
    page: (range, limit) => whenThere(pageOf([], limit), async () => pageOf(await rowsIn(range, limit), limit)),
    count: (range) =>
      whenThere(0, async () => {
        const as = await findKind()
        return as === undefined ? 0 : await pool.run((r) => between(r, rowsOf(r), range, as).count())
      }),
    last: () =>
      whenThere(undefined, async () => {
        const as = await findKind()
        if (as === undefined) return undefined
        const [row] = await pool.run((r) =>
          page(between(r, rowsOf(r), everything, as).orderBy({ index: r.desc(timeKey) }), 1, as),
        )
        return row?.[0]
      }),
    timeless: () =>
      whenThere(0, async () => {
        const as = await findKind()
        const all = await pool.run((r) => rowsOf(r).count())
        if (as === undefined) return all
        return Math.max(0, all - (await pool.run((r) => between(r, rowsOf(r), everything, as).count())))
      }),
    removeSpan: (span) =>
      whenThere(undefined, async () => {
        const [from, until, digests] = spanSchema.parse(span)
        const wanted = digestsIn(digests)
        let after: Cursor | undefined
        for (;;) {
          const rows = await rowsIn({ from, until, after }, deleteSize)
          const last = rows.at(-1)
          if (last === undefined) return
          await removeKeys(rows.map(([, key]) => key).filter((key) => wanted.has(digest(key))))
          after = [last[0], last[1]]
        }
      }),
    dropIfEmpty: () =>
      whenThere(false, async () => {
        const isEmpty = await pool.run((r) => rowsOf(r).isEmpty())
        if (!isEmpty) return false
        // Looked at again in the query that drops: RethinkDB has nothing that holds off a writer for longer.
        const answer = await pool.run((r) => r.branch(rowsOf(r).isEmpty(), r.db(database).tableDrop(name), null))
        return answer !== null
      }),
  }

  function pageOf(rows: readonly Row[], limit: number): SeriesPage {
    return {
      times: rows.map(([time]) => time),
      records: rows.map(([, , text]) => decodeDocument(text)),
      more: rows.length === limit,
      bytes: rows.reduce((bytes, [, , text]) => bytes + text.length, 0),
      cursor: (index) => cursorOf(rows[index]),
      take: (start, end) => take(rows.slice(start, end)),
    }
  }

  function take(rows: readonly Row[]): Taken {
    const keys = rows.map(([, key]) => key)
    const [from = 0] = rows[0] ?? []
    const [until = 0] = rows.at(-1) ?? []
    return {
      get span(): Span {
        return [from, until, Buffer.from(keys.map(digest).join(''), 'hex').toString('base64')]
      },
      remove: () => whenThere(undefined, () => removeKeys(keys)),
    }
  }
}

/** What `look` finds, or `otherwise` when the table is gone. */
async function whenThere<T>(otherwise: T, look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    const isGone =
      error instanceof RethinkFailure && error.kind === 'missing' && /: (?:Table|Database) /.test(error.message)
    if (isGone) return otherwise
    throw error
  }
}

const everything: Range = { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }
/** Unix seconds of the years 1400 and 10,000, between which RethinkDB's dates lie. */
const firstDate = -17_987_443_200
const lastDate = 253_402_300_799

function bound(r: R, time: number, as: TimeKind): RDatum {
  if (as === 'date') return r.epochTime(Math.min(lastDate, Math.max(firstDate, time)))
  return r.expr(Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, time)))
}

function cursorOf(row: Row | undefined): Cursor {
  if (row === undefined) throw new RangeError('the page has no such row')
  return [row[0], row[1]]
}

function digest(key: string): string {
  return createHash('sha256')
    .update(key)
    .digest('hex')
    .slice(0, 2 * digestBytes)
}

function digestsIn(base64: string): Set<string> {
  const hex = Buffer.from(base64, 'base64').toString('hex')
  const digests = new Set<string>()
  for (let i = 0; i < hex.length; i += 2 * digestBytes) digests.add(hex.slice(i, i + 2 * digestBytes))
  return digests
}
