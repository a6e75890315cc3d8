// One connection to a receiver of the forward protocol: TLS, the handshake, frames out, acknowledgements in.
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { readAck } from '../../protocol/forward-writer.ts'
import {
  type ClientSecurity,
  encodePing,
  type Helo,
  handshakeLimits,
  readHelo,
  verifyPong,
} from '../../protocol/handshake.ts'
import { MsgpackScanner } from '../../protocol/msgpack-scanner.ts'
import { PushReader } from '../../protocol/push-reader.ts'
import { messageOf, systemCode } from '../errors.ts'

/** Where a receiver listens. `name` is what a person calls it. */
export type ForwardTarget = { name: string } & ({ host: string; port: number } | { path: string })

export interface ConnectionSettings {
  /** Milliseconds for the connection, TLS and the handshake together. */
  timeout: number
  /** Read for each connection, so that a renewed certificate is used. */
  tls?: () => ConnectionOptions
  security?: ClientSecurity
}

/** Connects and shakes hands. Rejects with an Error whose message is the reason. */
export function connectForward(
  target: ForwardTarget,
  settings: ConnectionSettings,
  signal: AbortSignal,
): Promise<ForwardConnection> {
  return new Promise((resolve, reject) => {
    const { timeout, tls, security } = settings
    const socket = tls === undefined ? connectPlain({ ...target }) : connectTls(tlsOptions(target, tls()))
    const connection = new ForwardConnection(socket, target)
    let step = tls === undefined ? 'a connection' : 'a connection with TLS'
    const timer = setTimeout(() => connection.fail(`no ${step} within ${timeout / 1000} s`), timeout)
    const abort = () => connection.fail('the output is closed')
    signal.addEventListener('abort', abort, { once: true })
    const settle = (error?: Error) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      connection.onClose = ignore
      connection.onReady = ignore
      if (error === undefined) resolve(connection)
      else reject(error)
    }
    connection.onClose = settle
    connection.onReady = () => settle()
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      step = 'handshake (the receiver may have no shared key)'
      connection.begin(security)
    })
    if (signal.aborted) abort()
  })
}

function tlsOptions(target: ForwardTarget, options: ConnectionOptions): ConnectionOptions {
  const { name: _, ...place } = target
  const servername = 'host' in target && isIP(target.host) === 0 ? { servername: target.host } : {}
  return { ...place, ...servername, minVersion: 'TLSv1.2', ...options }
}

/** Tells what happens by its handlers, which its user sets. It never throws and never rejects. */
export class ForwardConnection {
  onReady: () => void = ignore
  /** A chunk has arrived. */
  onAck: (chunk: string) => void = ignore
  /** One more of the frames was handed to the kernel. */
  onWritten: () => void = ignore
  /** The connection is over, for whatever reason. Called once. */
  onClose: (error: Error) => void = ignore
  /** Why the connection is over; undefined while it is open. */
  error: Error | undefined
  /** False when the receiver has said that it closes the connection. */
  keepalive = true
  /** Frames that were not handed to the kernel yet. */
  unwritten = 0
  readonly target: ForwardTarget
  readonly #socket: Socket
  readonly #reader = new PushReader(new MsgpackScanner(handshakeLimits))
  #take: (value: Buffer) => void = (value) => this.#takeAck(value)

  constructor(socket: Socket, target: ForwardTarget) {
    this.target = target
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('error', (error) => this.fail(reasonOf(error), error))
    socket.on('close', () => this.fail('the receiver closed the connection'))
  }

  /** Waits for the receiver's HELO when there is a key; without one the connection is ready. */
  begin(security: ClientSecurity | undefined): void {
    if (security === undefined) {
      this.onReady()
      return
    }
    this.#take = (value) => {
      const helo = readHelo(value)
      const { ping, salt } = encodePing(helo, security)
      this.#socket.write(ping)
      this.#take = (answer) => this.#takePong(answer, helo, salt, security)
    }
  }

  /** Sends one frame. False when the kernel takes no more for now: `onWritten` tells when it does. */
  send(bytes: Buffer, written: () => void): boolean {
    this.unwritten++
    return this.#socket.write(bytes, (error) => {
      this.unwritten--
      if (error != null || this.error !== undefined) return
      written()
      this.onWritten()
    })
  }

  get congested(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Ends the connection after what was sent. A frame that waits for its acknowledgement waits no longer. */
  close(): void {
    if (this.error !== undefined) return
    this.error = new Error('the output is closed')
    this.onClose(this.error)
    const socket = this.#socket
    // A receiver that does not close its side must not keep this one open.
    const timer = setTimeout(() => socket.destroy(), closeTimeout)
    socket.once('close', () => clearTimeout(timer))
    socket.end()
  }

  /** Breaks the connection off. */
  fail(reason: string, cause?: unknown): void {
    if (this.error !== undefined) return
    this.error = new Error(reason, cause === undefined ? undefined : { cause })
    this.#socket.destroy()
    this.onClose(this.error)
  }

  #read(bytes: Buffer): void {
    if (this.error !== undefined) return
    try {
      this.#reader.push(bytes)
      for (let value = this.#reader.take(); value !== undefined; value = this.#reader.take()) this.#take(value)
    } catch (error) {
      this.fail(messageOf(error), error)
    }
  }

  #takePong(value: Buffer, helo: Helo, salt: Buffer, security: ClientSecurity): void {
    verifyPong(value, helo, salt, security)
    this.keepalive = helo.keepalive
    this.#take = (ack) => this.#takeAck(ack)
    this.onReady()
  }

  #takeAck(value: Buffer): void {
    if (value[0] === heloHeader) throw new Error('the receiver asks for a shared key: set shared_key')
    this.onAck(readAck(value))
  }
}

/** First byte of a HELO: a list of two. An acknowledgement is a map. */
const heloHeader = 0x92
/** Milliseconds for the receiver to close its side after we have closed ours. */
const closeTimeout = 1000

function ignore(): void {}

/** A sentence for a socket's error. */
function reasonOf(error: Error): string {
  // A name with several addresses: each has its own reason.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  const code = systemCode(error)
  if (code === 'EPIPE' || code === 'ECONNRESET') return `the receiver closed the connection (${code})`
  return error.message === '' ? (code ?? 'unknown') : error.message
}
