// Keeps a state file to one process, while others may read it: a lock on a small SQLite file that stands beside it.
import { closeSync, existsSync, fchownSync, ftruncateSync, openSync, rmSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import { FeedooError, systemCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import { unavailable } from './state-failure.ts'

/** Seconds that another process, which may be about to end, has to let go of the file. */
const patience = 1
/** Seconds that another process, or another pipeline, may take to look a file through when it opens it. */
const openingPatience = 60
/** Milliseconds between two attempts. */
const attemptInterval = 25

/** Bytes; it has two pages. */
const maxLockBytes = 64 * 1024

/** The user and group that files are to belong to. */
export interface Owner {
  uid: number
  gid: number
}

export interface LockOptions {
  sqlite: typeof Database
  /** What all threads of this process, and no other process, say of themselves: pipelines may share a file. */
  instance: string
  owner: Owner | undefined
  log?: Logger
}

/**
 * Takes the lock on `path`, for as long as the process lives or until the returned function is called. `first` is
 * called before anyone else of this process has the file. Rejects with STATE_LOCKED when another process holds it, and
 * with STATE_UNAVAILABLE when the lock file cannot be used. A damaged one is made anew.
 *
 * Whoever uses the file holds a shared lock on `<path>-lock`, in which the process that holds it is named; only
 * who has it exclusively may name another. The system lets go of a lock when its process dies, however that comes about.
 */
export async function lockFile(path: string, options: LockOptions, first: () => void): Promise<() => void> {
  const { sqlite, instance, owner, log } = options
  const file = `${path}-lock`
  createEmpty(file, owner)
  const open = () => new sqlite(file, { fileMustExist: true, timeout: 0 })
  let database = open()
  let wasDamaged = false
  try {
    const began = performance.now()
    for (;;) {
      try {
        if (ofLockFile(file, () => takeAlone(database))) {
          first()
          ofLockFile(file, () => nameHolder(database, instance))
        }
        const holder = ofLockFile(file, () => share(database))
        if (holder?.instance === instance) return () => database.close()
        if (database.inTransaction) database.exec('ROLLBACK')
        const seconds = (performance.now() - began) / 1000
        if (seconds > (holder === undefined ? openingPatience : patience)) {
          const who = holder?.pid === undefined ? '' : ` (${holder.pid} on ${holder.host})`
          throw new FeedooError(
            'STATE_LOCKED',
            `another process${who} uses ${path}; end it, or give this one another file`,
          )
        }
        await delay(attemptInterval)
      } catch (error) {
        if (!(error instanceof FeedooError) || wasDamaged || !isDamage(error.cause) || !emptied(file)) throw error
        wasDamaged = true
        log?.warn(`the lock file ${file} was damaged, as after a power cut: it is made anew; the state is beside it`)
        database.close()
        database = open()
      }
    }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Whether anybody has taken the lock on `path`. Throws STATE_UNAVAILABLE when its lock file cannot be used. */
export function isLocked(path: string, sqlite: typeof Database): boolean {
  const file = `${path}-lock`
  if (!existsSync(file)) return false
  return ofLockFile(file, () => {
    const database = new sqlite(file, { fileMustExist: true, timeout: 0 })
    try {
      return !takeAlone(database)
    } catch (error) {
      // Who comes to have the lock makes it anew.
      if (isDamage(error)) return false
      throw error
    } finally {
      database.close()
    }
  })
}

interface Holder {
  instance: string
  pid: number
  host: string
}

/** Does something with the lock file. Throws STATE_UNAVAILABLE, which names it. */
function ofLockFile<Result>(file: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw unavailable('open', file, error, 'lock file')
  }
}

/** Returns false when somebody has a lock on it. */
function takeAlone(database: Database.Database): boolean {
  // What it says is worth nothing after a power cut.
  database.pragma('synchronous = OFF')
  return attempt(() => database.exec('BEGIN EXCLUSIVE'))
}

function nameHolder(database: Database.Database, instance: string): void {
  database.exec('CREATE TABLE IF NOT EXISTS holder (instance TEXT, pid INTEGER, host TEXT); DELETE FROM holder')
  database.prepare('INSERT INTO holder VALUES (?, ?, ?)').run(instance, process.pid, hostname())
  database.exec('COMMIT')
}

/** Takes the shared lock and says who is named, if anybody is; undefined when somebody has the file exclusively. */
function share(database: Database.Database): Partial<Holder> | undefined {
  let holder: Partial<Holder> | undefined
  attempt(() => {
    database.exec('BEGIN')
    // Nobody is, in a file that was made anew while it was locked.
    const isNamed = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'holder'").get() !== undefined
    const named = isNamed ? database.prepare<[], Holder>('SELECT instance, pid, host FROM holder').get() : undefined
    holder = named ?? {}
  })
  return holder
}

function isDamage(error: unknown): boolean {
  return /^SQLITE_(?:NOTADB|CORRUPT)/.test(systemCode(error) ?? '')
}

/**
 * Empties a damaged lock file: it stays the same file, so that who has a lock on it keeps that. Returns false for one that
 * is too large to be ours.
 */
function emptied(file: string): boolean {
  if (statSync(file).size > maxLockBytes) return false
  // It stays open: closing it would let go of all the locks that this process has on it.
  ftruncateSync(openSync(file, 'r+'))
  rmSync(`${file}-journal`, { force: true })
  return true
}

/** Returns false when the lock is taken. */
function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (!systemCode(error)?.startsWith('SQLITE_BUSY')) throw error
    return false
  }
}

/** Makes the file unless it is there. One that is there is not opened: closing it would let go of all its locks. */
export function createEmpty(path: string, owner: Owner | undefined): void {
  try {
    const fd = openSync(path, 'wx', 0o600)
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid)
    closeSync(fd)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}
