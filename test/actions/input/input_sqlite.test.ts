// The action in a pipeline: parameters, a finite job, a busy writer in another process, and the outputs behind it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { inputSqlite } from '../../../src/actions/input/input_sqlite.ts'
import type { Event } from '../../../src/core/event.ts'
import { testDatabase } from '../../core/series/database.ts'
import { makePipeline } from '../../helpers/run-pipeline.ts'

async function run(params: Record<string, unknown>): Promise<Event[]> {
  const { pipeline, out } = makePipeline([{ name: 'input_sqlite', ...params }])
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
  return out
}

it('reads the tables that match, in order of time, and ends', async () => {
  const database = testDatabase(`
    CREATE TABLE log_a (timestamp, n); INSERT INTO log_a VALUES (1, 1), (3, 3);
    CREATE TABLE log_b (timestamp, n); INSERT INTO log_b VALUES (2, 2), (99999999999, 4);
    CREATE TABLE other (timestamp, n); INSERT INTO other VALUES (1, 5)`)
  const events = await run({
    filename: database.path,
    tag: 'old.{table}',
    table: 'log_*',
    table_key: 'from',
    once: true,
  })
  expect(events).toEqual([
    { tag: 'old.log_a', timestamp: 1, record: { timestamp: 1, n: 1, from: 'log_a' } },
    { tag: 'old.log_b', timestamp: 2, record: { timestamp: 2, n: 2, from: 'log_b' } },
    { tag: 'old.log_a', timestamp: 3, record: { timestamp: 3, n: 3, from: 'log_a' } },
    { tag: 'old.log_b', timestamp: 99999999999, record: { timestamp: 99999999999, n: 4, from: 'log_b' } },
  ])
})

it('stays behind the present by the offset, also when it reads once', async () => {
  const now = Date.now() / 1000
  const database = testDatabase('CREATE TABLE t (ts, n)')
  for (const age of [1000, 100, 0]) database.db.prepare('INSERT INTO t VALUES (?, ?)').run(now - age, age)
  const events = await run({ filename: database.path, tag: 'x', time_key: 'ts', once: true, offset: 50 })
  expect(events.map(({ record }) => record.n)).toEqual([1000, 100])
})

it('moves a file into another one, table for table', async () => {
  const from = testDatabase(`
    CREATE TABLE "a-b" (timestamp, v); INSERT INTO "a-b" VALUES (1, 9007199254740993), (2, NULL), (3, x'00ff');
    CREATE TABLE "select" (timestamp, v); INSERT INTO "select" VALUES (1.5, 'x')`)
  const to = testDatabase()
  const { pipeline } = makePipeline([
    { name: 'input_sqlite', tag: '{table}', filename: from.path, once: true, remove: true },
    { name: 'output_sqlite', filename: to.path, table: '{tag}', time_key: 'timestamp' },
  ])
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
  const all = 'SELECT 1, timestamp, v, typeof(v) FROM "a-b" UNION ALL SELECT 2, timestamp, v, typeof(v) FROM "select"'
  expect(to.db.prepare(all).safeIntegers().raw().all()).toEqual([
    [1n, 1n, 9007199254740993n, 'integer'],
    [1n, 2n, null, 'null'],
    [1n, 3n, Buffer.from([0, 255]), 'blob'],
    [2n, 1.5, 'x', 'text'],
  ])
  expect(from.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()).toEqual([])
})

it.each(['WAL', 'DELETE'])('loses no row beside a busy writer in another process, in %s mode', async (mode) => {
  const database = testDatabase('CREATE TABLE t (timestamp, n); CREATE INDEX i ON t (timestamp)')
  database.db.pragma(`journal_mode = ${mode}`)
  const rows = 4000
  const writer = spawn(process.execPath, [
    fileURLToPath(new URL('../../helpers/sqlite-writer.mjs', import.meta.url)),
    database.path,
    String(rows),
  ])
  const stop = new AbortController()
  const seen: unknown[] = []
  const { pipeline } = makePipeline(
    [
      {
        name: 'input_sqlite',
        tag: 'x',
        filename: database.path,
        from: 'start',
        offset: 1,
        refresh_interval: 0.05,
        remove: mode === 'WAL',
      },
    ],
    {
      sink: ({ record }) => {
        seen.push(record.n)
        if (seen.length === rows) stop.abort()
      },
    },
  )
  await pipeline.open()
  const [[code]] = await Promise.all([once(writer, 'exit'), pipeline.run(stop.signal)])
  expect(code).toBe(0)
  expect(seen.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: rows }, (_, i) => i))
})

it('warns in a check of a file that is not there', () => {
  const { path } = testDatabase()
  expect(inputSqlite.lint({ tag: 'x', filename: path })).toEqual([])
  expect(inputSqlite.lint({ tag: 'x', filename: `${path}.not` })).toEqual([
    { path: ['filename'], message: `cannot read ${path}.not now: there is no such file` },
  ])
})
