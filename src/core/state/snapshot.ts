// A state file as of one commit, to look into: read only, whoever uses it meanwhile.
import { type Stats, statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { FeedooError, messageOf } from '../errors.ts'
import { headerDamage, isDamage } from './examine.ts'
import { formatOf, stateFormat } from './schema.ts'
import { unavailable } from './state-failure.ts'

/** Milliseconds that a reader waits for a writer that has just come or gone. */
const busyTimeout = 5000

/** A state file as of one commit. */
export interface Snapshot {
  readonly path: string
  readonly sqlite: typeof Database
  readonly database: Database.Database
  readonly format: number
  close(): void
}

/**
 * Opens a file for reading; writers are not held up. Rejects with STATE_FOREIGN, STATE_NEWER, STATE_DAMAGED, and with
 * STATE_UNAVAILABLE for what is not there or cannot be read.
 */
export async function openSnapshot(path: string): Promise<Snapshot> {
  // Only here: it takes time that other commands need not spend.
  const { default: sqlite } = await import('better-sqlite3')
  let database: Database.Database | undefined
  try {
    const damage = headerDamage(path, existing(path))
    if (damage !== undefined) throw damaged(path, damage)
    database = new sqlite(path, { readonly: true, fileMustExist: true, timeout: busyTimeout })
    database.pragma('trusted_schema = OFF')
    database.pragma('cell_size_check = ON')
    database.exec('BEGIN')
    // The first read is the moment of the snapshot.
    const format = formatOf(database)
    if (format > stateFormat) {
      const versions = `format ${format}, this one knows ${stateFormat}`
      throw new FeedooError('STATE_NEWER', `${path} was written by a newer version of feedoo (${versions})`)
    }
    const opened = database
    return { path, sqlite, database, format, close: () => opened.close() }
  } catch (error) {
    database?.close()
    throw failureOf(path, error)
  }
}

/** What to say of an error while a file is read. */
export function failureOf(path: string, error: unknown): FeedooError {
  if (error instanceof FeedooError) return error
  return isDamage(error) ? damaged(path, messageOf(error)) : unavailable('open', path, error)
}

function damaged(path: string, how: string): FeedooError {
  return new FeedooError('STATE_DAMAGED', `${path} is damaged: ${how}`)
}

function existing(path: string): Stats {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats !== undefined) return stats
  throw new FeedooError('STATE_UNAVAILABLE', `there is no state file ${path}`)
}
