// A TCP proxy that can be switched off, as a server that has stopped, and silenced, as a network that loses everything.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface SwitchProxy {
  readonly port: number
  /** Cuts all connections, and refuses new ones. */
  off(): void
  /** Takes connections again, on the same port. */
  on(): Promise<void>
  /** Connections stay and are taken, and nothing passes any more. */
  silence(): void
  /** What was held back passes, and all the rest. */
  speak(): void
  /** New connections pass again; those there are stay silent for ever, and nobody tells them. */
  forget(): void
}

/** Stands before a port of loopback until the test is over; `to` is asked at each connection. */
export async function switchProxy(to: () => number): Promise<SwitchProxy> {
  const open = new Set<Socket>()
  let silent = false
  let port = 0
  const server = createServer((client) => {
    const upstream = connect(to(), '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      socket.on('data', (data) => other.write(data))
      if (silent) socket.pause()
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket)
          other.destroy()
        })
    }
  })
  const proxy = {
    get port() {
      return port
    },
    off() {
      server.close()
      for (const socket of open) socket.resetAndDestroy()
    },
    async on() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
    },
    silence() {
      silent = true
      for (const socket of open) socket.pause()
    },
    speak() {
      silent = false
      for (const socket of open) socket.resume()
    },
    forget() {
      silent = false
    },
  }
  await proxy.on()
  onTestFinished(() => proxy.off())
  return proxy
}
