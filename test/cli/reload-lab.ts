// Reloads a daemon again and again while a sender and a steady pipeline keep it busy, and counts what came of it.
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { askReload, type Outcome } from '../../src/cli/control.ts'
import { Sender } from '../crash/sender.ts'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const frameSize = 40
/** How many reloads there are between two that exchange the input itself. */
const inputEvery = 13
const invalidEvery = 10

export interface ReloadFigures {
  reloads: number
  invalid: number
  sent: number
  missing: number
  doubled: number
  /** Connections that the sender lost, also in vain attempts: while its input was exchanged, and at other times. */
  connectionsLost: number
  lostElsewhere: number
  /** How often the input was exchanged. */
  inputChanges: number
  /** Milliseconds of a reload that changes a rule. */
  medianMs: number
  slowestMs: number
  /** Open files and resident memory (MiB), one of every ten reloads. */
  files: number[]
  rss: number[]
  /** Events of the pipeline that never changed: as counted by the daemon, and in its archive. */
  steadyCounted: number
  steadyWritten: number
}

/** What the reload with this number makes of the configuration. */
function configuration(folder: string, ports: { forward: number; states: number }, reload: number): string {
  const prefix = Math.floor(reload / inputEvery) % 2 === 0 ? 'a.' : 'b.'
  const extra = `  extra:
    - {name: input_dummy, tag: x, data: {x: 1}, repeat: -1, rate: 50}
    - {name: filter_frequency, tag: alert, query_key: x, num_events: 5, timeframe: 100}
`
  return `state_dir: "${folder}/state"
states: {port: ${ports.states}}
pipelines:
  main:
    - {name: input_forward, host: 127.0.0.1, port: ${ports.forward}, tag_prefix: ${prefix}, heartbeat: false}
    - {name: filter_frequency, match: "?.app", tag: alert, query_key: user, num_events: ${3 + (reload % 5)}, timeframe: 1000}
    - {name: output_archive, match: "?.app", path_template: "${folder}/archive/{user}.jsonl"}
  steady:
    - {name: input_dummy, tag: steady, data: {s: 1}, repeat: -1, rate: 100}
    - {name: output_archive, path_template: "${folder}/steady/a.jsonl"}
${reload % 3 === 1 ? extra : ''}`
}

export async function reloadUnderLoad(reloads: number): Promise<ReloadFigures> {
  const folder = await scratchFolder()
  const ports = { forward: await freePort(), states: await freePort() }
  const file = join(folder, 'feedoo.yaml')
  const daemon = await Daemon.start(configuration(folder, ports, 0), folder)
  await daemon.logged(/runs main/)
  const sender = new Sender({
    port: ports.forward,
    tag: 'app',
    events: (index) => Array.from({ length: frameSize }, (_, i) => eventOf(index * frameSize + i)),
    window: 4,
    frames: Number.POSITIVE_INFINITY,
  })
  const sent = sender.run()
  const times: number[] = []
  const files: number[] = []
  const rss: number[] = []
  let invalid = 0
  let inputChanges = 0
  let lostElsewhere = 0
  for (let reload = 1; reload <= reloads; reload++) {
    const isInvalid = reload % invalidEvery === 0
    writeFileSync(file, isInvalid ? 'pipelines: {main: [{name: input_forwrd}]}' : configuration(folder, ports, reload))
    const { lost } = sender
    const began = performance.now()
    const outcome = await askReload(file)
    const time = performance.now() - began
    if (isInvalid) {
      expectRefused(outcome)
      invalid++
    } else {
      expect(outcome.code, outcome.text).toBe(0)
      // After one that was refused, the change of the one before it is still to come.
      if (!isInputChange(reload)) times.push(time)
    }
    if (!isInvalid && isInputChange(reload)) {
      inputChanges++
      // The last attempt in vain is noted by then.
      await delay(50)
    } else lostElsewhere += sender.lost - lost
    if (reload % 10 === 5) {
      files.push(readdirSync(`/proc/${daemon.pid}/fd`).length)
      rss.push(residentMiB(daemon.pid))
    }
  }
  sender.stop()
  await sent
  const counted = await steadyEvents(ports.states)
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  const numbers = (await linesIn(join(folder, 'archive'))).map((line) => (JSON.parse(line) as { n: number }).n)
  const seen = new Set(numbers)
  times.sort((a, b) => a - b)
  return {
    reloads,
    invalid,
    sent: sender.acknowledged * frameSize,
    missing: sender.acknowledged * frameSize - seen.size,
    doubled: numbers.length - seen.size,
    connectionsLost: sender.lost,
    lostElsewhere,
    inputChanges,
    medianMs: Math.round(times[times.length >> 1] ?? 0),
    slowestMs: Math.round(times.at(-1) ?? 0),
    files,
    rss,
    steadyCounted: counted,
    steadyWritten: (await linesIn(join(folder, 'steady'))).length,
  }
}

/** Whether this reload, or a refused one just before it, changed the parameters of the input. */
function isInputChange(reload: number): boolean {
  const before = (reload - 1) % invalidEvery === 0 && reload > 1 ? reload - 2 : reload - 1
  return Math.floor(reload / inputEvery) !== Math.floor(before / inputEvery)
}

function expectRefused({ code, text }: Outcome): void {
  expect(code).toBe(2)
  expect(text).toContain('did you mean')
}

function eventOf(n: number) {
  return { timestamp: 1_600_000_000 + n, record: { n, user: `u${n % 7}` } }
}

async function steadyEvents(port: number): Promise<number> {
  const states = (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as {
    pipelines: { steady: { kind: string; do: Record<string, number> }[] }
  }
  const output = states.pipelines.steady.find(({ kind }) => kind === 'output')
  return output?.do.steady ?? 0
}

function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kib) / 1024)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
