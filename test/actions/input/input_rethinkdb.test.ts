import { type Connection, r } from 'rethinkdb-ts'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inputRethinkdb } from '../../../src/actions/input/input_rethinkdb.ts'
import type { Json, Output } from '../../../src/core/action.ts'
import type { Event } from '../../../src/core/event.ts'
import { PositionStore, type Positions } from '../../../src/core/positions.ts'
import { output } from '../../helpers/actions.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { ownServers, type Server, servers, startEmulator } from '../../helpers/rethinkdb.ts'
import { makePipeline, type Run } from '../../helpers/run-pipeline.ts'

type Doc = Record<string, unknown>

function action(server: Server, params: Record<string, unknown> = {}) {
  return {
    name: 'input_rethinkdb',
    ...server.params,
    tag: 'row.{table}',
    time_key: 'ts',
    wait_connection: 5,
    refresh_interval: 0.02,
    ...params,
  }
}

/** Makes a table with an index over `ts` and documents, given as JSON text so that they may hold anything. */
async function fill(server: Server, table: string, docs: readonly Doc[], index = true): Promise<void> {
  const connection = await connectTo(server)
  const { database } = server.params
  const databases = await r.dbList().run(connection)
  if (!databases.includes(database)) await r.dbCreate(database).run(connection)
  const tables = await r.db(database).tableList().run(connection)
  if (!tables.includes(table)) {
    await r.db(database).tableCreate(table).run(connection)
    if (index) {
      await r.db(database).table(table).indexCreate('ts').run(connection)
      await r.db(database).table(table).indexWait('ts').run(connection)
    }
  }
  await insert(server, connection, table, docs)
}

async function insert(server: Server, connection: Connection, table: string, docs: readonly Doc[]): Promise<void> {
  await r
    .db(server.params.database)
    .table(table)
    .insert(r.json(JSON.stringify(docs)))
    .run(connection)
}

async function connectTo(server: Server): Promise<Connection> {
  const connection = await server.connect()
  onTestFinished(() => connection.close())
  return connection
}

async function tablesOf(server: Server): Promise<string[]> {
  return r
    .db(server.params.database)
    .tableList()
    .run(await connectTo(server))
}

/** Reads once, and ends. */
async function readOnce(server: Server, params: Record<string, unknown> = {}, positions?: Positions): Promise<Event[]> {
  const { pipeline, out } = makePipeline(
    [action(server, { once: true, ...params })],
    positions === undefined ? {} : { positions },
  )
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
  return out
}

/** Runs until `stop` is called. */
async function start(run: Run): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController()
  await run.pipeline.open()
  const running = run.pipeline.run(stopping.signal)
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Waits until so many events came out. */
async function until(out: readonly Event[], count: number): Promise<void> {
  while (out.length < count) await new Promise(setImmediate)
}

function idsOf(events: readonly Event[]): unknown[] {
  return events.map(({ record }) => record.id)
}

/** Not of a database or a table that the emulator does not hold when it has just been started. */
function aboutServer({ level, msg }: Doc): boolean {
  return (level === 'warn' || level === 'info') && !/no database|no table/.test(String(msg))
}

const date = (seconds: number) => ({ $reql_type$: 'TIME', epoch_time: seconds, timezone: '+00:00' })

describe.each(servers.map((server) => ({ ...server })))('input_rethinkdb with $title', (given) => {
  const test = it.skipIf(given.skipped)
  const real = it.skipIf(given.skipped || given.title === 'reqlite')

  test('reads all tables that match as one stream in order of time', async () => {
    const server = await given.start()
    await fill(server, 'log_a', [
      { id: 'x', ts: 3 },
      { id: 'y', ts: 1.5 },
    ])
    await fill(server, 'log_b', [{ id: 1, ts: 2, nested: { list: [1, null] } }])
    await fill(server, 'other', [{ id: 1, ts: 2 }])
    const events = await readOnce(server, { table: 'log_*', table_key: 'table' })
    expect(events).toEqual([
      { tag: 'row.log_a', timestamp: 1.5, record: { id: 'y', ts: 1.5, table: 'log_a' } },
      { tag: 'row.log_b', timestamp: 2, record: { id: 1, ts: 2, nested: { list: [1, null] }, table: 'log_b' } },
      { tag: 'row.log_a', timestamp: 3, record: { id: 'x', ts: 3, table: 'log_a' } },
    ])
  })

  test('reads more rows of one time than fit in a page, and each once', async () => {
    const server = await given.start()
    const docs = Array.from({ length: 330 }, (_, i) => ({ id: `r${String(i).padStart(3, '0')}`, ts: i < 20 ? i : 20 }))
    await fill(server, 'log', docs)
    expect(idsOf(await readOnce(server))).toEqual(docs.map(({ id }) => id))
  })

  test('reads tables whose time is a date', async () => {
    const server = await given.start()
    await fill(server, 'log', [
      { id: 2, ts: date(1_600_000_001.25) },
      { id: 1, ts: date(1_600_000_000.123) },
    ])
    const events = await readOnce(server)
    expect(events.map(({ timestamp, record }) => [timestamp, record.ts])).toEqual([
      [1_600_000_000.123, new Date(1_600_000_000_123)],
      [1_600_000_001.25, new Date(1_600_000_001_250)],
    ])
  })

  test('passes over a table without the index and says so, and makes it on demand', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 1, ts: 1 }], false)
    const { lines, log } = recordingLog()
    const { pipeline, out } = makePipeline([action(server, { once: true })], { log })
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    expect(out).toEqual([])
    expect(lines).toMatchObject([{ level: 'warn', msg: expect.stringContaining('has no index ts') }])
    expect(idsOf(await readOnce(server, { create_index: true }))).toEqual([1])
  })

  test('has nothing to read in an empty table', async () => {
    const server = await given.start()
    await fill(server, 'log', [])
    expect(await readOnce(server)).toEqual([])
  })

  test('says that no table matches', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 1, ts: 1 }])
    const { lines, log } = recordingLog()
    const { pipeline, out } = makePipeline([action(server, { once: true, table: 'lag*' })], { log })
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    expect(out).toEqual([])
    expect(lines).toMatchObject([{ level: 'warn', msg: expect.stringContaining('no table') }])
  })

  test('fails with once when the database is not there, and keeps its position', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 1, ts: 1 }])
    const store = new PositionStore()
    const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
    for (const database of [server.params.database, 'feedoo_test_none']) {
      const options = { positions: store.all(), savePositions }
      const { pipeline } = makePipeline([action(server, { once: true, database })], options)
      await pipeline.open()
      const running = pipeline.run(new AbortController().signal)
      if (database === server.params.database) await running
      else await expect(running).rejects.toThrow('there is no database feedoo_test_none')
    }
    expect(await readOnce(server, {}, store.all())).toEqual([])
  })

  test('waits for a database that is not there, and keeps its position', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 1, ts: 1 }])
    const store = new PositionStore()
    const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
    const first = makePipeline([action(server, { once: true })], { savePositions })
    await first.pipeline.open()
    await first.pipeline.run(new AbortController().signal)
    const { lines, log } = recordingLog()
    const database = `${server.params.database}_late`
    const run = makePipeline([action(server, { database, from: 'start' })], {
      positions: store.all(),
      savePositions,
      log,
    })
    const connection = await connectTo(server)
    onTestFinished(async () => void (await r.dbDrop(database).run(connection)))
    const running = await start(run)
    while (lines.length === 0) await new Promise(setImmediate)
    expect(await readOnce(server, {}, store.all())).toEqual([])
    await fill({ ...server, params: { ...server.params, database } }, 'log', [{ id: 'late', ts: 0 }])
    await until(run.out, 1)
    await running.stop()
    expect(idsOf(run.out)).toEqual(['late'])
    expect(lines[0]).toMatchObject({ level: 'warn', msg: expect.stringContaining(`no database ${database}`) })
  })

  // reqlite does not get over a row without the field in a range of the index.
  real('reports rows without a time', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 1, ts: 1 }, { id: 2 }, { id: 3, ts: 'x' }])
    const { lines, log } = recordingLog()
    const { pipeline, out } = makePipeline([action(server, { once: true })], { log })
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    expect(idsOf(out)).toEqual([1])
    expect(lines).toMatchObject([{ level: 'warn', rows: 2 }])
  })

  test('goes on from its position', async () => {
    const server = await given.start()
    const docs = Array.from({ length: 10 }, (_, i) => ({ id: `r${i}`, ts: i >> 1 }))
    await fill(server, 'log', docs)
    const store = new PositionStore()
    const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
    const first = makePipeline([action(server, { once: true })], { positions: store.all(), savePositions })
    await first.pipeline.open()
    await first.pipeline.run(new AbortController().signal)
    expect(first.out).toHaveLength(10)
    await insert(server, await connectTo(server), 'log', [
      { id: 's', ts: 4 },
      { id: 't', ts: 5 },
    ])
    expect(idsOf(await readOnce(server, {}, store.all()))).toEqual(['s', 't'])
  })

  test('removes what was read, and then the table', async () => {
    const server = await given.start()
    await fill(
      server,
      'log',
      Array.from({ length: 1200 }, (_, id) => ({ id, ts: id >> 3 })),
    )
    expect(idsOf(await readOnce(server, { remove: true }))).toEqual(Array.from({ length: 1200 }, (_, id) => id))
    expect(await tablesOf(server)).toEqual([])
  })

  test('does not remove a row that was changed, or took the place of another, after it was read', async () => {
    const server = await given.start()
    await fill(
      server,
      'log',
      [1, 2, 3].map((id) => ({ id, ts: id })),
    )
    const connection = await connectTo(server)
    const table = r.db(server.params.database).table('log')
    // Rows are removed when they are safe: what is done in the output is done before.
    const change: Output = {
      async write() {
        await table.get(2).update({ n: 1 }).run(connection)
        await table.get(3).delete().run(connection)
        await insert(server, connection, 'log', [{ id: 3, ts: 3, n: 2 }])
      },
    }
    const list = [action(server, { once: true, remove: true }), { name: 'output_change' }]
    const { pipeline, out } = makePipeline(list, { extra: [output('change', change)] })
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    expect(idsOf(out)).toEqual([1, 2, 3])
    expect(await table.orderBy('id').run(connection)).toEqual([
      { id: 2, ts: 2, n: 1 },
      { id: 3, ts: 3, n: 2 },
    ])
  })

  test('removes what an earlier run has read and not removed, and nothing inserted since', async () => {
    const server = await given.start()
    const docs = Array.from({ length: 5 }, (_, id) => ({ id, ts: 1 }))
    await fill(server, 'log', docs)
    const store = new PositionStore()
    const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => {
      // As if feedoo were killed between the commit and the removal.
      for (const [key, value] of changes) if (value !== null) store.save(input, new Map([[key, value]]))
    }
    const { pipeline } = makePipeline([action(server, { once: true, remove: true })], { savePositions })
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    await fill(
      server,
      'log',
      [docs[1], docs[3], { id: 9, ts: 1 }].flatMap((doc) => doc ?? []),
    )
    expect(idsOf(await readOnce(server, { remove: true }, store.all()))).toEqual([9])
    expect(await tablesOf(server)).toEqual([])
  })

  test('reads rows that are inserted while it runs, and tables that appear', async () => {
    const server = await given.start()
    await fill(server, 'a', [{ id: 1, ts: 1 }])
    const run = makePipeline([action(server, { from: 'start' })])
    const running = await start(run)
    await until(run.out, 1)
    await insert(server, await connectTo(server), 'a', [{ id: 2, ts: 2 }])
    await until(run.out, 2)
    await fill(server, 'b', [{ id: 3, ts: 1 }])
    await until(run.out, 3)
    await running.stop()
    expect(idsOf(run.out)).toEqual([1, 2, 3])
  })

  test('follows by the feed: at once, also a row whose time is past, and each once', async () => {
    const server = await given.start()
    await fill(server, 'log', [
      { id: 'a', ts: 10 },
      { id: 'b', ts: 20 },
    ])
    // Without a feed, the next look would be far away.
    const run = makePipeline([action(server, { from: 'start', follow: true, refresh_interval: 3600 })])
    const running = await start(run)
    await until(run.out, 2)
    const connection = await connectTo(server)
    await insert(server, connection, 'log', [{ id: 'c', ts: 30 }])
    await until(run.out, 3)
    await insert(server, connection, 'log', [
      { id: 'late', ts: 15 },
      { id: 'd', ts: 40 },
    ])
    await until(run.out, 5)
    await insert(server, connection, 'log', [{ id: 'e', ts: 50 }])
    await until(run.out, 6)
    await running.stop()
    expect(idsOf(run.out)).toEqual(['a', 'b', 'c', 'late', 'd', 'e'])
  })

  // reqlite does not end the feed of a table that is dropped.
  real('follows the other tables without a gap when one is dropped, and that one when it is made anew', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 'a', ts: 10 }])
    await fill(server, 'other', [{ id: 'b', ts: 10 }])
    const run = makePipeline([action(server, { from: 'start', follow: true })])
    const running = await start(run)
    await until(run.out, 2)
    const connection = await connectTo(server)
    await r.db(server.params.database).tableDrop('other').run(connection)
    const late = Array.from({ length: 100 }, (_, i) => ({ id: `late${i}`, ts: 5 }))
    for (const doc of late) await insert(server, connection, 'log', [doc])
    await until(run.out, 102)
    await fill(server, 'other', [{ id: 'c', ts: 20 }])
    await until(run.out, 103)
    await insert(server, connection, 'other', [{ id: 'd', ts: 5 }])
    await until(run.out, 104)
    await running.stop()
    expect(idsOf(run.out).sort()).toEqual(['a', 'b', 'c', 'd', ...late.map(({ id }) => id).sort()])
  })

  test('misses none and doubles none while rows of any time are inserted beside the first read', async () => {
    const server = await given.start()
    await fill(
      server,
      'log',
      Array.from({ length: 300 }, (_, i) => ({ id: `old${i}`, ts: i })),
    )
    const run = makePipeline([action(server, { from: 'start', follow: true })])
    const running = await start(run)
    // Once the feed is there, rows of the past come through too; those of the future always.
    await until(run.out, 300)
    const connection = await connectTo(server)
    for (let i = 0; i < 100; i += 5) {
      const docs = Array.from({ length: 5 }, (_, j) => ({ id: `new${i + j}`, ts: ((i + j) * 37) % 400 }))
      await insert(server, connection, 'log', docs)
    }
    await until(run.out, 400)
    await insert(server, connection, 'log', [{ id: 'end', ts: 1000 }])
    await until(run.out, 401)
    await running.stop()
    expect(new Set(idsOf(run.out)).size).toBe(401)
    expect(run.out).toHaveLength(401)
  })

  test.each([{ follow: true }, { follow: false }])(
    'reads rows of the last time that come before those that were read ($follow), also after a restart',
    async ({ follow }) => {
      const server = await given.start()
      await fill(server, 'log', [{ id: 'm', ts: 5 }])
      const connection = await connectTo(server)
      const store = new PositionStore()
      const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
      const params = { from: 'start', follow }
      const first = makePipeline([action(server, params)], { savePositions })
      const running = await start(first)
      await until(first.out, 1)
      const more = [
        { id: 'a', ts: 5 },
        { id: 'z', ts: 5 },
      ]
      await insert(server, connection, 'log', more)
      await until(first.out, 3)
      await running.stop()
      expect(idsOf(first.out)).toEqual(['m', 'a', 'z'])
      await insert(server, connection, 'log', [
        { id: 'b', ts: 5 },
        { id: 'y', ts: 6 },
      ])
      const second = makePipeline([action(server, params)], { positions: store.all() })
      const again = await start(second)
      await until(second.out, 2)
      await again.stop()
      expect(idsOf(second.out)).toEqual(['b', 'y'])
    },
  )

  test.each([{ follow: true }, { follow: false }])(
    'reads on in other tables when one is dropped during its first read ($follow)',
    async ({ follow }) => {
      const server = await given.start()
      const docs = Array.from({ length: 6000 }, (_, id) => ({ id, ts: id }))
      await fill(server, 'log', docs)
      const run = makePipeline([action(server, { from: 'start', follow })])
      const running = await start(run)
      await until(run.out, 1)
      await r
        .db(server.params.database)
        .tableDrop('log')
        .run(await connectTo(server))
      expect(run.out.length).toBeLessThan(docs.length)
      await fill(server, 'other', [{ id: 'a', ts: 1_000_000 }])
      while (run.out.at(-1)?.record.id !== 'a') await new Promise(setImmediate)
      await running.stop()
    },
  )

  test.each([{ follow: true }, { follow: false }])(
    'reads a table from its first row that was dropped and made anew while nobody looked ($follow)',
    async ({ follow }) => {
      const server = await given.start()
      await fill(server, 'log', [{ id: 'm', ts: 5 }])
      const store = new PositionStore()
      const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
      const first = makePipeline([action(server, { once: true })], { savePositions })
      await first.pipeline.open()
      await first.pipeline.run(new AbortController().signal)
      const connection = await connectTo(server)
      await r.db(server.params.database).tableDrop('log').run(connection)
      await fill(server, 'log', [
        { id: 'a', ts: date(2) },
        { id: 'b', ts: date(7) },
      ])
      const second = makePipeline([action(server, { from: 'start', follow })], { positions: store.all() })
      const running = await start(second)
      await until(second.out, 2)
      await running.stop()
      expect(idsOf(second.out)).toEqual(['a', 'b'])
    },
  )

  // reqlite does not say that an index is missing.
  real('reads on in other tables when somebody drops an index, and in that one when it is back', async () => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 'a', ts: 1 }])
    await fill(server, 'other', [{ id: 'b', ts: 1 }])
    const { lines, log } = recordingLog()
    const run = makePipeline([action(server, { from: 'start' })], { log })
    const running = await start(run)
    await until(run.out, 2)
    const connection = await connectTo(server)
    const table = r.db(server.params.database).table('log')
    await table.indexDrop('ts').run(connection)
    while (lines.length === 0) await new Promise(setImmediate)
    await insert(server, connection, 'other', [{ id: 'c', ts: 2 }])
    await insert(server, connection, 'log', [{ id: 'd', ts: 2 }])
    await until(run.out, 3)
    await table.indexCreate('ts').run(connection)
    await until(run.out, 4)
    await running.stop()
    expect(idsOf(run.out)).toEqual(['a', 'b', 'c', 'd'])
    expect(lines).toMatchObject([{ level: 'warn', table: 'log', msg: expect.stringContaining('has no index ts') }])
  })

  test.each<[kind: string, one: unknown, late: unknown, other: unknown]>([
    ['numbers', 50, 40, date(45)],
    ['dates', date(50), date(40), 45],
  ])('follows a table of %s, and passes over a late row that has another kind of time', async (_, one, late, other) => {
    const server = await given.start()
    await fill(server, 'log', [{ id: 'a', ts: one }])
    const run = makePipeline([action(server, { from: 'start', follow: true })])
    const running = await start(run)
    await until(run.out, 1)
    const connection = await connectTo(server)
    await insert(server, connection, 'log', [
      { id: 'b', ts: other },
      { id: 'c', ts: late },
    ])
    await until(run.out, 2)
    await running.stop()
    expect(run.out.map(({ timestamp, record }) => [timestamp, record.id])).toEqual([
      [50, 'a'],
      [40, 'c'],
    ])
  })

  test('reads rows of the kind of time that most have, also after a restart', async () => {
    const server = await given.start()
    const store = new PositionStore()
    const savePositions = (input: string, changes: ReadonlyMap<string, Json>) => store.save(input, changes)
    await fill(server, 'log', [
      { id: 'a', ts: date(1) },
      { id: 'b', ts: date(2) },
    ])
    const first = makePipeline([action(server, { once: true })], { savePositions })
    await first.pipeline.open()
    await first.pipeline.run(new AbortController().signal)
    await insert(server, await connectTo(server), 'log', [
      { id: 'c', ts: 3 },
      { id: 'd', ts: date(3) },
    ])
    expect(idsOf(await readOnce(server, {}, store.all()))).toEqual(['d'])
    expect(idsOf(await readOnce(server))).toEqual(['a', 'b', 'd'])
  })

  // reqlite builds an index at once.
  real('waits for an index that is long in the making', async () => {
    const server = await given.start()
    const docs = Array.from({ length: 30_000 }, (_, id) => ({ id, ts: id }))
    await fill(server, 'log', docs, false)
    const limits = { create_index: true, query_timeout: 0.15, wait_connection: 0 }
    expect(await readOnce(server, limits)).toHaveLength(docs.length)
  })

  test('does not start with a wrong password', async () => {
    const server = await given.start()
    const { pipeline } = makePipeline([action(server, { password: 'wrong' })])
    await expect(pipeline.open()).rejects.toThrow(expect.objectContaining({ code: 'INPUT_UNREADABLE' }))
  })
})

describe.each(ownServers.map((server) => ({ ...server })))('input_rethinkdb with $title', (given) => {
  it.skipIf(given.skipped).each([{ follow: true }, { follow: false }])(
    'goes on from its position when the server was stopped and started ($follow)',
    async ({ follow }) => {
      const server = await given.start()
      const docs = [
        { id: 'a', ts: 1 },
        { id: 'b', ts: 2 },
      ]
      await fill(server, 'log', docs)
      const { lines, log } = recordingLog()
      const run = makePipeline([action(server, { from: 'start', follow })], { log })
      const running = await start(run)
      await until(run.out, 2)
      await server.stop()
      while (!lines.some(({ level }) => level === 'warn')) await new Promise(setImmediate)
      await server.start()
      // The emulator has forgotten all, the real server nothing: the same rows, and another one.
      await fill(server, 'log', [...docs, { id: 'c', ts: 3 }])
      await until(run.out, 3)
      await insert(server, await connectTo(server), 'log', [{ id: 'd', ts: 4 }])
      await until(run.out, 4)
      await running.stop()
      expect(idsOf(run.out)).toEqual(['a', 'b', 'c', 'd'])
      const told = lines.filter(aboutServer).map(({ msg }) => msg)
      expect(told).toEqual(['the database cannot be read; feedoo tries until it can', 'the database is back'])
    },
  )
})

describe('input_rethinkdb', () => {
  it('lets the pipeline start while its server is away, and says nothing when that comes in time', async () => {
    const server = await startEmulator()
    await server.stop()
    const { lines, log } = recordingLog()
    const run = makePipeline([action(server, { from: 'start', wait_connection: 3600 })], { log })
    const running = await start(run)
    await server.start()
    await fill(server, 'log', [{ id: 'a', ts: 1 }])
    await until(run.out, 1)
    await running.stop()
    expect(lines.filter(aboutServer)).toEqual([])
  })

  it.each<[title: string, params: Doc, path: string]>([
    ['once beside follow', { once: true, follow: true }, 'follow'],
    ['both names of the time', { time_key: 'a', timestamp_index: 'a' }, 'time_key'],
    ['both names of the database', { database: 'a', database_name: 'a' }, 'database_name'],
  ])('refuses %s', (_, params, path) => {
    const { error } = inputRethinkdb.params.safeParse({ tag: 'x', ...params })
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })
})
