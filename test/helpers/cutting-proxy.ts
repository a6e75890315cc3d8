// A TCP proxy that breaks connections at points that a seed decides: before, in and after a request, or before its answer.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { seeded } from '../protocol/traffic.ts'

export interface CuttingProxy {
  port: number
  /** Connections that came, so far. */
  connections: number
  /** Those of them that were broken. */
  cuts: number
}

/** Stands before a port of loopback until the test is over. A connection lives for about `bytes` bytes, or a few
 * answers. */
export async function cuttingProxy(to: number, seed: number, bytes: number): Promise<CuttingProxy> {
  const random = seeded(seed)
  const proxy = { port: 0, connections: 0, cuts: 0 }
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1')
    proxy.connections++
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket)
          client.destroy()
          upstream.destroy()
        })
    }
    const cut = () => {
      proxy.cuts++
      if (random() < 0.5) client.resetAndDestroy()
      else client.end()
      upstream.end()
    }
    // One of two connections loses an answer: the request has arrived, and the sender cannot know.
    const losesAnswer = random() < 0.5
    let answers = Math.floor(random() * 4)
    let left = Math.floor(random() * 2 * bytes)
    client.on('data', (data) => {
      upstream.write(losesAnswer ? data : data.subarray(0, left))
      left -= data.length
      if (!losesAnswer && left < 0) cut()
    })
    upstream.on('data', (data) => {
      if (losesAnswer && answers-- === 0) cut()
      else client.write(data)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  proxy.port = (server.address() as AddressInfo).port
  return proxy
}
