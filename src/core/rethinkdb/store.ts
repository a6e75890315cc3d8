// The tables of a RethinkDB database as time series, for the reader that input_sqlite and input_rethinkdb share.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FeedooError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Cursor, Range, SeriesPage, SeriesStore, SeriesTable, Span, Taken, Unreadable } from '../series/store.ts'
import { decodeDocument } from './documents.ts'
import { RethinkFailure } from './failure.ts'
import { compareKeys } from './keys.ts'
import type { R, RethinkPool } from './pool.ts'
import { placeSchema, type Row, Rows } from './rows.ts'
import { ensureTimeIndex, type WaitOptions, waitForIndex } from './tables.ts'

/** Rows of the first page of a table, as long as nobody knows how big they are. */
const firstPage = 100
/** Rows of a span that are looked at together. */
const spanPage = 500
/** Seconds to wait for the tables of a server that is back: one that cannot be read is not to hold up the others. */
const readyTimeout = 5

export interface StoreOptions {
  pool: RethinkPool
  database: string
  /** The time field, and the index over it. */
  timeKey: string
  /** Makes that index where it is missing. */
  createIndex: boolean
  /** The database has to be there; or else it is waited for. */
  mustExist: boolean
  /** How it waits for an index that is being built. */
  wait: WaitOptions
  log: Pick<Logger, 'warn'>
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

/** Times of the first and the last row, and the digests of the rows in Base64. */
const spanSchema = z.tuple([z.number(), z.number(), z.string()])

export function createRethinkStore(options: StoreOptions): RethinkStore {
  const { pool, database, timeKey, createIndex, mustExist, wait, log } = options
  const withoutIndex = `it has no index ${timeKey}; create_index: true would make one`
  const whenReady = createWhenReady(pool, database)
  let isMissing = false
  return {
    tables,
    table: (name) => whenThere(undefined, () => whenReady(() => look(name))),
    close: () => pool.close(),
  }

  async function tables(): Promise<readonly string[] | undefined> {
    const names = await whenThere(undefined, () => whenReady(() => pool.run((r) => r.db(database).tableList())))
    if (names === undefined) {
      const message = `there is no database ${database}`
      if (mustExist) throw new FeedooError('INPUT_UNREADABLE', message)
      if (!isMissing) log.warn({ database }, `${message}; it is read when there is one`)
    }
    isMissing = names === undefined
    return names
  }

  async function look(name: string): Promise<RethinkTable | Unreadable> {
    const rows = new Rows({ pool, database, table: name, timeKey })
    const { indexes } = await rows.look()
    if (createIndex) await ensureTimeIndex(pool, database, name, timeKey)
    else if (!indexes.includes(timeKey)) return { problem: withoutIndex }
    const index = await waitForIndex(pool, database, name, timeKey, wait)
    if (index === undefined) return { problem: withoutIndex }
    if (index.multi || index.geo) return { problem: `its index ${timeKey} is not one over a time` }
    return createTable(name, rows, withoutIndex)
  }
}

function createTable(name: string, rows: Rows, withoutIndex: string): RethinkTable {
  /** Bytes of a row, about, as of the last page. */
  let rowBytes: number | undefined
  /** Which table it is. It is looked at again before the first page of each round: that takes longer than a short page. */
  let identity: string | undefined
  let isFirst = true

  async function read(range: Range, limit: number): Promise<SeriesPage> {
    if (isFirst) identity = (await rows.look()).id
    isFirst = true
    const remade = identity !== undefined && range.identity !== undefined && range.identity !== identity
    if (remade) rows.forget()
    const wanted = remade ? { from: range.from, until: range.until } : range
    const found = await rows.read(wanted, limit)
    const page = pageOf(found, limit, wanted.after)
    isFirst = !page.more
    return {
      ...page,
      key: (index) => found[index]?.[1] ?? '',
      ...(identity === undefined ? {} : { identity }),
      ...(remade ? { remade } : {}),
    }
  }

  return {
    name,
    rows,
    page: (range, limit, bytes) =>
      whenThere(
        pageOf([], 0),
        async () => {
          const most = Math.min(limit, rowBytes === undefined ? firstPage : Math.max(1, Math.floor(bytes / rowBytes)))
          const page = await read(range, most)
          if (page.times.length > 0) rowBytes = Math.max(1, page.bytes / page.times.length)
          return page
        },
        { ...pageOf([], 0), problem: withoutIndex },
      ),
    pageOfKeys: (keys, at) =>
      whenThere(pageOf([], 0), async () => {
        const page = pageOf(await rows.get(keys), 0)
        return { ...page, more: true, cursor: () => at }
      }),
    count: (range) => whenThere(0, () => rows.count(range)),
    last: () => whenThere(undefined, () => rows.last()),
    timeless: () => whenThere(0, () => rows.timeless()),
    removeSpan: (span) => whenThere(undefined, () => removeSpan(rows, span)),
    dropIfEmpty: () => whenThere(false, () => rows.drop()),
  }

  /** Rows that stand before `after`, of its very time, leave it where it is. */
  function pageOf(found: readonly Row[], limit: number, after?: Cursor): SeriesPage {
    const [time, key] = after === undefined ? [] : placeSchema.parse(after)
    const [first] = found
    const isBefore = first !== undefined && first[0] === time && compareKeys(first[1], key ?? '') <= 0
    return {
      times: found.map(([time]) => time),
      records: found.map(([, , text]) => decodeDocument(text)),
      more: found.length > 0 && (isBefore || found.length === limit),
      bytes: found.reduce((bytes, [, , text]) => bytes + text.length, 0),
      cursor(index) {
        const row = found[index]
        if (row === undefined) throw new RangeError(`the page has no row ${index}`)
        return isBefore && after !== undefined ? after : [row[0], row[1]]
      },
      take: (start, end) => take(found.slice(start, end)),
    }
  }

  function take(taken: readonly Row[]): Taken {
    const keys = taken.map(([, key]) => key)
    const digests = taken.map(rowDigest)
    const isTaken = isAmong(digests)
    return {
      span: [taken[0]?.[0] ?? 0, taken.at(-1)?.[0] ?? 0, Buffer.from(digests.join(''), 'hex').toString('base64')],
      remove: () =>
        whenThere(undefined, async () => {
          // Looked at just before: a change in between is all that goes unseen.
          for (let i = 0; i < keys.length; i += spanPage) {
            await rows.remove((await rows.get(keys.slice(i, i + spanPage))).filter(isTaken))
          }
        }),
    }
  }
}

async function removeSpan(rows: Rows, span: Span): Promise<void> {
  const [from, until, base64] = spanSchema.parse(span)
  const isTaken = isAmong(Buffer.from(base64, 'base64').toString('hex').match(/.{12}/g) ?? [])
  let after: Cursor | undefined
  for (;;) {
    const found = await rows.read({ from, until, after }, spanPage)
    const last = found.at(-1)
    if (last === undefined) return
    await rows.remove(found.filter(isTaken))
    after = [last[0], last[1]]
  }
}

function isAmong(digests: readonly string[]): (row: Row) => boolean {
  const known = new Set(digests)
  return (row) => known.has(rowDigest(row))
}

/** 12 hexadecimal digits: enough to know the rows of a span again, and to tell them from others, and from what became of them. */
function rowDigest([, key, text]: Row): string {
  return createHash('sha256').update(`${key}\0${text}`).digest('hex').slice(0, 12)
}

/** A server that comes up tells what tables it has about a second before it reads them: until it does, it is still away. */
function createWhenReady(pool: RethinkPool, database: string): <T>(look: () => Promise<T>) => Promise<T> {
  const ready = (r: R) => r.db(database).wait({ waitFor: 'ready_for_reads', timeout: readyTimeout })
  let wasAway = false
  return async (look) => {
    try {
      const found = await look()
      // reqlite does not know it. Whether a table can be read, its first page tells.
      if (wasAway) await pool.run(ready).catch(() => {})
      wasAway = false
      return found
    } catch (error) {
      wasAway ||= error instanceof RethinkFailure && error.kind === 'away'
      throw error
    }
  }
}

/** What `look` finds, or `otherwise` when the table is gone, or the whole database, and `unindexed` when its index is. */
export async function whenThere<T>(otherwise: T, look: () => Promise<T>, unindexed = otherwise): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof RethinkFailure && error.kind === 'missing')) throw error
    return /: Index /.test(error.message) ? unindexed : otherwise
  }
}
