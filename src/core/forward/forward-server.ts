// Receives the forward protocol: sockets, their limits, and the connections that feed one intake.
import type { Socket } from 'node:net'
import type { ServerSecurity } from '../../protocol/handshake.ts'
import type { InputRun } from '../action.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { addressKey } from '../net/address-key.ts'
import { type ConnectionSlots, createSlots } from '../net/connection-slots.ts'
import { listen } from '../net/listener.ts'
import { createTlsAcceptor, type TlsAcceptor } from '../net/tls-acceptor.ts'
import type { TlsPaths } from '../net/tls-files.ts'
import { listenUnix } from '../net/unix-listener.ts'
import { createTallyLog, type TallyLog } from '../tally-log.ts'
import { type ConnectionHost, type ConnectionLimits, IncomingConnection } from './incoming-connection.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import { peerOf } from './peer.ts'

export interface ForwardServerOptions {
  where: { host: string; port: number; heartbeat: boolean } | { path: string; mode: number }
  /** Bytes of a connection that are read ahead while nobody takes them. */
  readAhead: number
  tls: TlsPaths | undefined
  security: ServerSecurity | undefined
  limits: ConnectionLimits
  maxConnections: number
  maxConnectionsPerAddress: number
  /** Bytes of incomplete requests, of all connections. */
  maxHeldBytes: number
  intake: Pick<IntakeOptions, 'maxOpen' | 'maxOpenBytes' | 'tagPrefix' | 'dedupeWindow' | 'dedupeTotal'>
  clock: Clock
  log: Logger
  /** Counts refusals and what was passed over, by kind. */
  count(kind: string): void
}

/** Milliseconds for connections to end when the server stops. */
const stopGrace = 1500
/** Bytes of a heartbeat that is answered. */
const maxHeartbeat = 128
const heartbeatAnswer = Buffer.alloc(1)

export class ForwardServer {
  readonly #options: ForwardServerOptions
  readonly #slots: ConnectionSlots
  readonly #tally: TallyLog
  /** All accepted, also those that do their TLS handshake. */
  readonly #sockets = new Set<Socket>()
  /** Those whose turn comes next first. */
  readonly #connections = new Set<IncomingConnection>()
  #listener: { close(): void } | undefined
  #tls: TlsAcceptor | undefined
  #host: ConnectionHost | undefined
  /** Connections that came before there was a pipeline to read for. */
  #early: Socket[] = []
  #timer: NodeJS.Timeout | undefined
  #onEmpty: (() => void) | undefined
  /** Connections that have not been told yet that there is room. */
  #toWake: IterableIterator<IncomingConnection> = [].values()
  #waking: NodeJS.Immediate | undefined
  /** No connection is begun any more. */
  #isStopping = false
  /** Bytes of requests that are not complete, of all connections. */
  #held = 0
  /** Milliseconds in which nothing was read since there was no room, and since when it is so now. */
  #pausedFor = 0
  #pausedSince: number | undefined

  constructor(options: ForwardServerOptions) {
    this.#options = options
    this.#slots = createSlots(options.maxConnections, options.maxConnectionsPerAddress)
    this.#tally = createTallyLog(options.log, options.clock, options.count)
  }

  /** Reads certificates and binds. Throws CONFIG_INVALID and LISTEN_FAILED. */
  async open(): Promise<void> {
    const { where, readAhead, tls, log } = this.#options
    if (tls !== undefined) this.#tls = this.#tlsAcceptor(tls)
    const sockets = {
      readAhead,
      onConnection: (socket: Socket) => this.#admit(socket),
      onError: (error: Error) => this.#tally.note('accept', 'warn', `cannot accept: ${error.message}`),
    }
    if ('path' in where) {
      this.#listener = await listenUnix({ ...where, ...sockets })
      log.info({ path: where.path }, 'listens')
      return
    }
    const { host, port, heartbeat } = where
    const answer = (datagram: Buffer) => (datagram.length <= maxHeartbeat ? heartbeatAnswer : undefined)
    const listener = await listen({ host, port, ...sockets, ...(heartbeat ? { answer } : {}) })
    this.#listener = listener
    log.info({ addresses: listener.addresses, port: listener.port, tls: tls !== undefined }, 'listens')
  }

  /** Receives until the signal aborts; then waits for what was taken to be safe, and answers it. */
  async run(run: InputRun): Promise<void> {
    const { clock, limits, security, intake } = this.#options
    const host: ConnectionHost = {
      limits,
      security,
      intake: new Intake({
        ...intake,
        run,
        now: () => clock.now(),
        tally: this.#tally,
        // Each connection stops when it has read once more.
        onFull: () => {
          this.#pausedSince = performance.now()
        },
        onRoom: () => this.#resume(),
      }),
      readingTime: () => (this.#pausedSince ?? performance.now()) - this.#pausedFor,
      refused: ({ peer }, kind, message) => this.#refused(peer, kind, message),
      held: (bytes) => this.#hold(bytes),
    }
    this.#host = host
    this.#timer = setInterval(() => this.#checkTimes(), checkInterval(limits))
    for (const socket of this.#early) this.#receive(socket)
    this.#early = []
    await aborted(run.signal)
    await this.#stop(host.intake)
  }

  /** Ends everything at once. */
  close(): void {
    this.#listener?.close()
    this.#listener = undefined
    clearInterval(this.#timer)
    for (const connection of this.#connections) connection.destroy()
    for (const socket of this.#sockets) socket.destroy()
    this.#tally.close()
  }

  async #stop(intake: Intake): Promise<void> {
    this.#isStopping = true
    this.#listener?.close()
    this.#listener = undefined
    clearInterval(this.#timer)
    for (const connection of this.#connections) connection.stop()
    await intake.drain()
    for (const connection of this.#connections) connection.finish()
    await this.#emptied(stopGrace)
  }

  /** Comes back when there is no connection any more, or after so many milliseconds. */
  async #emptied(longest: number): Promise<void> {
    if (this.#connections.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, longest)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #admit(socket: Socket): void {
    const address = this.#addressOf(socket)
    // Its connection has handlers of its own; until then, and under TLS, an error is an end like any other.
    socket.on('error', ignore)
    const slot = this.#slots.take(address)
    if (slot !== 'taken') {
      const peer = peerOf(socket)
      socket.destroy()
      if (slot === 'full') this.#refused(peer, 'max_connections', 'there are as many connections as may be')
      else this.#refused(peer, 'max_connections_per_address', 'its address has as many connections as it may have')
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#slots.release(address)
    })
    if (this.#host === undefined) this.#early.push(socket)
    else this.#receive(socket)
  }

  #receive(socket: Socket): void {
    if (this.#isStopping) socket.destroy()
    else if (this.#tls === undefined) this.#connect(socket)
    else this.#tls.accept(socket)
  }

  #connect(socket: Socket): void {
    const host = this.#host
    if (host === undefined || socket.destroyed) return
    if (this.#isStopping) {
      // Its TLS handshake has ended only now.
      socket.destroy()
      return
    }
    const connection = new IncomingConnection(socket, peerOf(socket), host)
    this.#connections.add(connection)
    socket.once('close', () => {
      this.#connections.delete(connection)
      if (this.#connections.size === 0) this.#onEmpty?.()
    })
  }

  #addressOf(socket: Socket): string | undefined {
    // One that is gone already counts somewhere, too.
    return 'path' in this.#options.where ? undefined : addressKey(socket.remoteAddress ?? '')
  }

  #tlsAcceptor(paths: TlsPaths): TlsAcceptor {
    const { log, limits } = this.#options
    return createTlsAcceptor({
      paths,
      handshakeTimeout: limits.handshakeTimeout,
      onSecure: (socket) => this.#connect(socket),
      onRefused: (kind, message, socket) => this.#refused(peerOf(socket), kind, message),
      onReload: (error) => {
        if (error === undefined) log.info('certificates were read again')
        else log.error(`${messageOf(error)}; the certificates read before go on`)
      },
    })
  }

  #refused(peer: string, kind: string, message: string): void {
    const level = kind === 'broken' ? 'debug' : kind === 'idle_timeout' ? 'info' : 'warn'
    this.#tally.note(kind, level, `closed a connection: ${message}`, { peer })
  }

  #checkTimes(): void {
    const now = performance.now()
    for (const connection of this.#connections) connection.checkTime(now)
  }

  #resume(): void {
    if (this.#pausedSince !== undefined) this.#pausedFor += performance.now() - this.#pausedSince
    this.#pausedSince = undefined
    this.#toWake = [...this.#connections].values()
    this.#waking ??= setImmediate(() => this.#wake())
  }

  /** Up to the first one that has events waiting: they get through their outputs before those of the next are made. */
  #wake(): void {
    this.#waking = undefined
    const intake = this.#host?.intake
    for (const connection of this.#toWake) {
      if (intake === undefined || intake.isFull) return
      // To the end: when there is no room for all, the others come first next time.
      if (this.#connections.delete(connection)) this.#connections.add(connection)
      const { open } = intake
      connection.update()
      if (intake.open === open) continue
      this.#waking = setImmediate(() => this.#wake())
      return
    }
  }

  /** Beyond the limit the connection that holds most is closed: not the one that happens to ask for more. */
  #hold(bytes: number): void {
    this.#held += bytes
    if (bytes <= 0 || this.#held <= this.#options.maxHeldBytes) return
    let most: IncomingConnection | undefined
    for (const connection of this.#connections) if (most === undefined || connection.held > most.held) most = connection
    most?.refuse('max_held', 'incomplete requests of all connections take too much memory, and its own takes most')
  }
}

/** Milliseconds between two looks at the times of the connections. */
function checkInterval({ handshakeTimeout, idleTimeout, frameTimeout }: ConnectionLimits): number {
  return Math.min(1000, Math.max(10, Math.min(handshakeTimeout, idleTimeout, frameTimeout) / 10))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function ignore(): void {}
