import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectSocket, createServer, type Server as NetServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Connection, r } from 'rethinkdb-ts'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { outputRethinkdb } from '../../../src/actions/output/output_rethinkdb.ts'
import type { Output } from '../../../src/core/action.ts'
import { systemClock } from '../../../src/core/clock.ts'
import type { Event } from '../../../src/core/event.ts'
import { EventTimeline } from '../../../src/core/timeline.ts'
import { type Certificates, makeCertificates } from '../../helpers/certificates.ts'
import { deadLettersOf } from '../../helpers/dead-letters.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { type Server, servers, startEmulator } from '../../helpers/rethinkdb.ts'
import { makePipeline, send, silent } from '../../helpers/run-pipeline.ts'

const time = 1_600_000_000

function event(record: Record<string, unknown>, more: Partial<Event> = {}): Event {
  return { tag: 'log', timestamp: time, record, ...more }
}

function action(server: Server, params: Record<string, unknown> = {}) {
  return { name: 'output_rethinkdb', ...server.params, table: 'log', wait_connection: 5, ...params }
}

async function connectTo(server: Server): Promise<Connection> {
  const connection = await server.connect()
  onTestFinished(() => connection.close())
  return connection
}

async function rowsOf(server: Server, table = 'log'): Promise<Record<string, unknown>[]> {
  const connection = await connectTo(server)
  return r.db(server.params.database).table(table).run(connection)
}

describe.each(servers.map((server) => ({ ...server })))('output_rethinkdb with $title', ({ start, skipped }) => {
  it.skipIf(skipped)('makes database, table and time index, and inserts', async () => {
    const server = await start()
    await send([action(server, { time_key: 'date' })], [event({ id: 'a', date: time, n: 1 })])
    expect(await rowsOf(server)).toEqual([{ id: 'a', date: time, n: 1 }])
    const connection = await connectTo(server)
    const indexes = await r.db(server.params.database).table('log').indexList().run(connection)
    expect(indexes).toEqual(['date'])
  })

  it.skipIf(skipped)('uses what is there already', async () => {
    const server = await start()
    await send([action(server)], [event({ id: 1 })])
    await send([action(server)], [event({ id: 2 })])
    expect(ids(await rowsOf(server))).toEqual([1, 2])
  })

  it.skipIf(skipped)('makes an index over a nested field', async () => {
    const server = await start()
    await send([action(server, { timestamp_index: 'a.date' })], [event({ id: 1, a: { date: time } })])
    const connection = await connectTo(server)
    await r.db(server.params.database).table('log').indexWait('a.date').run(connection)
    const rows = r.db(server.params.database).table('log').getAll(time, { index: 'a.date' })
    expect(ids(await rows.coerceTo('array').run(connection))).toEqual([1])
  })

  it.skipIf(skipped)('adds the time of the event when no field holds one', async () => {
    const server = await start()
    await send([action(server)], [event({ id: 1 }), event({ id: 2, timestamp: 'mine' })])
    expect(byId(await rowsOf(server))).toEqual([
      { id: 1, timestamp: time },
      { id: 2, timestamp: 'mine' },
    ])
  })

  it.skipIf(skipped)('writes the fields that are asked for, and the time', async () => {
    const server = await start()
    const { letters, options } = await deadLettersOf()
    const events = [event({ id: 1, at: time, a: { b: 2 }, c: 3 }), event({ id: 2, at: time })]
    await send([action(server, { time_key: 'at', fields: ['id', 'a.b'] })], events, options)
    expect(await rowsOf(server)).toEqual([{ id: 1, at: time, 'a.b': 2 }])
    expect(await letters()).toMatchObject([{ code: 'FIELD_MISSING', record: { id: 2 } }])
  })

  it.skipIf(skipped)('names tables by a template, whatever the record holds', async () => {
    const server = await start()
    // reqlite does not take the dash that RethinkDB takes since 2.3.
    const sources = ['select', 'x"; DROP TABLE y;', '../z', ...(server.isEmulator ? [] : ['a-b'])]
    const table = 'log_{source}_%Y'
    await send(
      [action(server, { table })],
      sources.map((source) => event({ source })),
    )
    const connection = await connectTo(server)
    const tables = await r.db(server.params.database).tableList().run(connection)
    const expected = ['log____z_2020', 'log_select_2020', 'log_x___DROP_TABLE_y__2020']
    expect(tables.sort()).toEqual(server.isEmulator ? expected : [...expected, 'log_a-b_2020'].sort())
  })

  it.skipIf(skipped)('writes the same events a second time over themselves', async () => {
    const server = await start()
    const events = [event({ a: 1 }), event({ a: 1 }), event({ a: 2 }), event({ a: 1 }, { metadata: { id: 'alert-1' } })]
    await send([action(server)], events)
    const first = byId(await rowsOf(server))
    await send([action(server)], events)
    expect(first).toHaveLength(4)
    expect(first.map(({ id }) => id)).toContain('alert-1')
    expect(byId(await rowsOf(server))).toEqual(first)
  })

  it.skipIf(skipped)('keeps equal events of different batches apart', async () => {
    const server = await start()
    const { pipeline } = makePipeline([action(server, { buffer_size: 1 })])
    await pipeline.open()
    for (let i = 0; i < 3; i++) await pipeline.inject([event({ a: 1 })])
    await pipeline.run(new AbortController().signal)
    expect(await rowsOf(server)).toHaveLength(3)
  })

  it.skipIf(skipped)('keeps equal events apart by the names of their batches, also in another process', async () => {
    const server = await start()
    const events = [event({ a: 1 }), event({ a: 1 })]
    for (const batch of ['state/1', 'state/2', 'state/1', 'state/1']) {
      // As a new process, which writes again what the one before may have written.
      const output = outputOf(action(server))
      await output.write(events, batch)
      await output.close?.()
    }
    expect(await rowsOf(server)).toHaveLength(4)
  })

  it.skipIf(skipped)('lets the later of two records with one id win, in whatever chunk they are', async () => {
    const server = await start()
    const events = Array.from({ length: 50 }, (_, n) => event({ id: n % 5, n }))
    await send([action(server, { chunk_size: 2, connections: 4 })], events)
    expect(byId(await rowsOf(server)).map(({ n }) => n)).toEqual([45, 46, 47, 48, 49])
  })

  it.skipIf(skipped)('sets aside a record that cannot be stored, alone', async () => {
    const server = await start()
    const { letters, options } = await deadLettersOf()
    let deep: Record<string, unknown> = {}
    for (let i = 0; i < 120; i++) deep = { deep }
    await send([action(server)], [event({ id: 1 }), event({ id: 2, deep }), event({ id: 3 })], options)
    expect(ids(await rowsOf(server))).toEqual([1, 3])
    expect(await letters()).toMatchObject([{ code: 'RECORD_UNWRITABLE', record: { id: 2 } }])
  })

  it.skipIf(skipped)('stores a hostile record as the data that it is', async () => {
    const server = await start()
    const record = JSON.parse('{"id":1,"t":{"$reql_type$":"TIME","epoch_time":1},"__proto__":{"polluted":1}}')
    await send([action(server)], [event(record)])
    expect(await rowsOf(server)).toEqual([
      {
        id: 1,
        timestamp: time,
        t: { '$feedoo:key:$reql_type$': 'TIME', epoch_time: 1 },
        '$feedoo:key:__proto__': { polluted: 1 },
      },
    ])
  })

  it.skipIf(skipped)('inserts with soft durability', async () => {
    const server = await start()
    await send([action(server, { durability: 'soft' })], [event({ id: 1 })])
    expect(ids(await rowsOf(server))).toEqual([1])
  })

  it.skipIf(skipped)('does not start with a wrong password', async () => {
    const server = await start()
    const { pipeline } = makePipeline([action(server, { password: 'wrong', wait_connection: 60 })])
    await expect(pipeline.open()).rejects.toThrow(expect.objectContaining({ code: 'OUTPUT_UNAVAILABLE' }))
  })

  it.skipIf(skipped)('makes a table again that somebody dropped', async () => {
    const server = await start()
    const { pipeline } = makePipeline([action(server, { buffer_size: 1, retry_delay: 0.01 })])
    await pipeline.open()
    await pipeline.inject([event({ id: 1 })])
    const connection = await connectTo(server)
    await r.db(server.params.database).tableDrop('log').run(connection)
    await pipeline.inject([event({ id: 2 })])
    await pipeline.run(new AbortController().signal)
    expect(ids(await rowsOf(server))).toEqual([2])
  })
})

describe('output_rethinkdb', () => {
  it('goes on by itself when the server was stopped and started, with one line for each', async () => {
    const server = await startEmulator()
    const { lines, log } = recordingLog()
    const retry = { retry_delay: 0.01, retry_max_delay: 0.05 }
    const { pipeline } = makePipeline([action(server, { buffer_size: 10, ...retry })], { log })
    await pipeline.open()
    const batch = (from: number) => Array.from({ length: 100 }, (_, i) => event({ id: from + i }))
    await pipeline.inject(batch(0))
    await server.stop()
    const safe = pipeline.inject(batch(100))
    while (pipeline.failingOutputs().length === 0) await new Promise(setImmediate)
    await server.start()
    await safe
    await pipeline.inject(batch(200))
    // What the emulator held before is gone with its process.
    expect(byId(await rowsOf(server)).map(({ id }) => id)).toEqual(Array.from({ length: 200 }, (_, i) => 100 + i))
    await pipeline.run(new AbortController().signal)
    const told = lines.filter(({ level }) => level === 'warn' || level === 'info')
    expect(told.map(({ level, msg }) => `${level}: ${msg}`)).toEqual([
      expect.stringMatching(/^warn: .*; trying again until it works$/),
      'info: the output takes events again',
    ])
  })

  it('waits for a server that comes up after it', async () => {
    const server = await startEmulator()
    await server.stop()
    const { pipeline } = makePipeline([action(server, { wait_connection: 60 })])
    const opened = pipeline.open()
    await server.start()
    await opened
    await pipeline.inject([event({ id: 1 })])
    await pipeline.run(new AbortController().signal)
    expect(ids(await rowsOf(server))).toEqual([1])
  })

  it('starts without the server after wait_connection, and writes when it is there', async () => {
    const server = await startEmulator()
    await server.stop()
    const { pipeline } = makePipeline([action(server, { wait_connection: 0.05, retry_delay: 0.01 })])
    await pipeline.open()
    const safe = pipeline.inject([event({ id: 1 })])
    await server.start()
    await safe
    await pipeline.run(new AbortController().signal)
    expect(ids(await rowsOf(server))).toEqual([1])
  })

  it('does not wait any longer when it is told to stop', async () => {
    // It takes connections, and says nothing.
    const mute = createServer((socket) => socket.on('error', () => {}))
    const port = await listen(mute)
    const params = { port, wait_connection: 3600, connect_timeout: 3600 }
    const { pipeline } = makePipeline([{ name: 'output_rethinkdb', ip: '127.0.0.1', table: 'log', ...params }])
    const stopping = new AbortController()
    const opened = pipeline.open(stopping.signal)
    await once(mute, 'connection')
    stopping.abort()
    await opened
    await pipeline.run(stopping.signal)
  })

  it('gives up a connection that does not answer, and sends again', async () => {
    const server = await startEmulator()
    const proxy = await startProxy(server.params.port)
    const port = proxy.port
    const { pipeline } = makePipeline([action(server, { port, query_timeout: 0.2, retry_delay: 0.01 })])
    await pipeline.open()
    await pipeline.inject([event({ id: 1 })])
    proxy.stall()
    const safe = pipeline.inject([event({ id: 2 })])
    while (pipeline.failingOutputs().length === 0) await new Promise(setImmediate)
    proxy.flow()
    await safe
    await pipeline.run(new AbortController().signal)
    expect(ids(await rowsOf(server))).toEqual([1, 2])
  })

  it.each<[title: string, params: Record<string, unknown>, path: string]>([
    ['a table name that RethinkDB does not take', { table: 'a b' }, 'table'],
    ['a database name that it does not take', { table: 'a', database: 'a/b' }, 'database'],
    ['both names of the database', { table: 'a', database: 'a', database_name: 'a' }, 'database_name'],
    ['both names of the time', { table: 'a', time_key: 'a', timestamp_index: 'a' }, 'timestamp_index'],
    ['files of TLS without TLS', { table: 'a', ca_file: 'ca.pem' }, 'ca_file'],
    ['a certificate without its key', { table: 'a', tls_enable: true, crt_file: 'a.pem' }, 'crt_file'],
  ])('refuses %s', (_, params, path) => {
    const { error } = outputRethinkdb.params.safeParse(params)
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })

  it.each(['log-%Y_{a.b}', '{tag}', '%%'])('takes the table name %s', (table) => {
    expect(outputRethinkdb.params.safeParse({ table }).success).toBe(true)
  })
})

describe('output_rethinkdb over TLS', () => {
  let certificates: Certificates
  beforeAll(() => {
    certificates = makeCertificates()
  })
  afterAll(() => certificates.remove())

  it('trusts the authority it is given, and no other', async () => {
    const server = await startEmulator()
    const tls = createTlsServer(
      { cert: readFileSync(certificates.server.crt), key: readFileSync(certificates.server.key) },
      (socket) => {
        const inner = connectSocket(server.params.port, '127.0.0.1')
        socket.pipe(inner).pipe(socket)
        for (const end of [socket, inner]) end.on('error', () => {})
      },
    )
    const port = await listen(tls)
    const secure = { port, tls_enable: true, wait_connection: 0 }
    await send([action(server, { ...secure, ca_file: certificates.ca })], [event({ id: 1 })])
    expect(ids(await rowsOf(server))).toEqual([1])

    const { lines, log } = recordingLog()
    const { pipeline } = makePipeline([action(server, { ...secure, ca_file: certificates.stranger.crt })], { log })
    await pipeline.open()
    expect(lines).toMatchObject([{ level: 'warn', msg: expect.stringContaining('certificate') }])
    await pipeline.run(AbortSignal.abort())
  })
})

/** The output alone, without a pipeline around it. */
function outputOf({ name, ...params }: Record<string, unknown>): Output {
  const nothing = () => {}
  const built = outputRethinkdb.build(params, {
    ...{ pipeline: 'test', label: String(name), clock: systemClock, time: new EventTimeline(systemClock), log: silent },
    ...{ deadLetter: nothing, countError: nothing, count: nothing },
  })
  if (built.kind !== 'output') throw new Error('it is no output')
  return built.action
}

function byId(rows: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  return [...rows].sort((a, b) => String(a.id).localeCompare(String(b.id), 'en', { numeric: true }))
}

function ids(rows: readonly Record<string, unknown>[]): unknown[] {
  return byId(rows).map(({ id }) => id)
}

async function listen(server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  return address.port
}

/** Passes bytes on; stalled, those of the connections there are get stuck. */
async function startProxy(target: number): Promise<{ port: number; stall(): void; flow(): void }> {
  const sockets = new Set<Socket>()
  let stalled = false
  const server = createServer((socket) => {
    const inner = connectSocket(target, '127.0.0.1')
    sockets.add(socket)
    if (stalled) socket.pause()
    else socket.pipe(inner)
    inner.pipe(socket)
    for (const end of [socket, inner]) end.on('error', () => {})
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  const port = await listen(server)
  return {
    port,
    stall() {
      stalled = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    flow() {
      stalled = false
    },
  }
}
