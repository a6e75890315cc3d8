// A few connections to one RethinkDB server: opened when they are needed, dropped when they fail. It retries nothing.
import type { ConnectionOptions } from 'node:tls'
import type { Connection } from 'rethinkdb-ts'
import type { ErrorCode } from '../errors.ts'
import { failureKind, RethinkFailure, shortMessage } from './failure.ts'

export type R = typeof import('rethinkdb-ts')['r']

/** Anything made with `r` that a connection can run. */
interface Query<T> {
  run(connection: Connection): Promise<T>
}

export interface PoolOptions {
  host: string
  port: number
  user: string
  password: string
  /** The options of TLS, read anew for each connection; undefined for none. Throws when they cannot be used. */
  tls: (() => ConnectionOptions) | undefined
  /** Connections at most. */
  connections: number
  /** Seconds to connect, the handshake included. */
  connectTimeout: number
  /** Seconds for one query. */
  queryTimeout: number
  /** Codes of the errors that are thrown: for a server that is away or locked, and for a query that it refused. */
  codes: { away: ErrorCode; refused: ErrorCode }
}

interface Link {
  connection: Connection
  /** Closes the socket, also one that is still being opened, which the driver cannot. */
  end: AbortController
  /** Queries under way. */
  busy: number
}

export interface DedicatedLink {
  /** Throws what the driver throws, or a RethinkFailure after `queryTimeout`. */
  run<T>(make: (r: R) => Query<T>): Promise<T>
  isOpen(): boolean
  close(): void
}

export class RethinkPool {
  readonly #options: PoolOptions
  readonly #links = new Set<Link>()
  /** Aborts with the pool: connections that are being opened end. */
  readonly #ending = new AbortController()
  #r: R | undefined
  #opening: Promise<Link> | undefined

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Opens a connection. Throws a RethinkFailure. */
  async connect(): Promise<void> {
    await this.#acquire()
  }

  /** Runs the query that `make` builds. Throws a RethinkFailure, after `queryTimeout` at the latest. */
  async run<T>(make: (r: R) => Query<T>): Promise<T> {
    const link = await this.#acquire()
    link.busy++
    try {
      return await this.#within(link, make(await this.#load()).run(link.connection))
    } catch (cause) {
      const failure = this.failure(cause)
      // A connection that failed once is not trusted again; an answer of the server is no failure of the connection.
      if (failure.kind === 'away' && !isAnswer(cause)) this.#drop(link)
      throw failure
    } finally {
      link.busy--
    }
  }

  /** A connection of its own, for feeds: it does not count here. Closing it ends them. Throws a RethinkFailure. */
  async dedicated(): Promise<DedicatedLink> {
    const link = await this.#open()
    const r = await this.#load()
    return {
      run: (make) => this.#within(link, make(r).run(link.connection)),
      isOpen: () => link.connection.open,
      close: () => closeLink(link),
    }
  }

  /** The failure that an error of the driver means. */
  failure(cause: unknown): RethinkFailure {
    if (cause instanceof RethinkFailure) return cause
    const { codes } = this.#options
    const kind = failureKind(cause)
    const isAway = kind === 'away' || kind === 'login'
    return new RethinkFailure(kind, isAway ? codes.away : codes.refused, `RethinkDB: ${shortMessage(cause)}`, cause)
  }

  async close(): Promise<void> {
    this.#ending.abort()
    for (const link of this.#links) this.#drop(link)
    await this.#opening?.then(closeLink, () => {})
  }

  async #load(): Promise<R> {
    this.#r ??= (await import('./driver.ts')).r
    return this.#r
  }

  async #acquire(): Promise<Link> {
    let best: Link | undefined
    for (const link of this.#links) {
      if (!link.connection.open) this.#drop(link)
      else if (best === undefined || link.busy < best.busy) best = link
    }
    const isFull = this.#links.size >= this.#options.connections
    if (best !== undefined && (best.busy === 0 || isFull)) return best
    this.#opening ??= this.#add().finally(() => {
      this.#opening = undefined
    })
    if (best === undefined) return this.#opening
    // Nobody waits for it: it helps those who come later. When it fails, they try again.
    this.#opening.catch(() => {})
    return best
  }

  async #add(): Promise<Link> {
    const link = await this.#open()
    this.#links.add(link)
    return link
  }

  async #open(): Promise<Link> {
    const { host, port, user, password, tls, connectTimeout, codes } = this.#options
    const r = await this.#load()
    if (this.#ending.signal.aborted) throw new RethinkFailure('away', codes.away, 'the connections are closed')
    const end = new AbortController()
    const stop = () => end.abort()
    this.#ending.signal.addEventListener('abort', stop)
    const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
    try {
      const socket = { host, port, signal: end.signal }
      const connection = await r.connect({
        server: tls === undefined ? socket : { ...socket, ...tls(), tls: true },
        user,
        password,
        timeout: connectTimeout,
        // Or it prints errors on the console.
        silent: true,
      })
      // Without a listener an error would be thrown out of the socket.
      connection.on('error', () => {})
      return { connection, end, busy: 0 }
    } catch (cause) {
      end.abort()
      const kind = failureKind(cause) === 'login' ? 'login' : 'away'
      throw new RethinkFailure(kind, codes.away, `cannot connect to RethinkDB at ${place}: ${reasonOf(cause)}`, cause)
    } finally {
      this.#ending.signal.removeEventListener('abort', stop)
    }
  }

  #within<T>(link: Link, answer: Promise<T>): Promise<T> {
    const { queryTimeout, codes } = this.#options
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new RethinkFailure('away', codes.away, `RethinkDB did not answer within ${queryTimeout} s`))
        this.#drop(link)
      }, queryTimeout * 1000)
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  #drop(link: Link): void {
    this.#links.delete(link)
    closeLink(link)
  }
}

function closeLink({ connection, end }: Link): void {
  // First the driver, which stops listening to the socket: then aborting it is no error to anybody.
  connection.close().catch(() => {})
  end.abort()
}

/** The server said itself that it cannot do this now: the connection works. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name.startsWith('Reql') && error.name !== 'ReqlDriverError'
}

/** The driver wraps what went wrong with the socket. */
function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  return shortMessage(cause instanceof Error ? cause : error)
}
