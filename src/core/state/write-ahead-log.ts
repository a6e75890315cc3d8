// The write-ahead log of a state file: brought to the disk after a transaction, beside the stream or at once.
import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import { promisify } from 'node:util'
import type Database from 'better-sqlite3'
import { FeedooError } from '../errors.ts'

const syncData = promisify(fdatasync)

export class WriteAheadLog {
  readonly #database: Database.Database
  /** The journal, to flush it without holding up the stream. */
  readonly #journal: number
  /** The same, to flush it at once: the system tells of what it could not write once for each time that a file was opened. */
  readonly #journalAtOnce: number
  /** The system could not write all of the journal, and may since have forgotten what. */
  #isLost = false
  #isClosed = false
  #syncs = 0

  /** Of the database at this path, once that has one. */
  constructor(database: Database.Database, path: string) {
    this.#database = database
    this.#journal = openSync(`${path}-wal`, 'r+')
    this.#journalAtOnce = openSync(`${path}-wal`, 'r+')
  }

  /** Comes back when all transactions so far would survive a power cut. Rejects with what the system says. */
  async flush(): Promise<void> {
    if (!this.#isLost) await this.#syncBeside()
    // Another flush would say that all is well. It may also have been lost by `flushAtOnce`, meanwhile.
    if (this.#isLost) this.#checkpoint()
  }

  /** The same, and nothing else happens meanwhile. */
  flushAtOnce(): void {
    if (this.#isLost) {
      this.#checkpoint()
      return
    }
    try {
      fdatasyncSync(this.#journalAtOnce)
    } catch (error) {
      this.#isLost = true
      throw error
    }
  }

  /**
   * Writes everything into the file, as closing the database does only when nobody else has it open: whoever copies the
   * file after the end is to get all of it. Where that cannot be, as on a full disk, the journal keeps it.
   */
  finish(): void {
    try {
      this.#checkpoint()
    } catch {
      // Nothing is lost by it.
    }
  }

  /** Before the database is closed. */
  close(): void {
    this.#isClosed = true
    if (this.#syncs === 0) closeSync(this.#journal)
    closeSync(this.#journalAtOnce)
  }

  async #syncBeside(): Promise<void> {
    this.#syncs++
    try {
      await syncData(this.#journal)
    } catch (error) {
      this.#isLost = true
      throw error
    } finally {
      this.#syncs--
      if (this.#isClosed && this.#syncs === 0) closeSync(this.#journal)
    }
  }

  /** Writes what the journal holds into the file, flushes that, and begins the journal anew. */
  #checkpoint(): void {
    const [result] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[]
    if (result?.busy !== 0) throw new FeedooError('STATE_UNAVAILABLE', 'somebody reads it', { retriable: true })
    // What is left of the old one on the disk must not be taken for newer than the file.
    fdatasyncSync(this.#journalAtOnce)
    this.#isLost = false
  }
}
