// The connection of a SQLite output: the file it makes, and the journal that has to be flushed.
import { closeSync, openSync, realpathSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Database, Statement } from 'better-sqlite3'
import { FeedooError, systemCode } from '../errors.ts'
import { makeFolders } from '../make-folders.ts'
import { openSqlite } from './open.ts'
import { createTables, type TableOptions, type Tables } from './writer-tables.ts'

export const inMemory = ':memory:'
const fileMode = 0o640
const folderMode = 0o750
/** For the pages that a batch changes, in a hundred tables and their indexes. */
const cacheKiB = 8000

/** A connection, and what belongs to it alone. */
export interface Connection {
  readonly db: Database
  /** Tells one file from another that came in its place. */
  readonly inode: bigint | undefined
  /** Of a file in WAL mode: held open, so that it tells of each write that failed since. */
  readonly journal: FileHandle | undefined
  /** The names of its files would survive a power cut. */
  folderSynced: boolean
  readonly tables: Tables
  /** The version of the schema that `tables` knows. */
  version: number
  readonly readVersion: Statement<[], number>
  readonly begin: Statement<[]>
  readonly commit: Statement<[]>
}

/** Opens a file, or makes it with its folders. Throws what the system and better-sqlite3 throw. */
export async function openConnection(path: string, options: TableOptions): Promise<Connection> {
  if (path !== inMemory) makeFile(path)
  const db = await openSqlite(path, { cacheKiB })
  try {
    // A commit then waits for no disk, and harms no file; `sync` is what waits.
    const mode = db.pragma('journal_mode = WAL', { simple: true })
    db.pragma(`synchronous = ${mode === 'wal' ? 'NORMAL' : 'FULL'}`)
    const readVersion = db.prepare<[], number>('PRAGMA schema_version').pluck()
    // SQLite opens the journal when it reads.
    readVersion.get()
    return {
      db,
      inode: inodeOf(path),
      journal: mode === 'wal' ? await open(journalOf(path), 'r') : undefined,
      folderSynced: false,
      tables: createTables(db, options),
      version: -1,
      readVersion,
      begin: db.prepare<[]>('BEGIN IMMEDIATE'),
      commit: db.prepare<[]>('COMMIT'),
    }
  } catch (error) {
    db.close()
    throw error
  }
}

export function closeConnection({ db, journal }: Connection): void {
  db.close()
  // After a flush that is under way, which says what there is to say.
  journal?.close().catch(() => {})
}

export function inodeOf(path: string): bigint | undefined {
  return path === inMemory ? undefined : statSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

/** Flushes the journal, and the folder of a new file. What is not in the journal any more, SQLite has flushed itself. */
export async function flush(path: string, connection: Connection | undefined): Promise<void> {
  if (connection?.journal !== undefined) await connection.journal.datasync()
  else await syncFile(() => journalOf(path))
  if (connection?.folderSynced !== false) return
  await syncFile(() => dirname(realpathSync(path)))
  connection.folderSynced = true
}

/**
 * Writes what the journal holds into the file, flushes that, and begins the journal anew: after a flush that failed, another
 * one would say that all is well. Throws OUTPUT_UNAVAILABLE, retriable, when somebody reads the journal.
 */
export function checkpoint(db: Database): void {
  const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[]
  if (result?.busy === 0) return
  const message = 'what could not be flushed must be written again, and somebody reads it'
  throw new FeedooError('OUTPUT_UNAVAILABLE', message, { retriable: true })
}

/** SQLite has it beside the file that a link leads to. */
function journalOf(path: string): string {
  return `${realpathSync(path)}-wal`
}

/**
 * The files beside it get the same mode. One that is there is not opened: closing it would let go of all the locks that
 * this process has on it, those of other outputs, inputs and pipelines too.
 */
function makeFile(path: string): void {
  makeFolders(dirname(path), folderMode)
  try {
    closeSync(openSync(path, 'wx', fileMode))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

/** A file that is not there has nothing to be flushed. */
async function syncFile(name: () => string): Promise<void> {
  try {
    const file = await open(name(), 'r')
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
