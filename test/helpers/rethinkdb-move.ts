// Moves rows of every type from SQLite to RethinkDB and back, and compares the two files.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished } from 'vitest'
import type { Event } from '../../src/core/event.ts'
import type { Server } from './rethinkdb.ts'
import { type ActionMap, makePipeline, send } from './run-pipeline.ts'

/** An event whose record holds every type, other values for each number. */
export function typedEvent(n: number): Event {
  return {
    tag: 'typed',
    timestamp: 1_600_000_000 + n / 8,
    record: {
      id: `row-${n}`,
      ts: 1_600_000_000 + n / 8,
      none: null,
      yes: n % 2 === 0,
      small: n - 500,
      large: 9_223_372_036_854_775_807n - BigInt(n),
      largest_double: 2 ** 53 + 2 * n,
      float: n / 3,
      tiny: 5e-324 * (n + 1),
      text: `z\u00fcrich ${n} \u{1f600} "quoted" \\ \u0001`,
      map: { a: { b: [n, null, 'x'], $reql_type$: 'TIME' } },
      list: [1, [n]],
      bytes: Buffer.from([0, n & 255, 255]),
      date: new Date(1_600_000_000_000 + n),
    },
  }
}

/** Throws when the rows that come back are not those that went. */
export async function moveThere(server: Server, rows: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-move-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [before, after] = [join(folder, 'before.sqlite'), join(folder, 'after.sqlite')]
  const rethinkdb = { ...server.params, time_key: 'ts' }
  await send(
    [{ name: 'output_sqlite', filename: before, table: 'typed', time_key: 'ts' }],
    Array.from({ length: rows }, (_, n) => typedEvent(n)),
  )
  await run([
    { name: 'input_sqlite', tag: 'move', filename: before, time_key: 'ts', once: true },
    { name: 'output_rethinkdb', ...rethinkdb, table: 'typed', durability: 'soft' },
  ])
  await run([
    { name: 'input_rethinkdb', tag: 'back', ...rethinkdb, once: true },
    { name: 'output_sqlite', filename: after, table: 'typed', time_key: 'ts' },
  ])
  const [went, came] = [rowsOf(before), rowsOf(after)]
  for (let n = 0; n < rows; n++) {
    const [row, other] = [went.next().value, came.next().value]
    // Faster than `expect` for each of many rows.
    if (JSON.stringify(row) !== JSON.stringify(other)) expect(other).toEqual(row)
  }
  expect([went.next().done, came.next().done]).toEqual([true, true])
}

async function run(actions: readonly ActionMap[]): Promise<void> {
  const { pipeline } = makePipeline(actions)
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
}

/** Values with their SQLite types, in a fixed order of columns and rows. */
function* rowsOf(file: string): Generator<unknown> {
  const database = new Database(file, { readonly: true })
  try {
    const columns = Object.keys(typedEvent(0).record)
    const shown = columns.map((name) => `typeof("${name}") || ':' || quote("${name}")`).join(', ')
    yield* database.prepare(`SELECT ${shown} FROM typed ORDER BY ts, id`).raw().iterate()
  } finally {
    database.close()
  }
}
