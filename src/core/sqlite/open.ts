// Opens a SQLite file. better-sqlite3 is loaded by the first one that is opened, not when the daemon starts.
import type Database from 'better-sqlite3'
import { type ErrorCode, FeedooError, messageOf, systemCode } from '../errors.ts'

export type Connection = Database.Database

export interface OpenOptions {
  readonly?: boolean
  /** The file must be there; otherwise it is created. */
  mustExist?: boolean
  /**
   * Milliseconds to wait, on this thread, for a lock that another process holds. Short: nothing else runs meanwhile,
   * and who gets SQLITE_BUSY can wait without holding everything up, and try again.
   */
  busyTimeout?: number
  /** KiB of pages that are kept in memory; SQLite's driver would take 16,000. */
  cacheKiB?: number
}

/** Milliseconds. */
const defaultBusyTimeout = 100
/** Enough for the upper pages of the tables that are read in turn, whose rows come in order as a rule. */
const defaultCacheKiB = 4000

/** Throws what better-sqlite3 throws: see `sqliteFailure`. */
export async function openSqlite(path: string, options: OpenOptions = {}): Promise<Connection> {
  const { default: Sqlite } = await import('better-sqlite3')
  const db = new Sqlite(path, {
    readonly: options.readonly ?? false,
    fileMustExist: options.mustExist ?? false,
    timeout: options.busyTimeout ?? defaultBusyTimeout,
  })
  // It reads nothing of the file: it is no time to find out that this is locked or damaged.
  db.pragma(`cache_size = -${options.cacheKiB ?? defaultCacheKiB}`)
  return db
}

/**
 * SQLite's primary result codes for what may get better without us: a lock, a file that is away or being replaced, a
 * disk that is full or fails.
 */
const passing = [
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_CANTOPEN',
  'SQLITE_IOERR',
  'SQLITE_FULL',
  'SQLITE_PROTOCOL',
  'SQLITE_NOTADB',
  'SQLITE_CORRUPT',
  'SQLITE_READONLY',
  'SQLITE_PERM',
  'SQLITE_AUTH',
  'SQLITE_SCHEMA',
  'SQLITE_INTERRUPT',
  'SQLITE_NOMEM',
]

/** Whether an error of SQLite has to do with the file and who else uses it, not with what was asked of it. */
export function isPassing(error: unknown): boolean {
  const code = systemCode(error) ?? ''
  // better-sqlite3 throws a TypeError without a code when the folder is missing.
  if (error instanceof TypeError && /directory does not exist/.test(error.message)) return true
  return passing.some((name) => code === name || code.startsWith(`${name}_`))
}

/** Whether somebody else has the file locked. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(systemCode(error) ?? '')
}

/** The error as ours, `retriable` when it has to do with the file and who else uses it. */
export function sqliteFailure(code: ErrorCode, path: string, error: unknown): FeedooError {
  if (error instanceof FeedooError) return error
  const retriable = isPassing(error)
  return new FeedooError(code, `${path}: ${isBusy(error) ? 'locked by another process' : messageOf(error)}`, {
    cause: error,
    retriable,
  })
}
