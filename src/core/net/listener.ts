// Listens for connections on TCP, and answers datagrams on the same port over UDP.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6, type Server, type Socket } from 'node:net'
import { FeedooError, systemCode } from '../errors.ts'
import { createHeartbeatGate } from './heartbeat-gate.ts'
import { listenError } from './listen-error.ts'

export interface ListenOptions {
  /** A name or an address; `localhost` is 127.0.0.1 and, where there is IPv6, ::1. */
  host: string
  /** 0 takes a free one. */
  port: number
  /** Bytes of a connection that are read ahead while nobody takes them. */
  readAhead: number
  /** Gets every connection, half-open ones stay open for writing. */
  onConnection(socket: Socket): void
  /** The answer to a datagram, if any; without it there is no UDP. Not every one is answered. */
  answer?(datagram: Buffer): Buffer | undefined
  /** An error of a socket that listens: it goes on. */
  onError(error: Error): void
}

export interface Listener {
  /** Those bound, for people. */
  addresses: string[]
  port: number
  /** Stops listening at once. Connections go on. */
  close(): void
}

/** Free ports are tried until one is free on every address and for UDP, too. */
const attempts = 20

/** Throws LISTEN_FAILED. */
export async function listen(options: ListenOptions): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bindAll(options)
    } catch (error) {
      const isTaken = error instanceof FeedooError && systemCode(error.cause) === 'EADDRINUSE'
      if (options.port !== 0 || !isTaken || attempt === attempts) throw error
    }
  }
}

async function bindAll(options: ListenOptions): Promise<Listener> {
  const bound: (Server | UdpSocket)[] = []
  const close = () => {
    for (const socket of bound) socket.close()
  }
  const addresses: string[] = []
  let { port } = options
  try {
    for (const host of options.host === 'localhost' ? ['127.0.0.1', '::1'] : [options.host]) {
      let server: Server
      try {
        server = await bindTcp(host, port, options)
      } catch (cause) {
        if (host === '::1' && addresses.length > 0 && lacksIpv6(cause)) continue
        throw listenError(shown(host, port), cause)
      }
      bound.push(server)
      const at = server.address()
      if (at === null || typeof at === 'string') throw new Error('a TCP server has no port')
      port = at.port
      addresses.push(at.address)
    }
    if (options.answer !== undefined) {
      for (const address of addresses) bound.push(await bindUdp(address, port, options.answer, options.onError))
    }
  } catch (error) {
    close()
    throw error
  }
  return { addresses, port, close }
}

async function bindTcp(host: string, port: number, options: ListenOptions): Promise<Server> {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveDelay,
    highWaterMark: options.readAhead,
  })
  server.on('connection', options.onConnection)
  server.listen({ host, port, backlog })
  await once(server, 'listening')
  server.on('error', options.onError)
  return server
}

async function bindUdp(
  address: string,
  port: number,
  answer: (datagram: Buffer) => Buffer | undefined,
  onError: (error: Error) => void,
): Promise<UdpSocket> {
  const gate = createHeartbeatGate(port)
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  socket.on('message', (datagram: Buffer, from: RemoteInfo) => {
    const reply = answer(datagram)
    if (reply === undefined || !gate.mayAnswer(from.address, from.port, performance.now())) return
    socket.send(reply, from.port, from.address, ignore)
  })
  try {
    socket.bind({ address, port, exclusive: true })
    await once(socket, 'listening')
  } catch (cause) {
    socket.close()
    throw listenError(`${shown(address, port)} (UDP)`, cause)
  }
  socket.on('error', onError)
  return socket
}

function shown(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

function lacksIpv6(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'].includes(systemCode(error) ?? '')
}

function ignore(): void {}

/** Milliseconds without a byte before the system asks whether the other machine is still there. */
const keepAliveDelay = 60_000
/** Connections that wait to be accepted; the system may allow fewer. */
const backlog = 1024
