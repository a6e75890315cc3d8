// Databases, tables and time indexes of RethinkDB: what they may be called, and making those that are missing.
import type { RDatum, RTable } from 'rethinkdb-ts'
import type { Clock } from '../clock.ts'
import { Stopped } from '../series/reader-away.ts'
import type { TableNameRules } from '../series/writer-table.ts'
import { RethinkFailure } from './failure.ts'
import type { R, RethinkPool } from './pool.ts'

/** Seconds to wait for a table that was just made. */
const readyTimeout = 20
/** Seconds between two questions whether an index is ready: the first pause, and, as it doubles, the longest. */
const firstDelay = 0.02
const longestDelay = 1

/** RethinkDB takes letters, digits, `_` and `-`; anything else becomes `_`. */
export const tableNameRules: TableNameRules = {
  maxBytes: 127,
  clean: (text) => text.replace(/[^A-Za-z0-9_-]/g, '_'),
  finish: (name) => name || '_',
}

/** What the name of a database or a table is made of. */
export const namePattern = /^[A-Za-z0-9_-]{1,127}$/

export interface TableMaker {
  /** Makes the database, the table and its index if they are not there, and waits for them. Throws a RethinkFailure. */
  ensure(table: string): Promise<void>
  /** A table turned out to be gone: the next `ensure` looks again. */
  forget(table: string): void
}

export function createTableMaker(pool: RethinkPool, database: string, timeKey: string | undefined): TableMaker {
  const known = new Set<string>()
  return {
    async ensure(table) {
      if (known.has(table)) return
      await ensureTable(pool, database, table)
      if (timeKey !== undefined) await ensureTimeIndex(pool, database, table, timeKey)
      known.add(table)
    },
    forget(table) {
      known.delete(table)
    },
  }
}

async function ensureTable(pool: RethinkPool, database: string, table: string): Promise<void> {
  const databases = await pool.run((r) => r.dbList())
  if (!databases.includes(database)) await make(pool.run((r) => r.dbCreate(database)))
  const tables = await pool.run((r) => r.db(database).tableList())
  if (tables.includes(table)) return
  await make(pool.run((r) => r.db(database).tableCreate(table)))
  try {
    await pool.run((r) => r.db(database).table(table).wait({ waitFor: 'ready_for_writes', timeout: readyTimeout }))
  } catch (error) {
    // reqlite does not know it; whether the table takes rows, the insert tells.
    if (!(error instanceof RethinkFailure && error.kind === 'refused')) throw error
  }
}

/** Makes an index of that name over the time field, if there is none. Rows can be inserted while it is being built. */
export async function ensureTimeIndex(
  pool: RethinkPool,
  database: string,
  table: string,
  timeKey: string,
): Promise<void> {
  const indexes = await pool.run((r) => r.db(database).table(table).indexList())
  if (!indexes.includes(timeKey)) {
    const create = (r: R) => {
      const rows: RTable = r.db(database).table(table)
      return timeKey.includes('.')
        ? rows.indexCreate(timeKey, (row: RDatum) => timeField(row, timeKey))
        : rows.indexCreate(timeKey)
    }
    await make(pool.run(create))
  }
}

/** How somebody waits, and until when. */
export interface WaitOptions {
  clock: Clock
  signal: AbortSignal
}

/**
 * Waits until an index is built, however long that takes: in a table of many rows that is longer than a query may take.
 * Undefined when there is no such index. Throws Stopped when the signal aborts meanwhile.
 */
export async function waitForIndex(
  pool: RethinkPool,
  database: string,
  table: string,
  index: string,
  { clock, signal }: WaitOptions,
): Promise<{ multi: boolean; geo: boolean } | undefined> {
  for (let delay = firstDelay; ; delay = Math.min(delay * 2, longestDelay)) {
    const all = await pool.run((r) => r.db(database).table(table).indexStatus())
    const status = all.find((other) => other.index === index)
    if (status === undefined || status.ready) return status
    await clock.sleep(delay, signal)
    if (signal.aborted) throw new Stopped()
  }
}

/** The time field of a row: a key that has dots in it and exists literally wins, as everywhere. */
export function timeField(row: RDatum, timeKey: string): RDatum {
  if (!timeKey.includes('.')) return row(timeKey)
  let nested = row
  for (const key of timeKey.split('.')) nested = nested(key)
  return row(timeKey).default(nested)
}

/** Somebody else may have made it in the meantime. */
async function make(making: Promise<unknown>): Promise<void> {
  try {
    await making
  } catch (error) {
    if (!(error instanceof RethinkFailure && / already exists/.test(error.message))) throw error
  }
}
