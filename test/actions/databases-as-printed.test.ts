// The four actions of databases as the original's README and code write them: each configuration passes the check, and runs.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type Connection, r } from 'rethinkdb-ts'
import { describe, expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { type Server, startEmulator } from '../helpers/rethinkdb.ts'

/** Checks the configuration, then starts it. */
async function started(yaml: string, folder: string): Promise<Daemon> {
  const daemon = await Daemon.start(yaml, folder)
  const check = new Daemon(['check', join(folder, 'feedoo.yaml')], { cwd: folder })
  expect([await check.exit(), check.stderr, check.stdout]).toEqual([0, '', expect.stringContaining('')])
  return daemon
}

/** Inserts rows of now until one is printed: nobody sees from which moment on the daemon, however slow, reads them. */
async function untilPrinted(daemon: Daemon, insert: (now: number) => unknown): Promise<void> {
  await insert(Date.now() / 1000)
  const printed = daemon.printed(/"log":"now"/).then(() => true)
  while (!(await Promise.race([printed, delay(100, false)]))) await insert(Date.now() / 1000)
}

function rowsOf(file: string, table: string): unknown[] {
  const db = new Database(file, { readonly: true })
  try {
    return db.prepare(`SELECT * FROM "${table}"`).all()
  } finally {
    db.close()
  }
}

test('output_sqlite without time_key takes the time of the event, and keeps the types of values', async () => {
  const folder = await scratchFolder()
  const daemon = await started(
    `
pipelines:
  p:
    - name: input_dummy
      tag: my_tag
      repeat: 1
      data: { log: my log, none: null, yes: true, count: 7, map: { a: [1] } }
    - name: output_sqlite
      match: my_tag
      filename: "{dir}/feedoo.sqlite"
      table: "my_table"
      buffer_size: 100
      timeout_flush: 1
`,
    folder,
  )
  expect([await daemon.exit(), daemon.stderr]).toEqual([0, daemon.stderr])
  expect(rowsOf(join(folder, 'feedoo.sqlite'), 'my_table')).toEqual([
    { log: 'my log', none: null, yes: 1, count: 7, map: '{"a":[1]}', timestamp: expect.any(Number) },
  ])
})

test('output_sqlite takes time_key, a table named by the time, and fields', async () => {
  const folder = await scratchFolder()
  const daemon = await started(
    `
pipelines:
  p:
    - { name: input_dummy, tag: t, repeat: 1, data: [{ date: 1600000000, a: 1, b: 2 }, { date: 1600000000 }] }
    - name: output_sqlite
      match: "*"
      time_key: date
      filename: "{dir}/feedoo.sqlite"
      table: log_%Y_%m_%d
      fields: [date, a]
`,
    folder,
  )
  // The event that lacks a field is a dead letter.
  expect([await daemon.exit(), daemon.logs().at(-1)?.dead_letters]).toEqual([1, 1])
  expect(rowsOf(join(folder, 'feedoo.sqlite'), 'log_2020_09_13')).toEqual([{ date: 1600000000, a: 1 }])
})

test('input_sqlite without window reads 60 seconds at a time, from now', async () => {
  const folder = await scratchFolder()
  const db = new Database(join(folder, 'feedoo.sqlite'))
  db.exec('CREATE TABLE log_1 (timestamp, log)')
  const insert = db.prepare('INSERT INTO log_1 VALUES (?, ?)')
  insert.run(1, 'long ago')
  const daemon = await started(
    `
pipelines:
  p:
    - name: input_sqlite
      tag: my_tag
      filename: "{dir}/feedoo.sqlite"
      table: log_*
      time_key: timestamp
      remove: false
      offset: 0
      reload_position: true
    - { name: output_stdout, match: my_tag }
`,
    folder,
  )
  await untilPrinted(daemon, (now) => insert.run(now, 'now'))
  db.close()
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.stdout).not.toContain('long ago')
})

describe('RethinkDB, in the spelling of', () => {
  const spellings = [
    ['the README', 'time_key', 'database'],
    ['the code', 'timestamp_index', 'database_name'],
  ] as const

  test.each(spellings)('%s: output_rethinkdb makes database, table and index', async (_, time, database) => {
    const server = await startEmulator()
    const folder = await scratchFolder()
    const daemon = await started(
      `
pipelines:
  p:
    - { name: input_dummy, tag: t, repeat: 1, data: { timestamp: 1600000000, log: my log } }
    - name: output_rethinkdb
      match: "*"
      ip: ${server.params.ip}
      port: ${server.params.port}
      wait_connection: 10
      ${database}: logs
      table: log_%Y_%m_%d
      ${time}: timestamp
      buffer_size: 500
`,
      folder,
    )
    expect([await daemon.exit(), daemon.stderr]).toEqual([0, daemon.stderr])
    await withConnection(server, async (connection) => {
      const table = r.db('logs').table('log_2020_09_13')
      expect(await table.indexList().run(connection)).toEqual(['timestamp'])
      expect(await table.without('id').run(connection)).toEqual([{ timestamp: 1600000000, log: 'my log' }])
    })
  })

  test.each(spellings)('%s: input_rethinkdb reads the rows of now', async (_, time, database) => {
    const server = await startEmulator()
    const folder = await scratchFolder()
    await withConnection(server, async (connection) => {
      await r.dbCreate('logs').run(connection)
      await r.db('logs').tableCreate('log_1').run(connection)
      await r.db('logs').table('log_1').indexCreate('date').run(connection)
    })
    const daemon = await started(
      `
pipelines:
  p:
    - name: input_rethinkdb
      tag: my_tag
      ip: ${server.params.ip}
      port: ${server.params.port}
      wait_connection: 10
      ${database}: logs
      table: log_*
      ${time}: date
      window: 60
      remove: false
    - { name: output_stdout, match: my_tag }
`,
      folder,
    )
    await withConnection(server, (connection) =>
      untilPrinted(daemon, (now) => r.db('logs').table('log_1').insert({ date: now, log: 'now' }).run(connection)),
    )
    daemon.signal('SIGTERM')
    expect(await daemon.exit()).toBe(0)
  })
})

async function withConnection(server: Server, work: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await server.connect()
  try {
    await work(connection)
  } finally {
    await connection.close()
  }
}
