// SQLite files of the cases: made from JSON lines, and read again to be compared.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Database from 'better-sqlite3'

/** The table of the data, and of what the cases write. */
export const table = 'events'

/** Writes a table of the rows in a file of JSON lines, with an index on their time. */
export function writeRows(path: string, linesFile: string): void {
  const db = new Database(path)
  try {
    db.exec(
      `CREATE TABLE ${table} (timestamp REAL, level TEXT, service TEXT, message TEXT, duration_ms REAL, status INTEGER, user_id INTEGER, trace TEXT)`,
    )
    const insert = db.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
    db.transaction(() => {
      for (const line of readFileSync(linesFile, 'utf8').split('\n')) {
        if (line !== '') insert.run(Object.values(JSON.parse(line)))
      }
    })()
    db.exec(`CREATE INDEX events_timestamp ON ${table} (timestamp)`)
  } finally {
    db.close()
  }
}

/** The rows of a file that a case has written, in their order, with the type of each value, and the columns with an index. */
export function readRows(path: string): { lines: number; hash: string } {
  const db = new Database(path, { readonly: true })
  try {
    const hash = createHash('sha256')
    const columns = db.prepare<[], string>(`SELECT name FROM pragma_table_info('${table}')`).pluck().all()
    const indexed = db
      .prepare<[], string>(
        `SELECT info.name FROM pragma_index_list('${table}') list, pragma_index_info(list.name) info ORDER BY 1`,
      )
      .pluck()
      .all()
    hash.update(`${columns} ${indexed}`)
    const all = columns.map((name) => `"${name}", typeof("${name}")`).join(', ')
    let lines = 0
    for (const row of db.prepare<[], unknown[]>(`SELECT ${all} FROM ${table} ORDER BY rowid`).raw().iterate()) {
      hash.update(JSON.stringify(row))
      lines++
    }
    return { lines, hash: hash.digest('hex') }
  } finally {
    db.close()
  }
}
