// The rows of one RethinkDB table in the order of their time index: the queries of the reader.
import type { Connection, RDatum, RFeed, RSelection, RTable } from 'rethinkdb-ts'
import { z } from 'zod'
import { FeedooError } from '../errors.ts'
import type { Range } from '../series/store.ts'
import { compareKeys } from './keys.ts'
import type { R, RethinkPool } from './pool.ts'
import { timeField } from './tables.ts'

/** Elements of a list on the server: as many rows of the very same time can be sorted by their key. */
const arrayLimit = 1_000_000
/** Rows deleted by one query. */
const deleteSize = 500
/** Changes of a table that may wait on the server until a feed takes them; when there are more, it skips them all. */
const feedQueue = 100_000
/** Rows of a kind of time that are counted to tell which of two kinds more rows have: where both have more, it is all one. */
const mostCounted = 1_000_000
/** Unix seconds between which RethinkDB's dates lie: the years 1400 and 9999. */
const firstDate = -17_987_443_200
const lastDate = 253_402_300_799

/** A row: its time in Unix seconds, its primary key and itself as JSON text. */
export type Row = readonly [time: number, key: string, text: string]

/** How the time is kept: a table is read as of the one kind. */
type TimeKind = 'number' | 'date'

/** What ReQL calls them. */
const typeNames = { number: 'NUMBER', date: 'PTYPE<TIME>' } as const

/** The time and the key of a row, for the position. */
export const placeSchema = z.tuple([z.number(), z.string()])
export type Place = z.output<typeof placeSchema>

export interface RowsOptions {
  pool: RethinkPool
  database: string
  table: string
  timeKey: string
}

const everything: Range = { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }

/** Its methods throw a RethinkFailure; of the kind `missing` when the table or the index is gone. */
export class Rows {
  readonly #options: RowsOptions
  #primaryKey = 'id'
  #kind: TimeKind | undefined

  constructor(options: RowsOptions) {
    this.#options = options
  }

  /** Looks what table it is: the server gives each an id of its own. Also what its indexes are called. */
  async look(): Promise<{ id: string | undefined; indexes: readonly string[] }> {
    const { id, primary_key = 'id', indexes = [] } = await this.#options.pool.run((r) => this.all(r).info())
    this.#primaryKey = primary_key
    return { id, indexes }
  }

  /** What was found out about its rows does not hold for those of another table. */
  forget(): void {
    this.#kind = undefined
  }

  all(r: R): RTable {
    return r.db(this.#options.database).table(this.#options.table)
  }

  /** Rows of a range by time and then by key. Those before `range.after`, of its very time, come alone. */
  async read(range: Range, limit: number): Promise<Row[]> {
    const after = range.after === undefined ? undefined : placeSchema.parse(range.after)
    const kind = await this.#findKind()
    if (kind === undefined) return []
    if (after === undefined || after[0] < range.from) return this.#behind(range, 'closed', limit, kind)
    const [time, key] = after
    if (time > range.until) return []
    // The rest of the rows of the very same time, then those of later times.
    const same = await (range.seen === undefined
      ? this.#sameTime(time, key, limit, kind)
      : this.#unseen(time, z.array(z.string()).parse(range.seen), limit, kind))
    const before = same.filter(([, other]) => compareKeys(other, key) <= 0)
    if (before.length > 0) return before
    if (same.length >= limit) return same
    return [...same, ...(await this.#behind({ ...range, from: time }, 'open', limit - same.length, kind))]
  }

  /** The rows of these keys that are there, in order of time; not those whose time is of the other kind, or none. */
  async get(keys: readonly string[]): Promise<Row[]> {
    const kind = await this.#findKind()
    if (kind === undefined || keys.length === 0) return []
    const { pool, timeKey } = this.#options
    const rows = await pool.run((r) => {
      const timed = (row: RDatum) => timeField(row, timeKey).typeOf().eq(typeNames[kind])
      return this.#list(this.all(r).getAll(keyList(r, keys)).filter(timed), keys.length, kind)
    })
    return rows.sort(([a], [b]) => a - b)
  }

  async count(range: Range): Promise<number> {
    const kind = await this.#findKind()
    if (kind === undefined) return 0
    return this.#options.pool.run((r) => this.#between(r, range, 'closed', kind).count())
  }

  /**
   * Rows without a time of the kind that is read: as many as there are for certain, also while others come and go. When
   * more rows have a time of the other kind, that is read from now on.
   */
  async timeless(): Promise<number> {
    let found = await this.#leastTimeless()
    if (found === 0) return 0
    const kind = await this.#commonestKind(this.#kind ?? 'number')
    if (kind !== this.#kind) {
      this.#kind = kind
      found = await this.#leastTimeless()
    }
    // Only what is found a second time: some rows may have come, and others gone, between two counts.
    return Math.min(found, await this.#leastTimeless())
  }

  /** Unix seconds of the last row. */
  async last(): Promise<number | undefined> {
    const kind = await this.#findKind()
    if (kind === undefined) return undefined
    const [row] = await this.#options.pool.run((r) =>
      this.#list(
        this.#between(r, everything, 'closed', kind).orderBy({ index: r.desc(this.#options.timeKey) }),
        1,
        kind,
      ),
    )
    return row?.[0]
  }

  async remove(rows: readonly Row[]): Promise<void> {
    for (let i = 0; i < rows.length; i += deleteSize) {
      const keys = rows.slice(i, i + deleteSize).map(([, key]) => key)
      const { errors, first_error } = await this.#options.pool.run((r) => this.all(r).getAll(keyList(r, keys)).delete())
      if (errors === 0) continue
      throw new FeedooError('INPUT_UNREADABLE', `RethinkDB does not remove rows: ${first_error}`, { retriable: true })
    }
  }

  /** Drops the table if it is empty. */
  async drop(): Promise<boolean> {
    const { pool, database, table } = this.#options
    if (!(await pool.run((r) => this.all(r).isEmpty()))) return false
    // Looked at again in the query that drops: RethinkDB has nothing that holds off a writer in between.
    const answer = await pool.run((r) => r.branch(this.all(r).isEmpty(), r.db(database).tableDrop(table), null))
    return answer !== null
  }

  /**
   * Rows as they are inserted, for a feed: `[time, key]`, `[null, key]` for one without a time that is read, and a sentence
   * where the server skipped changes.
   */
  inserted(r: R, changefeedQueueSize = feedQueue): RFeed {
    const { timeKey } = this.#options
    const primaryKey = this.#primaryKey
    return this.all(r)
      .changes({ changefeedQueueSize })
      .filter((change: RDatum) => change.hasFields('error').or(change('old_val').eq(null)))
      .map((change: RDatum) => {
        const row = change('new_val')
        const time = timeField(row, timeKey).default(null)
        const seconds = r.branch(
          time.typeOf().eq(typeNames.date),
          time.toEpochTime(),
          r.branch(time.typeOf().eq(typeNames.number), time, null),
        )
        return r.branch(change.hasFields('error'), change('error'), [seconds, row(primaryKey).toJsonString()])
      })
  }

  /** That of most rows; undefined while the table holds none with a time. */
  async #findKind(): Promise<TimeKind | undefined> {
    this.#kind ??= await this.#commonestKind('number')
    return this.#kind
  }

  /** The kind of time that most rows have: `first` when as many have the other one. */
  async #commonestKind(first: TimeKind): Promise<TimeKind | undefined> {
    const second = first === 'number' ? 'date' : 'number'
    // Only as many as it takes to see which are fewer: most tables have none of the other kind.
    for (let limit = 1; limit <= mostCounted; limit *= 100) {
      const firsts = await this.#countSome(first, limit)
      const seconds = await this.#countSome(second, limit)
      if (firsts === limit && seconds === limit) continue
      if (seconds > firsts) return second
      return firsts > 0 ? first : undefined
    }
    return first
  }

  #countSome(kind: TimeKind, limit: number): Promise<number> {
    return this.#options.pool.run((r) => this.#between(r, everything, 'closed', kind).limit(limit).count())
  }

  /** Rows with a time are counted before and after all: those that go or come meanwhile are not taken for rows without one. */
  async #leastTimeless(): Promise<number> {
    const before = await this.count(everything)
    const all = await this.#options.pool.run((r) => this.all(r).count())
    if (all <= before) return 0
    return Math.max(0, all - Math.max(before, await this.count(everything)))
  }

  /** Rows of a time behind a key. */
  #sameTime(time: number, key: string, limit: number, kind: TimeKind): Promise<Row[]> {
    return this.#options.pool.run((r) => {
      const rows = this.#at(r, time, kind).filter((row: RDatum) => row(this.#primaryKey).gt(r.json(key)))
      return this.#list(rows.orderBy(this.#primaryKey), limit, kind)
    })
  }

  /** Rows of a time but for those of some keys. */
  #unseen(time: number, seen: readonly string[], limit: number, kind: TimeKind): Promise<Row[]> {
    return this.#options.pool.run((r) => {
      const keys = this.#at(r, time, kind)
        .map((row: RDatum) => row(this.#primaryKey))
        .coerceTo('array')
        .setDifference(r.json(`[${seen.join(',')}]`))
      const first = keys.orderBy((key: RDatum) => key).limit(limit)
      return this.#list(this.all(r).getAll(r.args(first)).orderBy(this.#primaryKey), limit, kind)
    })
  }

  #at(r: R, time: number, kind: TimeKind): RSelection {
    return this.all(r).getAll(bound(r, time, kind), { index: this.#options.timeKey })
  }

  #behind(range: Range, left: 'open' | 'closed', limit: number, kind: TimeKind): Promise<Row[]> {
    const { pool, timeKey } = this.#options
    return pool.run((r) =>
      this.#list(this.#between(r, range, left, kind).orderBy(this.#primaryKey, { index: timeKey }), limit, kind),
    )
  }

  #between(r: R, { from, until }: Range, left: 'open' | 'closed', kind: TimeKind): RSelection {
    const bounds = { index: this.#options.timeKey, leftBound: left, rightBound: 'closed' } as const
    return this.all(r).between(bound(r, from, kind), bound(r, until, kind), bounds)
  }

  #list(rows: RSelection, limit: number, kind: TimeKind) {
    const { timeKey } = this.#options
    const primaryKey = this.#primaryKey
    // The text of the document, because the driver would change keys and dates of an object.
    const shown = (row: RDatum) => {
      const time = timeField(row, timeKey)
      return [kind === 'date' ? time.toEpochTime() : time, row(primaryKey).toJsonString(), row.toJsonString()]
    }
    // As a list: the answer is one, not a stream that would have to be closed.
    const list = rows.limit(limit).map(shown).coerceTo('array')
    return { run: (connection: Connection): Promise<Row[]> => list.run(connection, { arrayLimit }) }
  }
}

function keyList(r: R, keys: readonly string[]): RDatum {
  return r.args(r.json(`[${keys.join(',')}]`))
}

function bound(r: R, time: number, kind: TimeKind): RDatum {
  if (kind === 'date') return r.epochTime(Math.min(lastDate, Math.max(firstDate, time)))
  return r.expr(Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, time)))
}
