// A receiver of the forward protocol that does what a test tells it, built from src/protocol.
import { createSocket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer as createPlainServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { onTestFinished } from 'vitest'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { decodeForward } from '../../src/protocol/forward.ts'
import type { ForwardEntry, ForwardFrame } from '../../src/protocol/forward-frame.ts'
import { encodeAck } from '../../src/protocol/forward-writer.ts'
import { encodeHelo, newHelo, type ServerSecurity, verifyPing } from '../../src/protocol/handshake.ts'
import { MsgpackScanner } from '../../src/protocol/msgpack-scanner.ts'
import { PushReader } from '../../src/protocol/push-reader.ts'

export interface Arrival {
  frame: ForwardFrame
  /** The chunk id as text; empty when no acknowledgement is asked for. */
  chunk: string
  socket: Socket
  ack(): void
}

export interface ReceiverOptions {
  /** What is done with each frame; acknowledging it is the default. */
  take?: (arrival: Arrival) => void
  /** Port to listen on, a free one by default; or the path of a Unix socket. */
  listen?: number | string
  tls?: TlsOptions
  security?: ServerSecurity
  /** What HELO says. */
  keepalive?: boolean
}

export class ForwardReceiver {
  /** Every frame in the order of arrival, repeated ones too. */
  readonly arrivals: Arrival[] = []
  readonly sockets = new Set<Socket>()
  connections = 0
  take: (arrival: Arrival) => void
  readonly #options: ReceiverOptions
  readonly #server: Server
  readonly #events = new EventEmitter()

  private constructor(options: ReceiverOptions) {
    this.#options = options
    this.take = options.take ?? ((arrival) => arrival.ack())
    const serve = (socket: Socket) => this.#serve(socket)
    this.#server = options.tls === undefined ? createPlainServer(serve) : createTlsServer(options.tls, serve)
    this.#server.on('tlsClientError', () => {})
    // A broken handshake, too, counts as a connection that must end.
    this.#server.on('connection', (socket: Socket) => {
      this.sockets.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          this.sockets.delete(socket)
          this.#events.emit('change')
        })
    })
  }

  /** Listens until the test is over. */
  static async start(options: ReceiverOptions = {}): Promise<ForwardReceiver> {
    const receiver = new ForwardReceiver(options)
    const { listen = 0 } = options
    if (typeof listen === 'string') receiver.#server.listen(listen)
    else receiver.#server.listen(listen, '127.0.0.1')
    await once(receiver.#server, 'listening')
    onTestFinished(() => receiver.stop())
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Events by chunk id, each id once: what a receiver that knows ids has taken. */
  get taken(): ForwardEntry[] {
    const chunks = new Map(this.arrivals.map(({ frame, chunk }) => [chunk, frame.entries]))
    return [...chunks.values()].flat()
  }

  /** Comes back when the condition holds; it is looked at after each frame and each end of a connection. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, 'change')
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    this.connections++
    socket.on('error', () => {})
    const { security, keepalive } = this.#options
    const reader = new PushReader(new MsgpackScanner())
    const helo = security === undefined ? undefined : newHelo(security, keepalive)
    if (helo !== undefined) socket.write(encodeHelo(helo))
    let welcome = helo === undefined
    const read = (bytes: Buffer) => {
      reader.push(bytes)
      for (let value = reader.take(); value !== undefined; value = reader.take()) {
        if (helo !== undefined && security !== undefined && !welcome) {
          const { pong, reason } = verifyPing(value, helo, security)
          socket.write(pong)
          if (reason !== undefined) socket.end()
          welcome = reason === undefined
        } else this.#arrive(socket, value)
      }
    }
    socket.on('data', (bytes) => {
      try {
        read(bytes)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        socket.destroy()
      }
    })
  }

  #arrive(socket: Socket, value: Buffer): void {
    const frame = decodeForward(value)
    if (frame === undefined) return
    const id = frame.option.chunk
    const ack = () => {
      if (id !== undefined) socket.write(encodeAck(id))
    }
    const arrival = { frame, chunk: id?.toString() ?? '', socket, ack }
    this.arrivals.push(arrival)
    this.take(arrival)
    this.#events.emit('change')
  }
}

/** Answers heartbeats on a port until the test is over. */
export async function answerHeartbeats(port: number): Promise<{ count: number }> {
  const seen = { count: 0 }
  const socket = createSocket('udp4')
  socket.on('message', (_, peer) => {
    seen.count++
    socket.send(Buffer.alloc(1), peer.port, peer.address)
  })
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return seen
}

/** A port of loopback on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createPlainServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
