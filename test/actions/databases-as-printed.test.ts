// The parameters of the four database actions as the original's README and code spell them, with what was left out there.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startEmulator } from '../helpers/rethinkdb.ts'
import { type ActionMap, makePipeline, send } from '../helpers/run-pipeline.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-printed-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const event = (n: number, record: Record<string, unknown> = {}) => ({
  tag: 'log',
  timestamp: 1_600_000_000 + n,
  record: { timestamp: 1_600_000_000 + n, n, ...record },
})

async function read(list: ActionMap[]) {
  const { pipeline, out } = makePipeline(list)
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
  return out
}

describe('SQLite', () => {
  test('input_sqlite without `window`, output_sqlite without `time_key`', async () => {
    const filename = join(folder, 'a.sqlite')
    await send(
      [{ name: 'output_sqlite', match: '*', filename, table: 'log', fields: ['timestamp', 'n'] }],
      [event(1), event(2)],
    )
    const out = await read([{ name: 'input_sqlite', filename, tag: 'log', once: true }])
    expect(out).toEqual([event(1), event(2)])
  })

  test('null, boolean, number and nested values keep their type', async () => {
    const filename = join(folder, 'a.sqlite')
    const values = { missing: null, yes: true, no: false, whole: 7, part: 1.5, nested: { a: [1] } }
    await send([{ name: 'output_sqlite', filename, table: 'log' }], [event(1, values)])
    const db = new Database(filename, { readonly: true })
    expect(db.prepare('SELECT missing, yes, no, whole, part, nested FROM log').get()).toEqual({
      ...{ missing: null, yes: 1, no: 0, whole: 7, part: 1.5, nested: '{"a":[1]}' },
    })
    expect(db.prepare('SELECT typeof(yes) a, typeof(whole) b, typeof(part) c FROM log').raw().get()).toEqual([
      ...['integer', 'integer', 'real'],
    ])
    db.close()
  })

  test('a table template cannot reach another table, whatever the field holds', async () => {
    const filename = join(folder, 'a.sqlite')
    const sources = ['a-b', 'select', 'x"; DROP TABLE y;--', '../z']
    const before = new Database(filename)
    before.exec('CREATE TABLE y (n)')
    before.close()
    await send(
      [{ name: 'output_sqlite', filename, table: 'log_{source}' }],
      sources.map((source, n) => event(n, { source })),
    )
    const db = new Database(filename, { readonly: true })
    const names = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .pluck()
      .all() as string[]
    expect(names).toHaveLength(5)
    expect(names).toEqual(
      expect.arrayContaining([
        'y',
        'log_a-b',
        'log_select',
        'log_x"; DROP TABLE y;--',
        expect.stringMatching(/^log_.*z$/),
      ]),
    )
    for (const name of names.filter((name) => name !== 'y')) {
      expect(
        db
          .prepare(`SELECT count(*) FROM "${name.replaceAll('"', '""')}"`)
          .pluck()
          .get(),
      ).toBe(1)
    }
    db.close()
  })

  test('a locked file holds rows up, and each is there once when the lock is gone', async () => {
    const filename = join(folder, 'a.sqlite')
    const other = new Database(filename)
    other.pragma('journal_mode = WAL')
    other.exec('BEGIN IMMEDIATE')
    const { pipeline } = makePipeline([{ name: 'output_sqlite', filename, table: 'log', retry_delay: 0.01 }])
    await pipeline.open()
    const safe = pipeline.inject([event(1), event(2)])
    while (pipeline.failingOutputs().length === 0) await new Promise((resolve) => setImmediate(resolve))
    other.exec('COMMIT')
    await safe
    expect(other.prepare('SELECT n FROM log').pluck().all()).toEqual([1, 2])
    other.close()
    await pipeline.run(new AbortController().signal)
  })
})

describe('RethinkDB', () => {
  test.each([
    ['README', { time_key: 'timestamp' }, 'database'],
    ['code', { timestamp_index: 'timestamp' }, 'database_name'],
  ])('in and out by the names of the %s', async (_, time, database) => {
    const { params } = await startEmulator()
    const server = { ip: params.ip, port: params.port, [database]: 'printed', wait_connection: 10 }
    await send([{ name: 'output_rethinkdb', ...server, ...time, table: 'log' }], [event(1), event(2)])
    const out = await read([{ name: 'input_rethinkdb', ...server, ...time, tag: 'log', once: true }])
    expect(out.map(({ timestamp, record: { id, ...record } }) => ({ timestamp, record, hasId: typeof id }))).toEqual(
      [1, 2].map((n) => ({ timestamp: event(n).timestamp, record: event(n).record, hasId: 'string' })),
    )
  })
})
