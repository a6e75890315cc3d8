// What the store makes of tables that others change while it looks at them.
import { type Connection, r } from 'rethinkdb-ts'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { RethinkPool } from '../../../src/core/rethinkdb/pool.ts'
import { createRethinkStore } from '../../../src/core/rethinkdb/store.ts'
import { servers } from '../../helpers/rethinkdb.ts'
import { silent } from '../../helpers/run-pipeline.ts'

/** Does something before each query. */
class Disturbed extends RethinkPool {
  disturb: () => Promise<unknown> = async () => {}

  override async run<T>(make: Parameters<typeof RethinkPool.prototype.run<T>>[0]): Promise<T> {
    await this.disturb()
    return super.run(make)
  }
}

describe.each(servers.map((server) => ({ ...server })))('the store with $title', (given) => {
  const test = it.skipIf(given.skipped)
  const real = it.skipIf(given.skipped || given.title === 'reqlite')

  async function open(docs: readonly Record<string, unknown>[]) {
    const server = await given.start()
    const { ip: host, port, user, password, database } = server.params
    const pool = new Disturbed({
      host,
      port,
      user,
      password,
      tls: undefined,
      connections: 2,
      connectTimeout: 5,
      queryTimeout: 5,
      codes: { away: 'INPUT_UNREADABLE', refused: 'INPUT_UNREADABLE' },
    })
    onTestFinished(() => pool.close())
    const connection = await server.connect()
    onTestFinished(() => connection.close())
    await r.dbCreate(database).run(connection)
    await r.db(database).tableCreate('log').run(connection)
    await r.db(database).table('log').indexCreate('ts').run(connection)
    await r.db(database).table('log').indexWait('ts').run(connection)
    await r.db(database).table('log').insert(docs).run(connection)
    const wait = { clock: systemClock, signal: new AbortController().signal }
    const store = createRethinkStore({
      pool,
      database,
      timeKey: 'ts',
      createIndex: false,
      mustExist: true,
      wait,
      log: silent,
    })
    const table = await store.table('log')
    if (table === undefined || 'problem' in table) throw new Error('the table cannot be read')
    return { table, pool, connection, rows: r.db(database).table('log') }
  }

  type Opened = Awaited<ReturnType<typeof open>>

  test.each<[what: string, disturb: (rows: Opened['rows'], connection: Connection, n: number) => Promise<unknown>]>([
    ['removed', (rows, connection, n) => rows.get(n).delete().run(connection)],
    ['inserted', (rows, connection, n) => rows.insert({ id: 1000 + n, ts: 1000 + n }).run(connection)],
  ])('finds no rows without a time that are not there while rows are %s', async (_, disturb) => {
    const { table, pool, connection, rows } = await open(Array.from({ length: 50 }, (_, id) => ({ id, ts: id })))
    let n = 0
    pool.disturb = () => disturb(rows, connection, n++)
    expect(await table.timeless()).toBe(0)
    expect(n).toBeGreaterThan(1)
  })

  test('reads the kind of time that more rows have by now, once the others are counted', async () => {
    const { table, connection, rows } = await open([{ id: 0, ts: 100 }])
    const idsOf = async () => {
      const { records } = await table.page({ from: 0, until: 1000 }, 10, 1e6)
      return records.map(({ id }) => id)
    }
    expect(await idsOf()).toEqual([0])
    await rows.insert({ id: 1, ts: r.epochTime(101) }).run(connection)
    expect(await table.timeless()).toBe(1)
    expect(await idsOf()).toEqual([0])
    await rows.insert({ id: 2, ts: r.epochTime(102) }).run(connection)
    expect(await table.timeless()).toBe(1)
    expect(await idsOf()).toEqual([1, 2])
  })

  // reqlite does not get over a row without the field in a range of the index.
  real('counts the rows without a time while rows are removed', async () => {
    const { table, pool, connection, rows } = await open([
      ...Array.from({ length: 50 }, (_, id) => ({ id, ts: id })),
      { id: 'x' },
      { id: 'y', ts: 'text' },
    ])
    expect(await table.timeless()).toBe(2)
    let n = 0
    pool.disturb = () => rows.get(n++).delete().run(connection)
    expect([1, 2]).toContain(await table.timeless())
  })
})
