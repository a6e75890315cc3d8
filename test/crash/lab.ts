// The crash laboratory: numbered events go in, the daemon dies again and again, and what came out is counted.
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import sqlite from 'better-sqlite3'
import { expect, onTestFinished } from 'vitest'
import type { CrashPoint } from '../../src/core/crash-points.ts'
import type { OutgoingEvent } from '../../src/protocol/forward-writer.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { Sender } from './sender.ts'

/** Events of one frame, or lines written in one go. */
const frameSize = 40
/**
 * Seconds between two events. Time-outs of the rules end between the multiples of it: a silent second, while the daemon
 * starts again, then changes no alert.
 */
const step = 10
const begin = 1_600_000_000
/** Milliseconds between two writes to the file that is read. */
const writeInterval = 60
/** Milliseconds without any further event after which no more are waited for. */
const patience = 20_000

/** What the outputs and the rules of every case are; `{in}` is the input. */
const yaml = `{state}
pipelines:
  main:
{in}
    - {name: filter_frequency, label: often, match: app.*, tag: alert.often, query_key: user, num_events: 4, timeframe: 405,
       realert: 605, resolve: true, alert: {text: "{user} did {n}"}}
    - {name: filter_change, label: moved, match: app.*, tag: alert.moved, query_key: user, compare_key: host}
    - {name: filter_flatline, label: silent, match: app.*, tag: alert.silent, query_key: user, threshold: 1,
       timeframe: 2005, resolve: true}
    - {name: output_archive, match: app.*, path_template: "{dir}/archive/%Y-%m-%d-%H/{user}.jsonl", max_open_files: 5}
    - {name: output_sqlite, match: app.*, filename: "{dir}/rows.sqlite", table: "log_{host}"}
    - {name: output_archive, label: alerts, match: alert.*, path_template: "{dir}/alerts.jsonl"}
`

const inputs = {
  forward: '    - {name: input_forward, host: 127.0.0.1, port: {port}}\n',
  file: `    - {name: input_file, tag: app.file, path_pattern: "{dir}/in/*.log", from: start}
    - {name: parser_json, match: app.*, key: log, mode: merge}
    - {name: filter_date, match: app.*, key: date, timestamp: true}
`,
}

export type Way = keyof typeof inputs
/** A named point, or any moment. */
export type Death = CrashPoint | 'any'

export interface Experiment {
  way: Way
  /** The deaths that the daemon dies, in their order. */
  deaths: readonly Death[]
  /** From 0 to 1. */
  random: () => number
  /** Whether the pipeline keeps durable state. */
  state?: boolean
}

export interface Outcome {
  events: number
  kills: number
  missing: number
  doubledInArchive: number
  doubledInSqlite: number
  alerts: number
  alertsAsWithoutKills: boolean
}

/** Numbers the events; users and hosts come from the number, so that every run has the same. */
function eventOf(n: number): OutgoingEvent {
  // Users are now busy, now silent, and change their host now and then.
  const mixed = Math.imul(n ^ (n >>> 7), 2654435761) >>> 0
  const user = `u${Math.floor(n / 300) % 3 === 0 ? mixed % 3 : mixed % 17}`
  const host = `h${Math.floor(n / 777) % 2}${mixed % 50 === 0 ? 'x' : ''}`
  return { timestamp: begin + n * step, record: { n, user, host } }
}

/** Lets the daemon die as told, runs the same once more without, and compares. */
export async function crash(experiment: Experiment): Promise<Outcome> {
  const killed = await Site.make(experiment)
  const events = await killed.run(experiment.deaths)
  const calm = await Site.make(experiment)
  await calm.run([], events)
  const archive = killed.archived()
  const rows = killed.rows()
  const alerts = killed.alerts()
  return {
    events,
    kills: experiment.deaths.length,
    missing: missing(archive, events) + missing(rows, events),
    doubledInArchive: archive.length - new Set(archive).size,
    doubledInSqlite: rows.length - new Set(rows).size,
    alerts: alerts.split('\n').length - 1,
    alertsAsWithoutKills: alerts === calm.alerts(),
  }
}

/** A small generator of numbers from 0 to 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

export function expectExact(outcome: Outcome): void {
  expect(outcome).toMatchObject({ missing: 0, doubledInArchive: 0, doubledInSqlite: 0, alertsAsWithoutKills: true })
  // An empty experiment shows nothing.
  expect(outcome.alerts).toBeGreaterThan(0)
}

function missing(numbers: readonly number[], events: number): number {
  const seen = new Set(numbers)
  let count = 0
  for (let n = 0; n < events; n++) if (!seen.has(n)) count++
  return count
}

/** One folder with its daemon, its sender and what came out. */
class Site {
  readonly folder: string
  readonly #experiment: Experiment
  readonly #port: number

  private constructor(folder: string, experiment: Experiment, port: number) {
    this.folder = folder
    this.#experiment = experiment
    this.#port = port
  }

  static async make(experiment: Experiment): Promise<Site> {
    const folder = await scratchFolder()
    mkdirSync(join(folder, 'in'))
    return new Site(folder, experiment, await freePort())
  }

  /** Feeds events until the daemon has died all its deaths, or until there were `total`. Returns how many there were. */
  async run(deaths: readonly Death[], total?: number): Promise<number> {
    const { way, random } = this.#experiment
    const source = way === 'forward' ? this.#forward(total) : this.#file(total)
    for (const death of deaths) {
      const times = 1 + Math.floor(random() * 5)
      const daemon = await this.#start(death === 'any' ? {} : { FEEDOO_CRASH: `${death}:${times}` })
      if (death === 'any') {
        // One in four dies while it starts, and undoes what the one before left.
        if (random() < 0.25) await delay(random() * 800)
        else {
          await daemon.logged(/runs main/)
          await delay(random() * 400)
        }
        daemon.signal('SIGKILL')
      }
      expect(await daemon.exit(), daemon.stderr).toBe('SIGKILL')
    }
    const daemon = await this.#start({})
    const events = await source()
    await this.#until(daemon, events)
    daemon.signal('SIGTERM')
    expect(await daemon.exit(), daemon.stderr).toBe(0)
    return events
  }

  archived(): number[] {
    if (!existsSync(join(this.folder, 'archive'))) return []
    return readdirSync(join(this.folder, 'archive'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.jsonl'))
      .flatMap((name) => numbersIn(readFileSync(join(this.folder, 'archive', name), 'utf8')))
  }

  rows(): number[] {
    const database = sqlite(join(this.folder, 'rows.sqlite'), { readonly: true })
    try {
      const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'log%'").pluck()
      return (names.all() as string[]).flatMap(
        (name) => database.prepare(`SELECT n FROM "${name}"`).pluck().all() as number[],
      )
    } finally {
      database.close()
    }
  }

  alerts(): string {
    const file = join(this.folder, 'alerts.jsonl')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  #start(env: NodeJS.ProcessEnv): Promise<Daemon> {
    const { way, state = true } = this.#experiment
    const text = yaml
      .replace('{state}', state ? 'state_dir: "{dir}/state"' : '')
      .replace('{in}\n', inputs[way])
      .replace('{port}', String(this.#port))
    return Daemon.start(text, this.folder, { env })
  }

  #forward(total: number | undefined): () => Promise<number> {
    const sender = new Sender({
      port: this.#port,
      tag: 'app.forward',
      events: (index) => Array.from({ length: frameSize }, (_, i) => eventOf(index * frameSize + i)),
      window: 4,
      frames: total === undefined ? Number.POSITIVE_INFINITY : total / frameSize,
    })
    const done = sender.run()
    return async () => {
      if (total === undefined) sender.stop()
      await done
      return sender.acknowledged * frameSize
    }
  }

  /** Writes lines all the time. One file: what comes first of two is not for the reader to say. */
  #file(total: number | undefined): () => Promise<number> {
    let written = 0
    const path = join(this.folder, 'in/app.log')
    const write = () => {
      const lines = Array.from({ length: frameSize }, (_, i) => {
        const { timestamp, record } = eventOf(written + i)
        return `${JSON.stringify({ ...record, date: timestamp })}\n`
      })
      appendFileSync(path, lines.join(''))
      written += frameSize
    }
    const timer = total === undefined ? setInterval(write, writeInterval) : undefined
    onTestFinished(() => clearInterval(timer))
    if (total !== undefined) while (written < total) write()
    return async () => {
      clearInterval(timer)
      return written
    }
  }

  /**
   * Until the daemon has taken everything: what it has not acknowledged yet is not its promise. What does not come in a
   * while is missing.
   */
  async #until(daemon: Daemon, events: number): Promise<void> {
    if (this.#experiment.way === 'forward') return
    // Before that, what was not committed is still there.
    await daemon.logged(/runs main/)
    let last = -1
    for (let began = performance.now(); performance.now() - began < patience; ) {
      const seen = new Set(this.archived()).size
      if (seen === events) return
      // Fewer than before is a sign of life, too: what was not committed is cut off and comes again.
      if (seen !== last) began = performance.now()
      last = seen
      expect(daemon.child.exitCode, daemon.stderr).toBeNull()
      await delay(100)
    }
  }
}

export function numbersIn(text: string): number[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { n: number }).n)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
