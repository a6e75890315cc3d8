import { r } from 'rethinkdb-ts'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { FeedooError } from '../../../src/core/errors.ts'
import type { Event } from '../../../src/core/event.ts'
import { createInserter, RowGroup } from '../../../src/core/rethinkdb/insert.ts'
import { RethinkPool } from '../../../src/core/rethinkdb/pool.ts'
import { createTableMaker } from '../../../src/core/rethinkdb/tables.ts'
import { type Server, servers } from '../../helpers/rethinkdb.ts'
import { switchProxy } from '../../helpers/switch-proxy.ts'

function inserterFor(server: Server, onRefused: () => void = () => {}) {
  const { ip: host, database, ...rest } = server.params
  const limits = { connections: 2, connectTimeout: 5, queryTimeout: 20 }
  const codes = { away: 'OUTPUT_UNAVAILABLE', refused: 'OUTPUT_REJECTED' } as const
  const pool = new RethinkPool({ host, ...rest, tls: undefined, ...limits, codes })
  onTestFinished(() => pool.close())
  const refused: [Event, FeedooError][] = []
  const insert = createInserter({
    pool,
    tables: createTableMaker(pool, database, undefined),
    database,
    durability: 'soft',
    chunkSize: 16,
    concurrency: 2,
    deadLetter(event, error) {
      refused.push([event, error])
      onRefused()
    },
  })
  return { insert, refused }
}

function groupOf(texts: readonly string[]): RowGroup {
  const group = new RowGroup()
  for (const [n, text] of texts.entries()) {
    group.add({ key: String(n), text, event: { tag: 'x', timestamp: n, record: {} } })
  }
  return group
}

describe.each(servers.map((server) => ({ ...server })))('rows inserted into $title', ({ start, skipped }) => {
  it.skipIf(skipped).each<[title: string, bad: string]>([
    ['a document of its own that is refused', '{"id":null}'],
    ['a text that spoils the whole query', '{"id":'],
  ])('are all there but %s', async (_, bad) => {
    const server = await start()
    const { insert, refused } = inserterFor(server)
    const texts = Array.from({ length: 100 }, (_, n) => (n % 37 === 5 ? bad : `{"id":${n}}`))
    const groups = new Map([['log', groupOf(texts)]])
    await insert(groups)
    expect(refused.map(([{ timestamp }, { code }]) => [timestamp, code]).sort()).toEqual(
      [5, 42, 79].map((n) => [n, 'OUTPUT_REJECTED']).sort(),
    )
    expect(groups.size).toBe(0)
    const connection = await server.connect()
    onTestFinished(() => connection.close())
    expect(await r.db(server.params.database).table('log').count().run(connection)).toBe(97)
  })

  it.skipIf(skipped)('are refused alone when their table cannot be made', async () => {
    const server = await start()
    const { insert, refused } = inserterFor(server)
    const groups = new Map([
      ['no name', groupOf(['{"id":1}'])],
      ['log', groupOf(['{"id":1}'])],
    ])
    await insert(groups)
    expect(refused).toHaveLength(1)
    expect(groups.size).toBe(0)
    const connection = await server.connect()
    onTestFinished(() => connection.close())
    expect(await r.db(server.params.database).table('log').count().run(connection)).toBe(1)
  })

  it.skipIf(skipped)('are refused once when the server goes away while they are looked for', async () => {
    const server = await start()
    const proxy = await switchProxy(() => server.params.port)
    const { insert, refused } = inserterFor({ ...server, params: { ...server.params, port: proxy.port } }, () =>
      proxy.off(),
    )
    const groups = new Map([['log', groupOf(['{"id":null}', '{"id":1}', '{"id":2}', '{"id":3}'])]])
    await expect(insert(groups)).rejects.toThrow(expect.objectContaining({ retriable: true }))
    await proxy.on()
    await insert(groups)
    expect(refused.map(([{ timestamp }]) => timestamp)).toEqual([0])
    const connection = await server.connect()
    onTestFinished(() => connection.close())
    expect(await r.db(server.params.database).table('log').count().run(connection)).toBe(3)
  })
})
