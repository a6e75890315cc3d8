// The daemon's own HTTP server: its counters as JSON and for Prometheus, and whether it is well.
import { createHash, timingSafeEqual } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { createServer, type Server } from 'node:http'
import { isIPv6 } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import { FeedooError, messageOf, systemCode } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { isLoopback } from '../core/loopback.ts'
import type { PipelineStats } from '../core/metrics.ts'
import { prometheusContentType, prometheusText } from './prometheus.ts'

/** Bytes of the headers of a request. */
const maxHeaderSize = 8192
const maxConnections = 64
/** Milliseconds a client has for its headers, and for its whole request. */
const headersTimeout = 5_000
const requestTimeout = 10_000
/** Milliseconds a connection may stay open without a request. */
const keepAliveTimeout = 5_000
/** Milliseconds without any byte before a connection is cut, also when it does not read its answer. */
const silenceTimeout = 30_000
/** Milliseconds that answers in hand have to get out when the server closes. */
const closeGrace = 500

export interface Health {
  ok: boolean
  /** What is not well, a sentence each. */
  reasons: string[]
}

export interface StatsSource {
  /** By name of the pipeline. */
  stats(): Promise<Record<string, PipelineStats>>
  health(): Health | Promise<Health>
}

export interface HttpOptions {
  ip: string
  /** 0 takes a free one. */
  port: number
  /** What a client must send as `Authorization: Bearer <token>`. */
  token?: string
  source: StatsSource
  /** Told what goes wrong later, such as a connection that cannot be taken. */
  log?: Logger
}

/**
 * Listens, and comes back when it does. Throws LISTEN_FAILED when it cannot, and when it would be reachable from
 * other machines without a token.
 */
export async function startHttp(options: HttpOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { ip, port, token } = options
  if (token === '') throw new FeedooError('LISTEN_FAILED', 'the token of `states` is empty')
  const address = await resolve(ip)
  if (token === undefined && !isLoopback(address)) {
    const rule = `listening on ${ip} shows the counters to other machines`
    throw new FeedooError('LISTEN_FAILED', `${rule}: set a token in \`states\`, or listen on 127.0.0.1`)
  }
  const guard = token === undefined ? checkHost(address) : checkToken(token)
  const server = createServer(
    { maxHeaderSize, headersTimeout, requestTimeout, keepAliveTimeout, connectionsCheckingInterval: 1_000 },
    getRequestListener(routes(options.source, guard).fetch, { overrideGlobalObjects: false }),
  )
  server.maxConnections = maxConnections
  server.setTimeout(silenceTimeout)
  await listen(server, address, port, ip)
  // It goes on listening: the counters must not take the daemon with them.
  server.on('error', (error) => options.log?.error(`the HTTP server: ${messageOf(error)}`))
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => close(server),
  }
}

function routes(source: StatsSource, guard: MiddlewareHandler): Hono {
  const app = new Hono()
  app.use(async (c, next) => {
    await next()
    c.header('Cache-Control', 'no-store')
    c.header('X-Content-Type-Options', 'nosniff')
  })
  app.use(guard)
  app.use(async (c, next) => {
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
    return c.json({ error: 'only GET and HEAD are understood' }, 405, { Allow: 'GET, HEAD' })
  })
  app.get('/', async (c) => c.json(statesOf(await source.stats())))
  app.get('/metrics', async (c) =>
    c.body(await prometheusText(await source.stats()), 200, { 'Content-Type': prometheusContentType }),
  )
  app.get('/health', async (c) => {
    const { ok, reasons } = await source.health()
    return ok ? c.json({ status: 'ok' }) : c.json({ status: 'failing', reasons }, 503)
  })
  app.notFound((c) => c.json({ error: 'there are /, /metrics and /health' }, 404))
  // What went wrong inside is nobody's business outside.
  app.onError((_, c) => c.json({ error: 'the counters cannot be read right now' }, 500))
  return app
}

/** The JSON of the original's `states`, and what feedoo counts besides. */
function statesOf(pipelines: Record<string, PipelineStats>) {
  const entries = Object.entries(pipelines).map(([name, { actions }]) => [
    name,
    actions.map((action) => ({
      name: action.name,
      info: action.label,
      in: action.in,
      bypass: action.bypass,
      do: action.do,
      ignore: action.errors,
      out: action.out,
      kind: action.kind,
      errors: action.errors,
      dropped: action.dropped,
      dead_letters: action.dead_letters,
      retries: action.retries,
    })),
  ])
  return { timestamp: Date.now() / 1000, pipelines: Object.fromEntries(entries) }
}

function checkToken(token: string): MiddlewareHandler {
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  const expected = digest(Buffer.from(token))
  return async (c, next) => {
    const sent = /^Bearer +(.+)$/i.exec(c.req.header('Authorization') ?? '')?.[1]
    // Headers are read as Latin-1: this gives back the bytes that were sent. Digests have one length, so that
    // comparing takes the same time for every token.
    if (sent !== undefined && timingSafeEqual(digest(Buffer.from(sent, 'latin1')), expected)) return next()
    return c.json({ error: 'send the token: Authorization: Bearer <token>' }, 401, {
      'WWW-Authenticate': 'Bearer realm="feedoo"',
    })
  }
}

/** Refuses requests that a web page sends by a name of its own that it has bound to this address. */
function checkHost(address: string): MiddlewareHandler {
  const names = new Set(['localhost', '127.0.0.1', '[::1]', isIPv6(address) ? `[${address}]` : address])
  return async (c, next) => {
    const name = (c.req.header('Host') ?? '').toLowerCase().replace(/:[0-9]*$/, '')
    if (names.has(name)) return next()
    return c.json({ error: 'ask for localhost, or set a token in `states`' }, 403)
  }
}

/** The address of a name; addresses stay as they are. */
async function resolve(ip: string): Promise<string> {
  try {
    // An empty name would mean every address.
    if (ip === '') throw new Error('it is empty')
    return (await lookup(ip)).address
  } catch (cause) {
    throw new FeedooError(
      'LISTEN_FAILED',
      `cannot listen on "${ip}": it is neither an address nor a name of this machine`,
      { cause },
    )
  }
}

function listen(server: Server, address: string, port: number, ip: string): Promise<void> {
  return new Promise((done, fail) => {
    const refused = (cause: Error) => {
      const message = `cannot listen on ${ip} port ${port}: ${reasonOf(cause)}`
      fail(new FeedooError('LISTEN_FAILED', message, { cause }))
    }
    server.once('error', refused)
    server.listen(port, address, () => {
      server.off('error', refused)
      done()
    })
  })
}

function reasonOf(error: Error): string {
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return 'another program has that port; stop it, or choose another port in `states`'
    case 'EACCES':
      return 'only root may take that port; choose one from 1024 on in `states`'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address'
    default:
      return messageOf(error)
  }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()))
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), closeGrace)
  await closed
  clearTimeout(late)
}
