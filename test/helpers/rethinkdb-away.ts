// A pipeline that reads or writes a RethinkDB which goes away for a while: stopped, or out of reach behind a proxy.
import { existsSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type Connection, r } from 'rethinkdb-ts'
import { expect } from 'vitest'
import { Daemon, scratchFolder } from './daemon.ts'
import { type OwnServer, startEmulator } from './rethinkdb.ts'
import { type SwitchProxy, switchProxy } from './switch-proxy.ts'

/**
 * `stopped`: the server's process ends, and another one comes up with its data. `silent`: nothing gets through for a
 * while. `lost`: on the connections that were open then nothing ever does.
 */
export type Way = 'stopped' | 'silent' | 'lost'
export const ways = ['stopped', 'silent', 'lost'] as const

/** What feedoo does with it. */
export type Use = 'output' | 'input' | 'follow'
export const uses = ['output', 'input', 'follow'] as const

const rowsEach = 20
const table = 'rows'

/** Throws when rows are lost or doubled, a restart was needed, or more is logged than when it goes and when it is back. */
export async function goAway(use: Use, way: Way, seconds: number): Promise<void> {
  const folder = await scratchFolder()
  const site = await Site.make(await startEmulator())
  const reach = { ...site.params, query_timeout: 1, connect_timeout: 1, wait_connection: 5 }
  const daemon = await Daemon.start(use === 'output' ? writes(reach) : reads(reach, use), folder)
  let n = 0
  const write = async (begin = 1_600_000_000) => {
    const rows = Array.from({ length: rowsEach }, () => ({ ts: begin + n, n: n++ }))
    if (use !== 'output') return site.insert(rows)
    await appendFile(join(folder, 'in.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  }
  const written = use === 'output' ? () => site.numbers() : async () => rowsOf(join(folder, 'out.sqlite'))
  const arrived = async () => {
    while (new Set(await written()).size < n) await delay(50)
  }
  await daemon.logged(/runs p/)
  await write()
  await arrived()

  await site.goAway(way)
  // While a server is stopped nobody inserts anything.
  const isReachable = use === 'output' || way !== 'stopped'
  if (isReachable) await write()
  await daemon.logged(use === 'output' ? /trying again until it works/ : /the database cannot be read/)
  await delay(seconds * 1000)
  await site.comeBack(way)
  await arrived()
  await daemon.logged(use === 'output' ? /the output takes events again/ : /the database is back/)
  await write()
  await arrived()
  if (use === 'follow') {
    // The feeds are there again: nothing else tells of rows whose time is past.
    await write(1_500_000_000)
    await arrived()
  }

  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  expect((await written()).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
  const usual = /^(feedoo |SIGTERM|done)/
  const about = daemon.logs().filter(({ msg }) => !usual.test(String(msg)))
  expect(about, daemon.stderr).toHaveLength(2)
  await site.close()
}

function writes(reach: Record<string, unknown>): string {
  return `
pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "{dir}/in.jsonl", from: start }
    - { name: parser_json, key: log }
    - ${JSON.stringify({ name: 'output_rethinkdb', ...reach, table, time_key: 'ts', retry_delay: 0.05, retry_max_delay: 1 })}
`
}

function reads(reach: Record<string, unknown>, use: Use): string {
  const more = { time_key: 'ts', from: 'start', refresh_interval: 0.05, follow: use === 'follow' }
  return `
pipelines:
  p:
    - ${JSON.stringify({ name: 'input_rethinkdb', tag: 't', ...reach, ...more })}
    - { name: output_sqlite, filename: "{dir}/out.sqlite", table: rows }
`
}

/** The server, and the proxy by which feedoo reaches it. */
class Site {
  readonly #emulator: OwnServer
  readonly #proxy: SwitchProxy
  #connection: Connection
  /** What the server held when it was stopped. */
  #saved: unknown[] = []

  private constructor(emulator: OwnServer, proxy: SwitchProxy, connection: Connection) {
    this.#emulator = emulator
    this.#proxy = proxy
    this.#connection = connection
  }

  static async make(emulator: OwnServer): Promise<Site> {
    const proxy = await switchProxy(() => emulator.params.port)
    const site = new Site(emulator, proxy, await emulator.connect())
    await site.#makeTable()
    return site
  }

  get params(): OwnServer['params'] {
    return { ...this.#emulator.params, port: this.#proxy.port }
  }

  async insert(rows: readonly unknown[]): Promise<void> {
    await this.#rows.insert(rows).run(this.#connection)
  }

  numbers(): Promise<number[]> {
    return this.#rows('n').coerceTo('array').run(this.#connection)
  }

  /** The emulator keeps nothing when it ends: what it holds is taken from it when nobody else reaches it any more. */
  async goAway(way: Way): Promise<void> {
    if (way !== 'stopped') return this.#proxy.silence()
    this.#proxy.off()
    this.#saved = await this.#rows.coerceTo('array').run(this.#connection)
    await this.#connection.close()
    await this.#emulator.stop()
  }

  /** And is given to the next one before anybody else reaches that. */
  async comeBack(way: Way): Promise<void> {
    if (way === 'silent') return this.#proxy.speak()
    if (way === 'lost') return this.#proxy.forget()
    await this.#emulator.start()
    this.#connection = await this.#emulator.connect()
    await this.#makeTable()
    await this.insert(this.#saved)
    await this.#proxy.on()
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  get #rows() {
    return r.db(this.#emulator.params.database).table(table)
  }

  async #makeTable(): Promise<void> {
    const { database } = this.#emulator.params
    await r.dbCreate(database).run(this.#connection)
    await r.db(database).tableCreate(table).run(this.#connection)
    await this.#rows.indexCreate('ts').run(this.#connection)
    await this.#rows.indexWait('ts').run(this.#connection)
  }
}

function rowsOf(file: string): number[] {
  if (!existsSync(file)) return []
  const db = new Database(file, { readonly: true })
  try {
    const found = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'rows'").get()
    return found === undefined ? [] : db.prepare<[], number>('SELECT n FROM rows').pluck().all()
  } finally {
    db.close()
  }
}
