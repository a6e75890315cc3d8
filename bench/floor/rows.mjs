// What the floors share that write rows into SQLite: better-sqlite3 as its manual shows it, in transactions of a thousand rows.
import { closeSync, fsyncSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'

/** As many as feedoo writes in one. */
const rowsATransaction = 1000

/** Returns what adds a row, given as a list of its values, and what ends. */
export function openTarget(path) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  // Its types make integers of the floats that better-sqlite3 binds.
  db.exec(
    'CREATE TABLE events (timestamp REAL, level TEXT, service TEXT, message TEXT, duration_ms REAL, status INTEGER, user_id INTEGER, trace TEXT)',
  )
  db.exec('CREATE INDEX events_timestamp ON events (timestamp)')
  const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  let rows = 0
  return {
    add(values) {
      if (rows === 0) db.exec('BEGIN')
      insert.run(values)
      if (++rows < rowsATransaction) return
      db.exec('COMMIT')
      rows = 0
    },
    end() {
      if (rows > 0) db.exec('COMMIT')
      db.close()
      const file = openSync(path, 'r')
      fsyncSync(file)
      closeSync(file)
    },
  }
}
