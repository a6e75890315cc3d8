// A RethinkDB to test against: reqlite in a process of its own, and the real one that RETHINKDB_URL names.
import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Connection, r } from 'rethinkdb-ts'
import { onTestFinished } from 'vitest'

/** `rethinkdb://user:password@host:port`: of a server whose databases `feedoo_test_*` may be made and dropped. */
export const realUrl = process.env.RETHINKDB_URL

/** A `rethinkdb` program, for the tests that stop and start a real server: these start one of their own. */
const program = process.env.RETHINKDB_PROGRAM

export interface Server {
  /** Parameters of the actions by which this server is reached. */
  params: { ip: string; port: number; user: string; password: string; database: string }
  /** True for reqlite: what it holds is gone after a restart, and it knows less. */
  isEmulator: boolean
  connect(): Promise<Connection>
}

export interface OwnServer extends Server {
  stop(): Promise<void>
  /** On the same port. The emulator has nothing in it then. */
  start(): Promise<void>
}

/**
 * Listens on loopback only, at a port of its choosing when that is 0, and prints the port. The ids of tables are those that
 * they had before a restart: as if it had kept them.
 */
const script = `
const net = require('node:net')
const Table = require(require('node:path').join(process.argv[1], '../table.js'))
const made = new Map()
Object.defineProperty(Table.prototype, 'id', {
  get() {
    return this.madeAs
  },
  set() {
    const name = this.db + '.' + this.name
    made.set(name, (made.get(name) ?? 0) + 1)
    this.madeAs = name + ' ' + made.get(name)
  },
})
const { listen } = net.Server.prototype
net.Server.prototype.listen = function () {
  return listen.call(this, Number(process.argv[2]), '127.0.0.1', () => console.log(this.address().port))
}
const Server = require(process.argv[1])
new Server({ silent: true })
process.stdin.on('end', () => process.exit()).resume()
`
const reqlite = createRequire(import.meta.url).resolve('reqlite')

/** Starts reqlite; it ends with the test. */
export async function startEmulator(): Promise<OwnServer> {
  let child: ChildProcess | undefined
  const params = { ip: '127.0.0.1', port: 0, user: 'admin', password: '', database: 'feedoo_test' }
  const emulator: OwnServer = {
    params,
    isEmulator: true,
    connect: () => connect(params),
    async start() {
      const args = ['--no-deprecation', '-e', script, reqlite, String(params.port)]
      child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
      if (child.stdout === null) throw new Error('reqlite has no output')
      const [port] = await once(createInterface(child.stdout), 'line')
      params.port = Number(port)
    },
    async stop() {
      if (child === undefined || child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      child = undefined
    },
  }
  await emulator.start()
  onTestFinished(() => emulator.stop())
  return emulator
}

/** Starts the server of RETHINKDB_PROGRAM; it ends with the test. */
async function startOwn(): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-rethinkdb-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const params = { ip: '127.0.0.1', port: await freePort(), user: 'admin', password: '', database: 'feedoo_test' }
  const ports = ['--driver-port', String(params.port), '--cluster-port', String(await freePort())]
  const place = ['--directory', join(folder, 'data'), '--bind', '127.0.0.1', '--no-http-admin', '--no-update-check']
  let child: ChildProcess | undefined
  const server: OwnServer = {
    params,
    isEmulator: false,
    connect: () => connect(params),
    async start() {
      child = spawn(program ?? '', [...place, ...ports, '--cache-size', '128'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      if (child.stdout === null) throw new Error('rethinkdb has no output')
      const lines = createInterface(child.stdout)
      for await (const [line] of on(lines, 'line', { close: ['close'] })) if (/^Server ready/.test(line)) break
      child.stdout.resume()
      // What it holds can be read a moment later.
      const connection = await connect(params)
      await r
        .db(params.database)
        .wait({ waitFor: 'all_replicas_ready', timeout: 20 })
        .run(connection)
        .catch(() => {})
      await connection.close()
    },
    async stop() {
      if (child === undefined || child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      child = undefined
    },
  }
  await server.start()
  onTestFinished(() => server.stop())
  return server
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}

/** The server of RETHINKDB_URL, with a database of its own, which is dropped after the test. */
export async function realServer(): Promise<Server> {
  const { hostname, port, username, password } = new URL(realUrl ?? '')
  const params = {
    ip: hostname,
    port: Number(port || 28_015),
    user: decodeURIComponent(username) || 'admin',
    password: decodeURIComponent(password),
    database: `feedoo_test_${process.pid}_${Math.random().toString(36).slice(2)}`,
  }
  onTestFinished(async () => {
    const connection = await connect(params)
    await r
      .dbDrop(params.database)
      .run(connection)
      .catch(() => {})
    await connection.close()
  })
  return { params, isEmulator: false, connect: () => connect(params) }
}

/** Each server that the same tests run against. */
export const servers = [
  { title: 'reqlite', start: startEmulator, skipped: false },
  { title: 'the RethinkDB that RETHINKDB_URL names', start: realServer, skipped: realUrl === undefined },
] as const

/** Those that a test can stop and start. */
export const ownServers = [
  { title: 'reqlite', start: startEmulator, skipped: false },
  { title: 'the RethinkDB that RETHINKDB_PROGRAM names', start: startOwn, skipped: program === undefined },
] as const

function connect({ ip, port, user, password }: Server['params']): Promise<Connection> {
  return r.connect({ host: ip, port, user, password, silent: true })
}
