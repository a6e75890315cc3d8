// Looks through a state file before it is used: makes a new one, sets a damaged one aside, refuses what is not ours.
import { randomUUID } from 'node:crypto'
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type Database from 'better-sqlite3'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createEmpty, type Owner } from './file-lock.ts'
import { applicationId, formatOf, migrate, stateFormat } from './schema.ts'

/** Bytes of an SQLite file before its first page's content. */
const headerLength = 100
const magic = 'SQLite format 3\0'
/** Where the header has the application id. */
const applicationIdAt = 68

export interface PrepareOptions {
  sqlite: typeof Database
  owner: Owner | undefined
  log: Logger
  /** Whether a new file is flushed to the disk before it is used. */
  flush: boolean
}

/**
 * Sees to it that a sound state file of ours stands at `path`. Called while nobody else, in this process or in others,
 * has it open. Throws STATE_FOREIGN and STATE_NEWER for a file that must not be touched.
 */
export function prepareStateFile(path: string, options: PrepareOptions): void {
  const { sqlite, owner, log } = options
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats !== undefined && stats.size > 0) {
    const damage = headerDamage(path, stats) ?? contentDamage(path, sqlite)
    if (damage === undefined) {
      if (owner !== undefined) for (const file of partsOf(path)) chownSync(file, owner.uid, owner.gid)
      return
    }
    const aside = setAside(path)
    log.error(
      { code: 'STATE_DAMAGED', reason: damage },
      `the state file ${path} is damaged: it is now ${aside}, and everything that it held begins afresh`,
    )
  } else if (existsSync(`${path}-wal`)) {
    // Of a file that somebody has removed: SQLite would write it into the new one.
    log.warn(`${path} was removed, but not its -wal file, which is now beside ${setAside(path)}`)
  }
  create(path, options)
}

/** Of a file of ours, what is wrong with its beginning. Throws STATE_FOREIGN for another. */
export function headerDamage(path: string, stats: Stats): string | undefined {
  if (!stats.isFile()) throw new FeedooError('STATE_FOREIGN', `${path} is not a regular file`)
  const header = Buffer.alloc(headerLength)
  const fd = openSync(path, 'r')
  let damage: string | undefined
  if (readSync(fd, header) < headerLength) damage = 'it is too short'
  else if (header.toString('latin1', 0, magic.length) !== magic) damage = 'it does not begin as an SQLite file'
  if (damage !== undefined || header.readUInt32BE(applicationIdAt) === applicationId) {
    closeSync(fd)
    return damage
  }
  // It stays open: closing it would let go of the locks of an output, or an input, of this process that uses it.
  throw new FeedooError(
    'STATE_FOREIGN',
    `${path} is an SQLite database of something else than the state of feedoo; give the state another file`,
  )
}

/** Reads all of it, without changing it. */
function contentDamage(path: string, sqlite: typeof Database): string | undefined {
  let database: Database.Database | undefined
  try {
    database = new sqlite(path, { readonly: true })
    database.pragma('cell_size_check = ON')
    const format = formatOf(database)
    if (format > stateFormat) {
      throw new FeedooError(
        'STATE_NEWER',
        `${path} was written by a newer version of feedoo (format ${format}, this one knows ${stateFormat}); run that version, or move the file away to begin afresh`,
      )
    }
    return checkDatabase(database)
  } catch (error) {
    if (isDamage(error)) return messageOf(error)
    throw error
  } finally {
    database?.close()
  }
}

/** What is wrong with an open state file, or undefined. Reads all of it. */
export function checkDatabase(database: Database.Database): string | undefined {
  const verdict = String(database.pragma('quick_check(1)', { simple: true }))
  if (verdict !== 'ok') return verdict
  // The tables of older formats are looked at as SQLite sees them only.
  if (formatOf(database) < stateFormat) return undefined
  for (const table of ['segments', 'batches']) {
    const rows = database.prepare<[], Row>(`SELECT action, crc, data FROM ${table}`)
    for (const { action, crc, data } of rows.iterate()) {
      if (crc32(data) !== crc) return `what it holds of ${action} is not as it was written`
    }
  }
  for (const table of ['marks', 'positions', 'timelines']) {
    const wrong = database.prepare(`SELECT 1 FROM ${table} WHERE NOT json_valid(json) LIMIT 1`).get()
    if (wrong !== undefined) return `the table ${table} is not as it was written`
  }
  for (const table of ['meta', 'commits', 'last_batches', 'actions']) database.prepare(`SELECT * FROM ${table}`)
  return undefined
}

interface Row {
  action: string
  crc: number
  data: Buffer
}

/** Whether SQLite says that the file is not as it was written. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(?:CORRUPT|NOTADB|FORMAT|ERROR|SCHEMA|MISMATCH|TOOBIG)/.test(systemCode(error) ?? '')
}

/** Renames a file with its journal; returns the new name. */
function setAside(path: string): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  let aside = `${path}.damaged-${time}`
  for (let i = 2; partsOf(aside).length > 0; i++) aside = `${path}.damaged-${time}-${i}`
  for (const file of partsOf(path)) {
    // An index that SQLite makes again, and a journal that only looking at the file has made.
    if (file.endsWith('-shm') || statSync(file).size === 0) rmSync(file)
    else renameSync(file, `${aside}${file.slice(path.length)}`)
  }
  return aside
}

/** The files that make up a database, those of them that exist. */
function partsOf(path: string): string[] {
  return [path, `${path}-wal`, `${path}-shm`, `${path}-journal`].filter((file) => existsSync(file))
}

/** Makes a file complete under another name first: one that a kill leaves half made is never used. */
function create(path: string, { sqlite, owner, flush }: PrepareOptions): void {
  const making = `${path}.new`
  for (const file of partsOf(making)) rmSync(file)
  createEmpty(making, owner)
  const database = new sqlite(making, { fileMustExist: true })
  try {
    if (!flush) database.pragma('synchronous = OFF')
    database.pragma(`application_id = ${applicationId}`)
    migrate(database)
    const insert = database.prepare('INSERT INTO meta (key, value) VALUES (?, ?)')
    insert.run('id', randomUUID())
    insert.run('created', new Date().toISOString())
    database.pragma('journal_mode = WAL')
  } finally {
    database.close()
  }
  renameSync(making, path)
  if (flush) syncFolder(dirname(path))
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
