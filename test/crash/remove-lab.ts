// The crash laboratory for inputs that remove what they have read: rows come all the time, the daemon dies, and in the end
// source and targets are counted.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { r } from 'rethinkdb-ts'
import { expect, onTestFinished } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import type { Server } from '../helpers/rethinkdb.ts'
import { type Death, numbersIn } from './lab.ts'

/** Milliseconds between two groups of rows. */
const writeInterval = 30
/** Seconds between two rows. */
const step = 10
const begin = 1_600_000_000

/** What is done with the rows; `{in}` is the input, and each row knows in `at` which table it was in. */
const yaml = `{state}
pipelines:
  main:
    - {in}
    - {name: output_archive, path_template: "{dir}/archive/%Y-%m-%d-%H.jsonl", max_open_files: 3}
    - {name: output_sqlite, filename: "{dir}/out.sqlite", table: "{at}", time_key: ts}
`
const input = { tag: '{table}', table_key: 'at', time_key: 'ts', remove: true, from: 'start', refresh_interval: 0.05 }

/** A database that rows are moved out of. */
export interface Source {
  /** The input that reads it. */
  input: Record<string, unknown>
  /** Rows that are written in one go. */
  groupSize: number
  /** Writes the rows from one number up to another. */
  write(from: number, to: number): Promise<void>
  tableOf(n: number): string
  /** The tables that are there. */
  tables(): Promise<string[]>
}

export interface RemovalExperiment {
  /** Makes the source; files go into the folder. */
  source(folder: string): Promise<Source>
  /** The deaths that the daemon dies, in their order. */
  deaths: readonly Death[]
  /** From 0 to 1. */
  random: () => number
  /** Whether the pipeline keeps durable state. */
  state?: boolean
}

export interface RemovalOutcome {
  rows: number
  kills: number
  missing: number
  doubledInArchive: number
  doubledInSqlite: number
  /** Rows in another table of the target than that of the source. */
  misplaced: number
  /** Tables of the source that are there after a run to the end. */
  left: string[]
}

/** Lets the daemon die as told while rows are written, then runs it to the end, and counts. */
export async function removeUnderKills(experiment: RemovalExperiment): Promise<RemovalOutcome> {
  const { deaths, random, state = true } = experiment
  const folder = await scratchFolder()
  const source = await experiment.source(folder)
  const start = (env: NodeJS.ProcessEnv, more: Record<string, unknown> = {}) => {
    const text = yaml
      .replace('{state}', state ? 'state_dir: "{dir}/state"' : '')
      .replace('{in}', JSON.stringify({ ...input, ...source.input, ...more }))
    return Daemon.start(text, folder, { env })
  }
  const writer = startWriter(source)
  for (const death of deaths) {
    const times = 1 + Math.floor(random() * 5)
    const daemon = await start(death === 'any' ? {} : { FEEDOO_CRASH: `${death}:${times}` })
    if (death === 'any') {
      // One in four dies while it starts, and undoes what the one before left.
      if (random() >= 0.25) await daemon.logged(/runs main/)
      await delay(random() * 500)
      daemon.signal('SIGKILL')
    }
    expect(await daemon.exit(), daemon.stderr).toBe('SIGKILL')
  }
  const rows = await writer.stop()
  const last = await start({}, { once: true })
  expect(await last.exit(), last.stderr).toBe(0)
  const archived = archivedIn(folder)
  const written = rowsIn(folder)
  const numbers = written.map(({ n }) => n)
  return {
    rows,
    kills: deaths.length,
    missing: missing(archived, rows) + missing(numbers, rows),
    doubledInArchive: archived.length - new Set(archived).size,
    doubledInSqlite: numbers.length - new Set(numbers).size,
    misplaced: written.filter(({ n, table }) => table !== source.tableOf(n)).length,
    left: await source.tables(),
  }
}

export function expectMoved(outcome: RemovalOutcome): void {
  expect(outcome).toMatchObject({ missing: 0, doubledInArchive: 0, doubledInSqlite: 0, misplaced: 0, left: [] })
  // An empty experiment shows nothing.
  expect(outcome.rows).toBeGreaterThan(0)
}

/** A SQLite file that another connection writes to. feedoo drops its tables whenever they are empty: they are made again. */
export async function sqliteSource(folder: string): Promise<Source> {
  const path = join(folder, 'in.sqlite')
  const db = new Database(path, { timeout: 20_000 })
  onTestFinished(() => void db.close())
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = OFF')
  const kinds = ['plain', 'with-dash', 'select', 'a"quote']
  const tableOf = (n: number) => `${kinds[n % kinds.length]}_${Math.floor(n / 1000)}`
  const insert = (n: number) => {
    const table = quoted(tableOf(n))
    db.exec(`CREATE TABLE IF NOT EXISTS ${table} (ts REAL, n INTEGER, text TEXT)`)
    // Tables with an index are read in another way than those without.
    if (n % 2 === 0) db.exec(`CREATE INDEX IF NOT EXISTS ${quoted(`i_${tableOf(n)}`)} ON ${table} (ts)`)
    db.prepare(`INSERT INTO ${table} VALUES (?, ?, ?)`).run(timeOf(n), n, `row ${n}`)
  }
  const insertAll = db.transaction((from: number, to: number) => {
    for (let n = from; n < to; n++) insert(n)
  })
  return {
    input: { name: 'input_sqlite', filename: path },
    groupSize: 40,
    write: async (from, to) => insertAll.immediate(from, to),
    tableOf,
    tables: async () => tableNames(db),
  }
}

/** A database of RethinkDB. Nothing there holds a writer off while an empty table is dropped: each is written but once. */
export async function rethinkdbSource(server: Server): Promise<Source> {
  const { database } = server.params
  const connection = await server.connect()
  onTestFinished(() => connection.close())
  await r.dbCreate(database).run(connection)
  const groupSize = 60
  const tableOf = (n: number) => `t_${Math.floor(n / groupSize)}`
  return {
    input: { name: 'input_rethinkdb', ...server.params },
    groupSize,
    async write(from, to) {
      const table = r.db(database).table(tableOf(from))
      await r.db(database).tableCreate(tableOf(from)).run(connection)
      await table.indexCreate('ts').run(connection)
      await table.indexWait('ts').run(connection)
      const rows = Array.from({ length: to - from }, (_, i) => ({ id: from + i, ts: timeOf(from + i), n: from + i }))
      await table.insert(rows).run(connection)
    },
    tableOf,
    tables: () => r.db(database).tableList().run(connection),
  }
}

/** Some rows are late, and some have the time of others. */
function timeOf(n: number): number {
  return begin + (n % 7 === 0 ? n - 20 : n) * step
}

function startWriter({ write, groupSize }: Source): { stop(): Promise<number> } {
  let stopped = false
  const written = (async () => {
    let rows = 0
    for (; !stopped; rows += groupSize) {
      await write(rows, rows + groupSize)
      await delay(writeInterval)
    }
    return rows
  })()
  // A failed assertion ends the test without asking for the number.
  written.catch(() => {})
  onTestFinished(() => {
    stopped = true
  })
  return {
    stop() {
      stopped = true
      return written
    },
  }
}

function archivedIn(folder: string): number[] {
  const archive = join(folder, 'archive')
  if (!existsSync(archive)) return []
  return readdirSync(archive).flatMap((name) => numbersIn(readFileSync(join(archive, name), 'utf8')))
}

function rowsIn(folder: string): { n: number; table: string }[] {
  const db = new Database(join(folder, 'out.sqlite'), { readonly: true })
  try {
    return tableNames(db)
      .filter((table) => !table.startsWith('_feedoo_'))
      .flatMap((table) =>
        db
          .prepare<[], number>(`SELECT n FROM ${quoted(table)}`)
          .pluck()
          .all()
          .map((n) => ({ n, table })),
      )
  } finally {
    db.close()
  }
}

function tableNames(db: Database.Database): string[] {
  return db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function missing(numbers: readonly number[], rows: number): number {
  const seen = new Set(numbers)
  let count = 0
  for (let n = 0; n < rows; n++) if (!seen.has(n)) count++
  return count
}
