// A RethinkDB to test against: reqlite in a process of its own, and the real one that RETHINKDB_URL names.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { type Connection, r } from 'rethinkdb-ts'
import { onTestFinished } from 'vitest'

/** `rethinkdb://user:password@host:port`: of a server whose databases `feedoo_test_*` may be made and dropped. */
export const realUrl = process.env.RETHINKDB_URL

export interface Server {
  /** Parameters of the actions by which this server is reached. */
  params: { ip: string; port: number; user: string; password: string; database: string }
  /** True for reqlite: what it holds is gone after a restart, and it knows less. */
  isEmulator: boolean
  connect(): Promise<Connection>
}

export interface Emulator extends Server {
  stop(): Promise<void>
  /** On the same port, with nothing in it. */
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
export async function startEmulator(): Promise<Emulator> {
  let child: ChildProcess | undefined
  const params = { ip: '127.0.0.1', port: 0, user: 'admin', password: '', database: 'feedoo_test' }
  const emulator: Emulator = {
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

function connect({ ip, port, user, password }: Server['params']): Promise<Connection> {
  return r.connect({ host: ip, port, user, password, silent: true })
}
