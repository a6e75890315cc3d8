// What the outputs of other pipelines have marked: their state files lie in the same folder, and may be in use.
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type Database from 'better-sqlite3'
import type { Json, MarksElsewhere } from '../action.ts'
import { systemCode } from '../errors.ts'
import { isDamage } from './examine.ts'
import { isLocked } from './file-lock.ts'
import { unavailable } from './state-failure.ts'

/** Milliseconds that a reader waits for a writer that has just come or gone. */
const busyTimeout = 1000

/**
 * Undefined when the folder of a state file holds no other that counts: that of one of `others`, names of files with the
 * names of their pipelines, or one that somebody uses. All else, such as a backup, is not even opened. What is damaged, or
 * no state, has no marks. Throws STATE_UNAVAILABLE for what cannot be read.
 */
export function marksElsewhere(
  sqlite: typeof Database,
  own: { path: string; pipeline: string },
  others: ReadonlyMap<string, string>,
): MarksElsewhere | undefined {
  const folder = dirname(own.path)
  const names = readdirSync(folder).filter((name) => name.endsWith('.sqlite') && name !== basename(own.path))
  const counting = names.filter((name) => others.has(name) || isLocked(join(folder, name), sqlite))
  if (counting.length === 0) return undefined
  const found = new Map<string, { mark: Json; state: string }[]>()
  for (const name of counting) {
    const state = join(folder, name)
    const whose = others.get(name)
    for (const { pipeline, key, json } of marksIn(sqlite, state)) {
      if (whose === undefined ? pipeline === own.pipeline : pipeline !== whose) continue
      const marks = found.get(key) ?? []
      marks.push({ mark: JSON.parse(json) as Json, state })
      found.set(key, marks)
    }
  }
  return found
}

interface Row {
  pipeline: string
  key: string
  json: string
}

function marksIn(sqlite: typeof Database, path: string): Row[] {
  try {
    const database = new sqlite(path, { readonly: true, fileMustExist: true, timeout: busyTimeout })
    try {
      database.pragma('trusted_schema = OFF')
      return database.prepare<[], Row>('SELECT pipeline, key, json FROM marks').all()
    } finally {
      database.close()
    }
  } catch (error) {
    // What is no state, or one without tables yet: SQLite has no code for that alone.
    if (isDamage(error) || systemCode(error) === 'SQLITE_ERROR') return []
    throw unavailable('open', path, error)
  }
}
