// The SQL of the time-series reader, for one layout of one table.
import type { Statement } from 'better-sqlite3'
import type { Range } from '../series/store.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Connection } from './open.ts'
import type { Layout } from './series-layout.ts'
import type { RowidRange, SqliteSpan } from './series-span.ts'
import { decodeValues, measure, normalized, type Row, type SqlValue } from './series-values.ts'

/** A range as SQL takes it: no infinities, which a table may hold as times, and which are no times. */
export interface Bounds {
  from: number
  until: number
  /** Time and key of the row before the first. */
  after: readonly SqlValue[] | undefined
  /** As JSON. */
  seen?: ReadonlySet<string> | undefined
}

export function boundsOf({ from, until, after, seen }: Range): Bounds {
  return {
    from: Math.max(from, -Number.MAX_VALUE),
    until: Math.min(until, Number.MAX_VALUE),
    after: after === undefined ? undefined : decodeValues(after),
    ...(seen === undefined ? {} : { seen: new Set(seen.map((key) => JSON.stringify(key))) }),
  }
}

export interface Statements {
  /** Rows, each one its time, its key and then the columns. */
  page(bounds: Bounds, limit: number): readonly Row[]
  /** Times and keys only. */
  keys(bounds: Bounds, limit: number): readonly Row[]
  /** Places of rows of the very time of `after`, up to its key and with it. */
  placesBefore(after: readonly SqlValue[], limit: number): readonly Row[]
  /** The rows at these places, those that are still there. */
  rows(places: readonly (readonly SqlValue[])[]): readonly Row[]
  count(bounds: Bounds): number
  last(): number | undefined
  timeless(): number
  isEmpty(): boolean
  highestRowid(): bigint
  /** Whether a row has this time. */
  hasTime(time: SqlValue): boolean
  /** The time of the row of this key; undefined when there is none. */
  timeOf(key: readonly SqlValue[]): SqlValue | undefined
  /** Rows with a rowid above `low`, up to `high`, that stand at or before `after`. */
  countLate(low: bigint, high: bigint, after: readonly SqlValue[]): number
  remove(place: readonly SqlValue[]): void
  /** The rows with these rowids, and their removal: ranges cost less than row after row. */
  rowsOfIds(ranges: readonly RowidRange[]): readonly Row[]
  removeIds(ranges: readonly RowidRange[]): void
  /** The places of what a span may hold: of its rows that are there, and of those that came among them. */
  spanPlaces(span: SqliteSpan): readonly Row[]
}

/** The distance of two floats below 2^63: no integer of SQLite is farther from the nearest one. */
const floatStep = 1024

/** Statements are prepared when they are first used. */
export function statementsOf(db: Connection, table: string, layout: Layout): Statements {
  const { time, key, columns } = layout
  const from = `FROM main.${quoteIdentifier(table)} AS t`
  const place = [time, ...key].join(', ')
  const keys = key.join(', ')
  const marks = key.map(() => '?').join(', ')
  const all = [place, ...columns.map((name) => `t.${quoteIdentifier(name)}`)].join(', ')
  const isKey = key.map((part) => `${part} = ?`).join(' AND ')
  const at = `${time} = ? AND ${isKey}`
  const inSpan = `(${place}) >= (?, ${marks}) AND (${place}) <= (?, ${marks})`
  const isAmongIds = `${key[0]} BETWEEN ? AND ?`
  const inIds = `${inSpan} AND ${isAmongIds}`
  const prepared = new Map<string, Statement<unknown[], unknown>>()

  function statement(sql: string): Statement<unknown[], unknown> {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const made = db.prepare<unknown[], unknown>(sql)
    if (made.reader) made.raw(true)
    prepared.set(sql, made)
    return made
  }

  function read(sql: string, ...values: unknown[]): readonly Row[] {
    return exactly(statement(sql), (reading) => reading.all(...values) as Row[])
  }

  /** Rows of the same time as the one before, then later ones: a single condition would make SQLite pass over the former again. */
  function select(what: string, { from: low, until, after }: Bounds, limit: number): readonly Row[] {
    const [start, ...rest] = after ?? []
    if (!isTime(start) || start < low) {
      return read(
        `SELECT ${what} ${from} WHERE ${time} >= ? AND ${time} <= ? ORDER BY ${place} LIMIT ?`,
        low,
        until,
        limit,
      )
    }
    if (start > until) return []
    const same = read(
      `SELECT ${what} ${from} WHERE ${time} = ? AND (${keys}) > (${marks}) ORDER BY ${keys} LIMIT ?`,
      start,
      ...rest,
      limit,
    )
    if (same.length === limit) return same
    const later = read(
      `SELECT ${what} ${from} WHERE ${time} > ? AND ${time} <= ? ORDER BY ${place} LIMIT ?`,
      start,
      until,
      limit - same.length,
    )
    return same.length === 0 ? later : [...same, ...later]
  }

  function number(sql: string, ...values: unknown[]): number {
    return Number(read(sql, ...values)[0]?.[0] ?? 0)
  }

  /** Once for the whole span, or for each range of rowids in it. */
  function spanParts({ first, last, ids }: SqliteSpan): { where: string; values: unknown[] }[] {
    if (ids === undefined) return [{ where: inSpan, values: [...first, ...last] }]
    return ids.map((range) => ({ where: inIds, values: [...first, ...last, ...range] }))
  }

  return {
    page: (bounds, limit) => select(all, bounds, limit),
    keys(bounds, limit) {
      // Two scans would cost twice as much as the rows of the same time that one passes over.
      const { from: low, until, after } = bounds
      if (after === undefined) return select(place, bounds, limit)
      const behind = `(${place}) > (?, ${marks}) AND ${time} >= ? AND ${time} <= ?`
      return read(`SELECT ${place} ${from} WHERE ${behind} ORDER BY ${place} LIMIT ?`, ...after, low, until, limit)
    },
    placesBefore: ([start, ...rest], limit) =>
      read(
        `SELECT ${place} ${from} WHERE ${time} = ? AND (${keys}) <= (${marks}) ORDER BY ${keys} LIMIT ?`,
        start,
        ...rest,
        limit,
      ),
    rows(places) {
      return exactly(statement(`SELECT ${all} ${from} WHERE ${at}`), (reading) => {
        const found: Row[] = []
        for (const values of places) {
          const row = reading.get(...values) as Row | undefined
          if (row !== undefined) found.push(row)
        }
        return found
      })
    },
    count({ from: low, until, after }) {
      if (low === -Number.MAX_VALUE && until === Number.MAX_VALUE && after === undefined) {
        return number(`SELECT count(*) ${from}`)
      }
      const within = `SELECT count(*) ${from} WHERE ${time} >= ? AND ${time} <= ?`
      if (after === undefined) return number(within, low, until)
      return number(`${within} AND (${place}) > (?, ${marks})`, low, until, ...after)
    },
    last() {
      const [row] = read(`SELECT ${time} ${from} WHERE ${time} <= ? ORDER BY ${time} DESC LIMIT 1`, Number.MAX_VALUE)
      const last = row?.[0]
      // A float may stand before the integer that it is nearest to.
      if (last === undefined) return undefined
      return typeof last === 'bigint' ? Number(last) + floatStep : Number(last)
    },
    timeless() {
      // Text and bytes come after all numbers, as infinity does.
      const count = `SELECT count(*) ${from} WHERE`
      const [high, low] = [Number.MAX_VALUE, -Number.MAX_VALUE]
      if (!layout.indexed) return number(`${count} ${time} IS NULL OR ${time} > ? OR ${time} < ?`, high, low)
      // Conditions that the index can answer, each of them.
      return (
        number(`${count} ${time} IS NULL`) + number(`${count} ${time} > ?`, high) + number(`${count} ${time} < ?`, low)
      )
    },
    isEmpty: () => read(`SELECT 1 ${from} LIMIT 1`).length === 0,
    highestRowid() {
      const [row] = statement(`SELECT max(${keys}) ${from}`).safeIntegers(true).all() as Row[]
      return BigInt((row?.[0] as bigint | null) ?? 0)
    },
    hasTime: (value) => read(`SELECT 1 ${from} WHERE ${time} = ? LIMIT 1`, value).length > 0,
    timeOf: (values) => read(`SELECT ${time} ${from} WHERE ${isKey} LIMIT 1`, ...values)[0]?.[0],
    countLate: (low, high, after) =>
      number(
        `SELECT count(*) ${from} WHERE ${keys} > ? AND ${keys} <= ? AND (${place}) <= (?, ${marks})`,
        low,
        high,
        ...after,
      ),
    remove(values) {
      statement(`DELETE ${from} WHERE ${at}`).run(...values)
    },
    rowsOfIds: (ranges) => ranges.flatMap((range) => read(`SELECT ${all} ${from} WHERE ${isAmongIds}`, ...range)),
    removeIds(ranges) {
      for (const range of ranges) statement(`DELETE ${from} WHERE ${isAmongIds}`).run(...range)
    },
    spanPlaces: (span) =>
      spanParts(span).flatMap(({ where, values }) => read(`SELECT ${place} ${from} WHERE ${where}`, ...values)),
  }
}

function isTime(value: SqlValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Reads with plain numbers, which is fast, and once more with bigints when a number may be an integer beyond 2^53. */
function exactly(
  statement: Statement<unknown[], unknown>,
  work: (statement: Statement<unknown[], unknown>) => Row[],
): readonly Row[] {
  const rows = work(statement.safeIntegers(false))
  return measure(rows).doubtful ? normalized(work(statement.safeIntegers(true))) : rows
}
