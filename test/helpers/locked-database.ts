// A pipeline whose SQLite files, the one it reads and the one it writes, are locked for a while.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { Daemon, scratchFolder } from './daemon.ts'

const yaml = `
pipelines:
  p:
    - { name: input_sqlite, tag: "{table}", filename: "{dir}/in.sqlite", from: start, refresh_interval: 0.05, remove: {remove} }
    - { name: output_sqlite, filename: "{dir}/out.sqlite", table: "{tag}", retry_delay: 0.05, retry_max_delay: 1 }
`
const rowsEach = 50

/**
 * Locks them for so many seconds, and until it is missed. Throws when rows are lost or doubled, left behind with `remove`, a
 * restart was needed, or more is logged than when it goes and when it is back.
 */
export async function lockForAWhile(seconds: number, remove: boolean): Promise<void> {
  const folder = await scratchFolder()
  const input = new Database(join(folder, 'in.sqlite'), { timeout: 5000 })
  let n = 0
  const insert = () => {
    // feedoo drops it when it is empty, with `remove`.
    input.exec('CREATE TABLE IF NOT EXISTS t (timestamp, n); CREATE INDEX IF NOT EXISTS t_time ON t (timestamp)')
    const statement = input.prepare('INSERT INTO t VALUES (?, ?)')
    for (let i = 0; i < rowsEach; i++) statement.run(1_600_000_000 + n, n++)
  }
  input.transaction(insert).immediate()
  const daemon = await Daemon.start(yaml.replace('{remove}', String(remove)), folder)
  const output = new Database(join(folder, 'out.sqlite'), { timeout: 5000 })
  const arrived = async () => {
    const count = () => (hasTable(output) ? output.prepare('SELECT count(*) FROM t').pluck().get() : 0)
    while (count() !== n) await pause(0.05)
  }
  await arrived()

  output.exec('BEGIN EXCLUSIVE')
  input.transaction(insert).immediate()
  await daemon.logged(/out\.sqlite: locked by another process; trying again until it works/)
  await pause(seconds)
  output.exec('COMMIT')
  await arrived()
  await daemon.logged(/the output takes events again/)

  input.exec('BEGIN EXCLUSIVE')
  insert()
  await daemon.logged(/the database cannot be read/)
  await pause(seconds)
  input.exec('COMMIT')
  await arrived()
  await daemon.logged(/the database is back/)

  expect(output.prepare('SELECT n FROM t ORDER BY rowid').pluck().all()).toEqual(Array.from({ length: n }, (_, i) => i))
  output.close()
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(hasTable(input)).toBe(!remove)
  input.close()
  const messages = daemon.logs().map(({ msg }) => String(msg))
  const about = messages.filter((text) => /locked|takes events|cannot be read|is back|failed/.test(text))
  expect(about).toHaveLength(4)
}

function hasTable(db: Database.Database): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 't'").get() !== undefined
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
