// What a pipeline from one SQLite file into another takes of memory: under 200 MB, whatever the number of rows and tables.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'

const maxMB = 200
/** Writes down what its process has used. */
const usage = fileURLToPath(new URL('../../bench/usage.mjs', import.meta.url))
const yaml = `
pipelines:
  p:
    - { name: input_sqlite, tag: "{table}", filename: "{dir}/in.sqlite", once: true }
    - { name: output_sqlite, filename: "{dir}/out.sqlite", table: "{tag}" }
`

test.each([
  { tables: 1, rows: 1_000_000, index: true },
  { tables: 1, rows: 1_000_000, index: false },
  { tables: 100, rows: 10_000, index: true },
  { tables: 100, rows: 10_000, index: false },
])('$tables tables of $rows rows, index: $index', async ({ tables, rows, index }) => {
  const folder = await scratchFolder()
  makeTables(join(folder, 'in.sqlite'), tables, rows, index)
  const report = join(folder, 'usage.json')
  const daemon = await Daemon.start(yaml, folder, {
    env: { NODE_OPTIONS: `--import ${usage}`, BENCH_USAGE: report },
  })
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  const { peakMB } = JSON.parse(await readFile(report, 'utf8')) as { peakMB: number }
  console.log(`${tables} tables of ${rows} rows, index: ${index}: ${peakMB.toFixed(0)} MB`)
  expect(rowsIn(join(folder, 'out.sqlite'))).toBe(tables * rows)
  expect(peakMB).toBeLessThan(maxMB)
})

/** Tables of eight columns whose rows follow each other in turn. */
function makeTables(path: string, tables: number, rows: number, index: boolean): void {
  const db = new Database(path)
  db.pragma('synchronous = OFF')
  const names = Array.from({ length: tables }, (_, i) => `log_${i}`)
  const inserts = names.map((name) => {
    db.exec(`CREATE TABLE ${name} (timestamp REAL, level TEXT, service TEXT, message TEXT, duration_ms REAL, status INTEGER,
      user_id INTEGER, trace TEXT)`)
    return db.prepare(`INSERT INTO ${name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
  })
  const insertAll = db.transaction(() => {
    for (let n = 0; n < rows; n++) {
      for (const [i, insert] of inserts.entries()) {
        const mixed = Math.imul(n * tables + i, 2_654_435_761) >>> 0
        const message = `request ${mixed.toString(16)} took longer than expected for customer ${mixed % 977}`
        const trace = mixed.toString(16).padStart(8, '0').repeat(4)
        const time = 1_600_000_000 + n + i / tables
        insert.run(
          time,
          mixed % 3 ? 'info' : 'warn',
          `service-${mixed % 20}`,
          message,
          mixed / 7,
          200,
          mixed % 1e6,
          trace,
        )
      }
    }
  })
  insertAll()
  if (index) for (const name of names) db.exec(`CREATE INDEX ${name}_time ON ${name} (timestamp)`)
  db.close()
}

function rowsIn(path: string): number {
  const db = new Database(path, { readonly: true })
  try {
    const names = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE name GLOB 'log_*'").pluck().all()
    const count = (name: string) => db.prepare<[], number>(`SELECT count(*) FROM ${name}`).pluck().get() ?? 0
    return names.reduce((sum, name) => sum + count(name), 0)
  } finally {
    db.close()
  }
}
