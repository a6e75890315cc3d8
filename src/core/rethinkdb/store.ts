// The tables of a RethinkDB database as time series, for the reader that input_sqlite and input_rethinkdb share.
import { z } from 'zod'
import type { Cursor, SeriesPage, SeriesStore, SeriesTable, Span, Taken, Unreadable } from '../series/store.ts'
import { decodeDocument } from './documents.ts'
import { RethinkFailure } from './failure.ts'
import type { RethinkPool } from './pool.ts'
import { everything, keyDigest, type Row, Rows } from './rows.ts'
import { ensureTimeIndex } from './tables.ts'

/** Rows of the first page of a table, as long as nobody knows how big they are. */
const firstPage = 100
/** Rows of a span that are looked at together. */
const spanPage = 500

export interface StoreOptions {
  pool: RethinkPool
  database: string
  /** The time field, and the index over it. */
  timeKey: string
  /** Makes that index where it is missing. */
  createIndex: boolean
}

/** A table, and what a feed wants of it beside. */
export interface RethinkTable extends SeriesTable {
  readonly rows: Rows
  /** The rows of these keys, as a page that stands at one place. */
  pageOfKeys(keys: readonly string[], at: Cursor): Promise<SeriesPage>
}

export interface RethinkStore extends SeriesStore {
  table(name: string): Promise<RethinkTable | Unreadable | undefined>
}

/** Times of the first and the last row, and the digests of the keys in Base64. */
const spanSchema = z.tuple([z.number(), z.number(), z.string()])

export function createRethinkStore({ pool, database, timeKey, createIndex }: StoreOptions): RethinkStore {
  return {
    tables: () => whenThere([], () => pool.run((r) => r.db(database).tableList())),
    table: (name) =>
      whenThere(undefined, async () => {
        const { primary_key: primaryKey = 'id', indexes } = await pool.run((r) => r.db(database).table(name).info())
        if (createIndex) await ensureTimeIndex(pool, database, name, timeKey)
        else if (!indexes?.includes(timeKey)) {
          return { problem: `it has no index ${timeKey}; create_index: true would make one` }
        }
        const [index] = await pool.run((r) => r.db(database).table(name).indexWait(timeKey))
        if (index?.multi || index?.geo) return { problem: `its index ${timeKey} is not one over a time` }
        return createTable(name, new Rows({ pool, database, table: name, primaryKey, timeKey }))
      }),
    close: () => pool.close(),
  }
}

function createTable(name: string, rows: Rows): RethinkTable {
  /** Bytes of a row, about, as of the last page. */
  let rowBytes: number | undefined
  return {
    name,
    rows,
    page: (range, limit, bytes) =>
      whenThere(pageOf([], 0), async () => {
        const most = Math.min(limit, rowBytes === undefined ? firstPage : Math.max(1, Math.floor(bytes / rowBytes)))
        const page = pageOf(await rows.read(range, most), most)
        if (page.times.length > 0) rowBytes = Math.max(1, page.bytes / page.times.length)
        return page
      }),
    pageOfKeys: (keys, at) =>
      whenThere(pageOf([], 0), async () => {
        const page = pageOf(await rows.get(keys), 0)
        return { ...page, more: true, cursor: () => at }
      }),
    count: (range) => whenThere(0, () => rows.count(range)),
    last: () => whenThere(undefined, () => rows.last()),
    timeless: () => whenThere(0, async () => Math.max(0, (await rows.countAll()) - (await rows.count(everything)))),
    removeSpan: (span) => whenThere(undefined, () => removeSpan(rows, span)),
    dropIfEmpty: () => whenThere(false, () => rows.drop()),
  }

  function pageOf(found: readonly Row[], limit: number): SeriesPage {
    return {
      times: found.map(([time]) => time),
      records: found.map(([, , text]) => decodeDocument(text)),
      more: found.length > 0 && found.length === limit,
      bytes: found.reduce((bytes, [, , text]) => bytes + text.length, 0),
      cursor(index) {
        const row = found[index]
        if (row === undefined) throw new RangeError(`the page has no row ${index}`)
        return [row[0], row[1]]
      },
      take: (start, end) => take(found.slice(start, end)),
    }
  }

  function take(taken: readonly Row[]): Taken {
    const keys = taken.map(([, key]) => key)
    const digests = Buffer.from(keys.map(keyDigest).join(''), 'hex').toString('base64')
    return {
      span: [taken[0]?.[0] ?? 0, taken.at(-1)?.[0] ?? 0, digests],
      remove: () => whenThere(undefined, () => rows.remove(keys)),
    }
  }
}

async function removeSpan(rows: Rows, span: Span): Promise<void> {
  const [from, until, base64] = spanSchema.parse(span)
  const digests = new Set(Buffer.from(base64, 'base64').toString('hex').match(/.{12}/g))
  let after: Cursor | undefined
  for (;;) {
    const found = await rows.read({ from, until, after }, spanPage)
    const last = found.at(-1)
    if (last === undefined) return
    await rows.remove(found.map(([, key]) => key).filter((key) => digests.has(keyDigest(key))))
    after = [last[0], last[1]]
  }
}

/** What `look` finds, or `otherwise` when the table is gone, or the whole database. */
async function whenThere<T>(otherwise: T, look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    const isGone = error instanceof RethinkFailure && error.kind === 'missing' && !/: Index /.test(error.message)
    if (isGone) return otherwise
    throw error
  }
}
