// A SQLite file for a test, and the reader's store over it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { SeriesStore } from '../../../src/core/series/store.ts'
import { createSqliteStore } from '../../../src/core/sqlite/series-store.ts'

export interface TestDatabase {
  path: string
  db: Sqlite.Database
  store(options?: { timeKey?: string; readonly?: boolean; mustExist?: boolean }): SeriesStore
}

export function testDatabase(sql = ''): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-series-'))
  const path = join(folder, 'test.sqlite')
  const db = new Sqlite(path)
  // Nothing here is to survive a power cut.
  db.pragma('synchronous = OFF')
  db.exec(sql)
  const stores: SeriesStore[] = []
  onTestFinished(async () => {
    db.close()
    for (const store of stores) await store.close()
    rmSync(folder, { recursive: true })
  })
  return {
    path,
    db,
    store(options = {}) {
      const store = createSqliteStore({ path, timeKey: 'ts', readonly: false, mustExist: false, ...options })
      stores.push(store)
      return store
    },
  }
}
