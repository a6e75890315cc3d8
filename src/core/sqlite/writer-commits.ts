// Which rows an output has inserted since which commit, kept in the target beside the rows: what a restart undoes.
import { randomUUID } from 'node:crypto'
import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { Json } from '../action.ts'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import { quoteIdentifier } from './identifiers.ts'
import { isPassing } from './open.ts'
import { foldName, ownPrefix } from './writer-names.ts'
import { findTable, type Table } from './writer-tables.ts'

/**
 * Ranges of rows that are kept, at least those since the commit before the last one. The engine may save fewer commits
 * than it makes: an older mark must still find what came after it.
 */
const maxRanges = 10_000

const commitsTable = quoteIdentifier(`${ownPrefix}commits`)
/** The number under which it is noted up to which commit ranges were thrown away. */
const prunedNumber = -1

const maxRowNumber = 2n ** 63n - 1n

/** A mark: the rows of these commits are wanted, and what the same writer inserted later is not. */
const markSchema = z.object({ writer: z.uuid(), commit: z.int().min(0) })

interface Range {
  first: bigint
  last: bigint
}

/** What a transaction has done to a table. */
interface Touched {
  table: Table
  /** The highest row number before. What is above it at the end is ours, because nobody else can write meanwhile. */
  before: bigint
  /** Rows whose number was given, and not above that. */
  given: Range[]
}

export class Commits {
  readonly #writer: string
  /** The commit that rows are written for. */
  #number: number
  #touched = new Map<Table, Touched>()
  /** The last range of each table for this commit: one that follows it is the same. */
  #last = new Map<string, Range>()
  /** How many ranges each commit has, the oldest first. */
  readonly #kept = new Map<number, number>()
  /** `#kept` may hold what was rolled back. */
  #recount = false
  #prepared: { db: Database; save: Statement<[string, number, string, bigint, bigint]> } | undefined

  constructor(mark: Json | undefined) {
    const saved = markSchema.safeParse(mark)
    this.#writer = saved.data?.writer ?? randomUUID()
    this.#number = (saved.data?.commit ?? 0) + 1
  }

  /** The mark of everything before this commit. */
  get before(): Json {
    return { writer: this.#writer, commit: this.#number - 1 }
  }

  /** Ends the commit: what comes now belongs to the next one. Returns the mark; undefined when nothing was inserted. */
  next(): Json | undefined {
    if (!this.#kept.has(this.#number)) return undefined
    this.#number++
    this.#last.clear()
    return this.before
  }

  /**
   * Deletes the rows that were inserted after the mark: their events come again. Returns false when the mark is so old
   * that not all of them are known any more. To be called in a transaction.
   */
  undo(db: Database): boolean {
    if (findTable(db, `${ownPrefix}commits`) === undefined) return true
    const since = [this.#writer, this.#number] as const
    const ranges = db
      .prepare<[string, number], Range & { name: string }>(
        `SELECT name, first, last FROM ${commitsTable} WHERE writer = ? AND number >= ?`,
      )
      .safeIntegers()
      .all(...since)
    for (const { name, first, last } of ranges) {
      const table = findTable(db, name)
      if (table?.rowNumber === undefined) continue
      db.prepare(`DELETE FROM ${table.sql} WHERE ${table.rowNumber} BETWEEN ? AND ?`).run(first, last)
    }
    db.prepare(`DELETE FROM ${commitsTable} WHERE writer = ? AND number >= ?`).run(...since)
    this.#count(db)
    const pruned = db
      .prepare<[string, number], number>(`SELECT last FROM ${commitsTable} WHERE writer = ? AND number = ?`)
      .pluck()
      .get(this.#writer, prunedNumber)
    return pruned === undefined || pruned < this.#number
  }

  /**
   * To be called in each transaction for each table before rows are inserted into it. Throws OUTPUT_REJECTED for a table
   * without row numbers, else as `save` does.
   */
  touch(db: Database, table: Table): void {
    if (this.#touched.has(table)) return
    const before = noRowAtFault(() => highest(db, table))
    this.#touched.set(table, { table, before, given: [] })
  }

  /** A row that had its number given, or may have. */
  given(table: Table, number: bigint): void {
    const touched = this.#touched.get(table)
    if (touched === undefined || number > touched.before) return
    const last = touched.given.at(-1)
    if (last !== undefined && last.last + 1n === number) last.last = number
    else touched.given.push({ first: number, last: number })
  }

  /** Whether SQLite gives the next row of the table the highest number, as it does until there is no higher one. */
  counts(table: Table): boolean {
    return this.#touched.get(table)?.before !== maxRowNumber
  }

  /**
   * Writes down what the transaction has inserted. To be called at its end. Throws what SQLite says of the file, or
   * OUTPUT_UNAVAILABLE: no row is ever at fault.
   */
  save(db: Database): void {
    noRowAtFault(() => this.#save(db))
  }

  #save(db: Database): void {
    const { save } = this.#prepare(db)
    if (this.#recount) this.#count(db)
    let added = 0
    for (const { table, before, given } of this.#touched.values()) {
      for (const { first, last } of given) {
        save.run(this.#writer, this.#number, table.name, first, last)
        added++
      }
      const after = highest(db, table)
      if (after <= before) continue
      const previous = this.#last.get(foldName(table.name))
      const follows = previous?.last === before
      const first = follows ? previous.first : before + 1n
      save.run(this.#writer, this.#number, table.name, first, after)
      this.#last.set(foldName(table.name), { first, last: after })
      if (!follows) added++
    }
    this.#kept.set(this.#number, (this.#kept.get(this.#number) ?? 0) + added)
    this.#prune(db)
  }

  /** Deletes what is noted: no mark needs it any more. */
  forget(db: Database): void {
    if (findTable(db, `${ownPrefix}commits`) === undefined) return
    db.prepare(`DELETE FROM ${commitsTable} WHERE writer = ?`).run(this.#writer)
    this.#last.clear()
    this.#kept.clear()
  }

  /** The transaction has ended. */
  ended(committed: boolean): void {
    this.#touched.clear()
    if (committed) return
    // What was rolled back: a range that had grown, the table itself perhaps, and what was thrown away of it.
    this.#last.clear()
    this.#prepared = undefined
    this.#recount = true
  }

  #prepare(db: Database): { save: Statement<[string, number, string, bigint, bigint]> } {
    if (this.#prepared?.db === db) return this.#prepared
    db.exec(
      `CREATE TABLE IF NOT EXISTS ${commitsTable} (writer TEXT, number INTEGER, name TEXT, first INTEGER, last INTEGER, PRIMARY KEY (writer, number, name, first)) WITHOUT ROWID`,
    )
    const save = db.prepare<[string, number, string, bigint, bigint]>(
      `INSERT INTO ${commitsTable} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)`,
    )
    this.#prepared = { db, save }
    return this.#prepared
  }

  #count(db: Database): void {
    const counts = db
      .prepare<[string], { number: number; ranges: number }>(
        `SELECT number, count(*) ranges FROM ${commitsTable} WHERE writer = ? AND number >= 0 GROUP BY number ORDER BY number`,
      )
      .all(this.#writer)
    this.#kept.clear()
    for (const { number, ranges } of counts) this.#kept.set(number, ranges)
    this.#recount = false
  }

  #prune(db: Database): void {
    let ranges = 0
    for (const count of this.#kept.values()) ranges += count
    if (ranges <= maxRanges) return
    let pruned = 0
    for (const [number, count] of this.#kept) {
      // Half of them, so that it is not done at every write.
      if (ranges <= maxRanges / 2 || number >= this.#number - 1) break
      this.#kept.delete(number)
      ranges -= count
      pruned = number
    }
    if (pruned === 0) return
    db.prepare(`DELETE FROM ${commitsTable} WHERE writer = ? AND number BETWEEN 0 AND ?`).run(this.#writer, pruned)
    this.#prepare(db).save.run(this.#writer, prunedNumber, '', 0n, BigInt(pruned))
  }
}

/** What is done for the notes alone: when it fails, the file is at fault, and it is tried again. */
function noRowAtFault<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof FeedooError || isPassing(cause)) throw cause
    const message = `what is written cannot be noted in ${ownPrefix}commits: ${messageOf(cause)}`
    throw new FeedooError('OUTPUT_UNAVAILABLE', message, { cause, retriable: true })
  }
}

const highestOf = new WeakMap<Table, Statement<[], bigint>>()

function highest(db: Database, table: Table): bigint {
  let statement = highestOf.get(table)
  if (statement === undefined) {
    statement = prepareHighest(db, table)
    highestOf.set(table, statement)
  }
  return statement.get() ?? 0n
}

function prepareHighest(db: Database, { name, sql, rowNumber }: Table): Statement<[], bigint> {
  if (rowNumber === undefined) {
    throw new FeedooError('OUTPUT_REJECTED', `the table ${name} has columns with all names of the row number`)
  }
  try {
    return db.prepare<[], bigint>(`SELECT max(${rowNumber}) FROM ${sql}`).pluck().safeIntegers()
  } catch (cause) {
    if (systemCode(cause) !== 'SQLITE_ERROR') throw cause
    throw new FeedooError('OUTPUT_REJECTED', `the table ${name} does not number its rows: ${messageOf(cause)}`, {
      cause,
    })
  }
}
