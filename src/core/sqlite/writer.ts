// Writes rows into the tables of a SQLite file: one transaction a batch, and a row that is refused harms no other.
import type { Database } from 'better-sqlite3'
import type { ActionContext, Marks, Position } from '../action.ts'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import type { Event } from '../event.ts'
import { isPassing, sqliteFailure } from './open.ts'
import { Commits } from './writer-commits.ts'
import {
  type Connection,
  checkpoint,
  closeConnection,
  flush,
  inMemory,
  inodeOf,
  openConnection,
} from './writer-connection.ts'
import { type Slice, slicesOf, splitSlices, type TableRows } from './writer-rows.ts'
import type { Insert, Table } from './writer-tables.ts'

export interface SqliteWriterOptions {
  /** The file; `:memory:` is a database that is gone at the end. */
  path: string
  /** The column that gets an index when it is made. */
  timeColumn: string
  /** Columns of a table at most. */
  maxColumns: number
  context: Pick<ActionContext, 'deadLetter' | 'log' | 'intend'>
}

/** Under which the mark is kept. */
const markKey = 'commit'

interface Refused {
  event: Event
  error: FeedooError
}

export class SqliteWriter {
  readonly #options: SqliteWriterOptions
  #connection: Connection | undefined
  #opening: Promise<Connection> | undefined
  /** The system could not write all of the journal, and may since have forgotten what. */
  #journalLost = false
  /** Undefined without durable state: then nothing is written down, and it costs nothing. */
  #commits: Commits | undefined
  /** Rows of an earlier run are still to be deleted. */
  #undo = false
  /** The batch in hand, in transactions that are still to be done. */
  #groups: Map<string, TableRows> | undefined
  #jobs: Slice[][] = []

  constructor(options: SqliteWriterOptions) {
    this.#options = options
  }

  /**
   * Writes what has been grouped. Rows that SQLite refuses go to the dead letters, each by itself. Throws
   * OUTPUT_UNAVAILABLE, retriable, as long as the file is locked, full or away: call it again with the same groups, or
   * set aside the events that the error names.
   */
  async write(groups: Map<string, TableRows>): Promise<void> {
    if (this.#groups !== groups) {
      this.#groups = groups
      this.#jobs = [slicesOf(groups)]
    }
    for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
      let refused: Refused[] = []
      try {
        refused = this.#transaction(await this.#connect(), job)
      } catch (cause) {
        if (!isFaultOfRow(cause)) {
          // SQLite opens for reading what it may not write, and keeps to that.
          if (systemCode(cause)?.startsWith('SQLITE_READONLY')) this.close()
          const left = this.#jobs.flatMap((job) => job.flatMap(({ events }) => events))
          throw this.#failure(cause, left)
        }
        // What failed is the transaction as a whole, as a constraint that is checked at its end: halve it.
        const halves = splitSlices(job)
        if (halves.length > 1) {
          this.#jobs.splice(0, 1, ...halves)
          continue
        }
        refused = job.flatMap(({ events }) => events.map((event) => ({ event, error: rejected(cause) })))
      }
      this.#jobs.shift()
      for (const { event, error } of refused) this.#options.context.deadLetter(event, error)
    }
    this.#groups = undefined
  }

  /** Durable state begins: from now on it is noted what belongs to which commit, and what came after the mark is deleted. */
  async recover(marks: Marks): Promise<void> {
    if (this.#options.path === inMemory) return
    const mark = marks.get(markKey)
    this.#commits = new Commits(mark)
    this.#undo = mark !== undefined
    // Before the first row: what comes before the first commit belongs to nobody else.
    if (mark === undefined) this.#options.context.intend?.({ [markKey]: this.#commits.before })
    try {
      if (this.#undo) await this.#connect()
    } catch (error) {
      // It is tried again before the first row is written.
      this.#options.context.log.warn({ err: error }, 'rows that will come again cannot be deleted yet')
    }
  }

  /** How far it has written; what comes now belongs to the next commit. */
  mark(): Position {
    const mark = this.#commits?.next()
    return mark === undefined ? {} : { [markKey]: mark }
  }

  /** The mark, as long as rows after it are still to be deleted. */
  lastingMarks(): Position {
    return this.#undo && this.#commits !== undefined ? { [markKey]: this.#commits.before } : {}
  }

  /** A clean end: what was noted in the target for the marks goes, too. */
  async marksDropped(): Promise<void> {
    const db = this.#connection?.db
    if (db === undefined || this.#undo) return
    try {
      this.#commits?.forget(db)
    } catch (error) {
      // Some rows that nobody needs: no reason to wait for the file, or to call the end unclean.
      this.#options.context.log.debug({ err: error }, 'what was noted for a restart stays in the file')
    }
  }

  /** Resolves when what was written before the call would survive a power cut. */
  async sync(): Promise<void> {
    const { path } = this.#options
    if (path === inMemory) return
    try {
      const connection = this.#journalLost ? await this.#connect() : this.#connection
      if (this.#journalLost && connection !== undefined) {
        checkpoint(connection.db)
        this.#journalLost = false
      }
      await flush(path, connection)
    } catch (cause) {
      this.#journalLost = true
      throw this.#failure(cause)
    }
  }

  close(): void {
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined) closeConnection(connection)
  }

  #transaction(connection: Connection, job: readonly Slice[]): Refused[] {
    const { db, tables } = connection
    const refused: Refused[] = []
    connection.begin.run()
    let committed = false
    try {
      if (connection.readVersion.get() !== connection.version) tables.forget()
      for (const slice of job) this.#insert(connection, slice, refused)
      this.#commits?.save(db)
      connection.version = connection.readVersion.get() ?? 0
      connection.commit.run()
      committed = true
    } finally {
      if (!committed) {
        // SQLite itself may have ended it.
        if (db.inTransaction) db.exec('ROLLBACK')
        tables.forget()
      }
      this.#commits?.ended(committed)
    }
    return refused
  }

  #insert({ db, tables }: Connection, slice: Slice, refused: Refused[]): void {
    let table: Table
    let insert: Insert
    try {
      table = tables.table(slice.table, slice.layout)
      insert = tables.insert(table, slice.layout)
      this.#commits?.touch(db, table)
    } catch (cause) {
      if (!isFaultOfRow(cause) || !db.inTransaction) throw cause
      const error = rejected(cause)
      for (const event of slice.events) refused.push({ event, error })
      return
    }
    this.#insertRows(db, table, insert, slice, refused)
  }

  #insertRows(db: Database, table: Table, insert: Insert, slice: Slice, refused: Refused[]): void {
    const { one, bulk } = insert
    const { events, values } = slice
    const width = slice.layout.columns.length
    const commits = this.#commits
    const givesNumber = table.rowAlias !== undefined && slice.layout.folded.includes(table.rowAlias)
    const watch = commits !== undefined && (givesNumber || !commits.counts(table))
    const insertOne = (i: number) => {
      try {
        const { changes, lastInsertRowid } = one.run(values.slice(i * width, (i + 1) * width))
        if (watch && changes > 0) commits.given(table, BigInt(lastInsertRowid))
      } catch (cause) {
        if (!isFaultOfRow(cause) || !db.inTransaction) throw cause
        const event = events[i]
        if (event !== undefined) refused.push({ event, error: rejected(cause) })
      }
    }
    let i = 0
    for (const { rows, statement } of watch || table.singly ? [] : bulk.filter(({ rows }) => rows <= events.length)) {
      for (; i + rows <= events.length; i += rows) {
        try {
          statement.run(values.slice(i * width, (i + rows) * width))
        } catch (cause) {
          if (!isFaultOfRow(cause) || !db.inTransaction) throw cause
          for (let j = i; j < i + rows; j++) insertOne(j)
        }
      }
    }
    for (; i < events.length; i++) insertOne(i)
  }

  async #connect(): Promise<Connection> {
    const { path } = this.#options
    if (this.#connection !== undefined && this.#connection.inode !== inodeOf(path)) {
      this.#options.context.log.warn({ path }, 'the file was removed or replaced; it is opened again')
      this.close()
    }
    if (this.#connection === undefined) {
      this.#opening ??= openConnection(path, this.#options).finally(() => {
        this.#opening = undefined
      })
      this.#connection = await this.#opening
    }
    if (this.#undo) this.#undoRows(this.#connection.db)
    return this.#connection
  }

  #undoRows(db: Database): void {
    const complete = db.transaction(() => this.#commits?.undo(db)).immediate()
    this.#undo = false
    if (complete === false) {
      this.#options.context.log.warn('the saved commit is too old: rows written after it may be there twice')
    }
  }

  #failure(cause: unknown, events?: readonly Event[]): FeedooError {
    const { path } = this.#options
    const isOfSqlite = systemCode(cause)?.startsWith('SQLITE_') === true
    const message = isOfSqlite
      ? sqliteFailure('OUTPUT_UNAVAILABLE', path, cause).message
      : `${path}: ${messageOf(cause)}`
    // What the system says of the file or its folder; anything else is a mistake of ours and does not get better.
    const retriable = isPassing(cause) || (!isOfSqlite && systemCode(cause) !== undefined)
    return new FeedooError('OUTPUT_UNAVAILABLE', message, { cause, retriable, ...(events && { events }) })
  }
}

/** A row, or its table, cannot be so. Everything else is about the file: it may get better. */
function isFaultOfRow(error: unknown): boolean {
  if (error instanceof FeedooError) return !error.retriable
  // A RangeError is what better-sqlite3 says of a value that is too long to bind.
  return error instanceof RangeError || (systemCode(error)?.startsWith('SQLITE_') === true && !isPassing(error))
}

function rejected(cause: unknown): FeedooError {
  if (cause instanceof FeedooError) return cause
  return new FeedooError('OUTPUT_REJECTED', messageOf(cause), { cause })
}
