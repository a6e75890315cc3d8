// Keeps a state file to one process, while others may read it: a lock on a small SQLite file that stands beside it.
import { closeSync, fchownSync, openSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import { FeedooError, systemCode } from '../errors.ts'

/** Seconds that another process, which may be about to end, has to let go of the file. */
const patience = 1
/** Seconds that another process, or another pipeline, may take to look a file through when it opens it. */
const openingPatience = 60
/** Milliseconds between two attempts. */
const attemptInterval = 25

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
}

/**
 * Takes the lock on `path`, for as long as the process lives or until the returned function is called. `first` is
 * called before anyone else of this process has the file. Rejects with STATE_LOCKED when another process holds it.
 *
 * Whoever uses the file holds a shared lock on `<path>-lock`, in which the process that holds it is named; only
 * who has it exclusively may name another. The system lets go of a lock when its process dies, however that comes about.
 */
export async function lockFile(path: string, options: LockOptions, first: () => void): Promise<() => void> {
  const { sqlite, instance, owner } = options
  const file = `${path}-lock`
  createEmpty(file, owner)
  const database = new sqlite(file, { fileMustExist: true, timeout: 0 })
  try {
    // What it says is worth nothing after a power cut.
    database.pragma('synchronous = OFF')
    const began = performance.now()
    for (;;) {
      if (attempt(() => database.exec('BEGIN EXCLUSIVE'))) {
        first()
        nameHolder(database, instance)
      }
      const holder = share(database)
      if (holder?.instance === instance) return () => database.close()
      if (database.inTransaction) database.exec('ROLLBACK')
      const seconds = (performance.now() - began) / 1000
      if (seconds > (holder === undefined ? openingPatience : patience)) {
        const who = holder === undefined ? '' : ` (${holder.pid} on ${holder.host})`
        throw new FeedooError(
          'STATE_LOCKED',
          `another process${who} uses ${path}; end it, or give this one another file`,
        )
      }
      await delay(attemptInterval)
    }
  } catch (error) {
    database.close()
    throw error
  }
}

interface Holder {
  instance: string
  pid: number
  host: string
}

function nameHolder(database: Database.Database, instance: string): void {
  database.exec('CREATE TABLE IF NOT EXISTS holder (instance TEXT, pid INTEGER, host TEXT); DELETE FROM holder')
  database.prepare('INSERT INTO holder VALUES (?, ?, ?)').run(instance, process.pid, hostname())
  database.exec('COMMIT')
}

/** Takes the shared lock and says who is named; undefined when somebody has the file exclusively. */
function share(database: Database.Database): Holder | undefined {
  let holder: Holder | undefined
  attempt(() => {
    database.exec('BEGIN')
    holder = database.prepare<[], Holder>('SELECT instance, pid, host FROM holder').get()
  })
  return holder
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
