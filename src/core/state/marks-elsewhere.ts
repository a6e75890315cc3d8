// What the outputs of other pipelines have marked: their state files lie in the same folder, and may be in use.
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type Database from 'better-sqlite3'
import type { Json } from '../action.ts'
import { systemCode } from '../errors.ts'
import { isDamage } from './examine.ts'
import { unavailable } from './state-failure.ts'

/** Milliseconds that a reader waits for a writer that has just come or gone. */
const busyTimeout = 1000

/**
 * By the outputs' own keys; undefined when the folder of a state file holds no other. What is damaged, or no state, has no
 * marks. Throws STATE_UNAVAILABLE for what cannot be read.
 */
export function marksElsewhere(sqlite: typeof Database, own: string): Map<string, Json[]> | undefined {
  const folder = dirname(own)
  const others = readdirSync(folder).filter((name) => name.endsWith('.sqlite') && name !== basename(own))
  if (others.length === 0) return undefined
  const found = new Map<string, Json[]>()
  for (const name of others) {
    const path = join(folder, name)
    try {
      for (const { key, json } of marksIn(sqlite, path)) {
        const marks = found.get(key) ?? []
        marks.push(JSON.parse(json) as Json)
        found.set(key, marks)
      }
    } catch (error) {
      // What is no state, or one without tables yet: SQLite has no code for that alone.
      if (!isDamage(error) && systemCode(error) !== 'SQLITE_ERROR') throw unavailable('open', path, error)
    }
  }
  return found
}

function marksIn(sqlite: typeof Database, path: string): { key: string; json: string }[] {
  const database = new sqlite(path, { readonly: true, fileMustExist: true, timeout: busyTimeout })
  try {
    database.pragma('trusted_schema = OFF')
    return database.prepare<[], { key: string; json: string }>('SELECT key, json FROM marks').all()
  } finally {
    database.close()
  }
}
