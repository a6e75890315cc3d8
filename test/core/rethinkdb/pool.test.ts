import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { RethinkPool } from '../../../src/core/rethinkdb/pool.ts'
import { startEmulator } from '../../helpers/rethinkdb.ts'

/** Passes the first connection on and cuts all others. */
async function proxyForOne(to: number): Promise<{ port: number; cut: Promise<void> }> {
  const sockets: Socket[] = []
  let wasCut = () => {}
  const cut = new Promise<void>((resolve) => {
    wasCut = resolve
  })
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    if (sockets.length > 1) return void socket.on('close', wasCut).destroy()
    const upstream = connect(to, '127.0.0.1').on('error', () => {})
    socket.pipe(upstream).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, cut }
}

function poolOf(port: number): RethinkPool {
  return new RethinkPool({
    ...{ host: '127.0.0.1', port, user: 'admin', password: '', tls: undefined },
    ...{ connections: 2, connectTimeout: 20, queryTimeout: 20 },
    codes: { away: 'OUTPUT_UNAVAILABLE', refused: 'OUTPUT_REJECTED' },
  })
}

it('goes on with the connection it has when a second one cannot be opened', async () => {
  const { params } = await startEmulator()
  const { port, cut } = await proxyForOne(params.port)
  const pool = poolOf(port)
  onTestFinished(() => pool.close())
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', note)
  onTestFinished(() => void process.off('unhandledRejection', note))
  let second: Promise<number> | undefined
  const first = await pool.run((r) => {
    // The connection is busy with this query.
    second = pool.run((other) => other.expr(2).add(0))
    return r.expr(1).add(0)
  })
  expect([first, await second]).toEqual([1, 2])
  await cut
  // By the time of this answer the pool has heard of it.
  expect(await pool.run((r) => r.expr(3).add(0))).toBe(3)
  expect(unhandled).toEqual([])
})

it('closes at once while a connection is being opened', async () => {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pool = poolOf((server.address() as AddressInfo).port)
  const connecting = pool.connect()
  const refused = expect(connecting).rejects.toThrow(expect.objectContaining({ kind: 'away' }))
  await once(server, 'connection')
  const ended = once(server, 'close')
  server.close()
  await pool.close()
  await refused
  // The server closes when its last connection has ended.
  await ended
}, 10_000)
