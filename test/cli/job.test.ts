// Finite jobs: what they move, what they say at their end, and their exit code.
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { r } from 'rethinkdb-ts'
import { describe, expect, test } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'
import { freePort } from '../helpers/forward-receiver.ts'
import { startEmulator } from '../helpers/rethinkdb.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function makeTable(file: string, sql: string): void {
  const db = new Database(file)
  db.exec(sql)
  db.close()
}

function read(file: string, sql: string): unknown[] {
  const db = new Database(file, { readonly: true })
  try {
    return db.prepare(sql).all()
  } finally {
    db.close()
  }
}

const copy = (more = '') => `
pipelines:
  copy:
    - { name: input_sqlite, tag: "{table}", filename: "{dir}/old.sqlite", once: true${more} }
    - { name: output_sqlite, filename: "{dir}/new.sqlite", table: "{tag}", fields: [a] }
`

test('rethinkdb-to-sqlite.yaml makes a table of each table, with the same rows, shows its progress and ends with 0', async () => {
  const server = await startEmulator()
  const { ip, port, database } = server.params
  const connection = await server.connect()
  await r.dbCreate(database).run(connection)
  for (const table of ['one', 'two']) {
    await r.db(database).tableCreate(table).run(connection)
    await r.db(database).table(table).indexCreate('at').run(connection)
    const rows = [1, 2, 3].map((n) => ({ id: `${table}-${n}`, at: n, map: { n } }))
    await r.db(database).table(table).insert(rows).run(connection)
  }
  await connection.close()
  const folder = await scratchFolder()
  const file = join(folder, 'new.sqlite')
  const daemon = new Daemon(['etc/feedoo/pipelines/rethinkdb-to-sqlite.yaml', '--progress'], {
    cwd: root,
    env: {
      RETHINKDB_HOST: ip,
      RETHINKDB_PORT: String(port),
      RETHINKDB_DATABASE: database,
      TIME_KEY: 'at',
      SQLITE_FILE: file,
    },
  })
  expect([await daemon.exit(), daemon.stderr]).toEqual([0, daemon.stderr])
  const outputs = { 'rethinkdb-to-sqlite/output_sqlite': 6 }
  expect(daemon.logs().at(-1)).toMatchObject({ events: 6, outputs, errors: 0, dead_letters: 0, unread: 0 })
  for (const table of ['one', 'two']) {
    expect(read(file, `SELECT id, at, map FROM ${table} ORDER BY at`)).toEqual(
      [1, 2, 3].map((n) => ({ id: `${table}-${n}`, at: n, map: `{"n":${n}}` })),
    )
  }
})

test('sqlite-to-archive.yaml makes a file a table and day', async () => {
  const folder = await scratchFolder()
  const file = join(folder, 'old.sqlite')
  makeTable(file, 'CREATE TABLE web (timestamp, n); INSERT INTO web VALUES (1767312000, 1), (1767398400, 2)')
  const daemon = new Daemon(['etc/feedoo/pipelines/sqlite-to-archive.yaml'], {
    cwd: root,
    env: { SQLITE_FILE: file, ARCHIVE_DIR: join(folder, 'archive') },
  })
  expect([await daemon.exit(), daemon.stderr]).toEqual([0, daemon.stderr])
  expect((await readdir(join(folder, 'archive'))).sort()).toEqual(['web-2026-01-02.jsonl', 'web-2026-01-03.jsonl'])
  expect(await linesIn(join(folder, 'archive'))).toEqual([
    '{"timestamp":1767312000,"n":1}',
    '{"timestamp":1767398400,"n":2}',
  ])
})

describe('a job that could not', () => {
  test.each([
    [
      'write a row ends with 1: it is a dead letter',
      'CREATE TABLE t (timestamp, b); INSERT INTO t VALUES (1, 2)',
      { events: 1, dead_letters: 1, outputs: { 'copy/output_sqlite': 0 } },
    ],
    [
      'read a row ends with 1: it has no time',
      'CREATE TABLE t (timestamp, a); INSERT INTO t VALUES (1, 2), (null, 3)',
      { events: 1, unread: 1, outputs: { 'copy/output_sqlite': 1 } },
    ],
    [
      'read a table ends with 1: it has no time field',
      'CREATE TABLE t (timestamp, a); CREATE TABLE u (a)',
      { events: 0, unread: 1 },
    ],
  ])('%s', async (_, sql, summary) => {
    const folder = await scratchFolder()
    makeTable(join(folder, 'old.sqlite'), sql)
    const daemon = await Daemon.start(copy(), folder)
    expect(await daemon.exit()).toBe(1)
    expect(daemon.logs().at(-1)).toMatchObject(summary)
  })

  test('reach its file in time ends with 1', async () => {
    const folder = await scratchFolder()
    const lock = new Database(join(folder, 'old.sqlite'))
    lock.exec('CREATE TABLE t (timestamp, a); INSERT INTO t VALUES (1, 2)')
    lock.pragma('locking_mode = EXCLUSIVE')
    lock.exec('BEGIN EXCLUSIVE')
    const daemon = await Daemon.start(copy(', wait_connection: 0.7'), folder)
    expect(await daemon.exit()).toBe(1)
    lock.close()
    expect(daemon.stderr).toMatch(/locked by another process; given up after 0\.7 s/)
    expect(daemon.logs().at(-1)).toMatchObject({
      errors: 1,
      msg: expect.stringMatching(/^failed: .*; 1 error, 0 dead/),
    })
  })

  test('reach its server in time ends with 1, in a sentence', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const yaml = `
pipelines:
  copy:
    - { name: input_rethinkdb, tag: x, port: ${port}, wait_connection: 0.3, once: true }
    - { name: output_sqlite, filename: "{dir}/new.sqlite", table: t }
`
    const daemon = await Daemon.start(yaml, folder)
    expect(await daemon.exit()).toBe(1)
    expect(daemon.stderr).toMatch(/cannot connect to RethinkDB at .*; given up after 0\.3 s/)
  })
})

test('a pipeline that a signal ends has exit code 0, whatever is in its dead letters', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'in.log'), 'x\n')
  const yaml = `
dead_letters: "{dir}/dead.jsonl"
pipelines:
  p:
    - { name: input_file, tag: x, path_pattern: "{dir}/in.log", from: start }
    - { name: output_stdout }
    - { name: output_sqlite, filename: ":memory:", table: t, fields: [missing] }
`
  const daemon = await Daemon.start(yaml, folder)
  await daemon.printed(/x/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().at(-1)).toMatchObject({ dead_letters: 1 })
})
