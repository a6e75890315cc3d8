// What durable state costs: forward with acknowledgement -> frequency with 100,000 keys -> archive, with and without
// `state_dir`, at a steady rate. `npx tsx bench/durable.ts [--events N] [--rate N] [--runs N]`, after `npm run build`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { encodeForward } from '../src/protocol/forward-writer.ts'
import { hex, int, messages, pick, seeded } from './random.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    /** Events a second. */
    rate: { type: 'string', default: '50000' },
    runs: { type: 'string', default: '3' },
    /** Distinct keys. */
    keys: { type: 'string', default: '100000' },
  },
})
const events = Number(values.events)
const rate = Number(values.rate)
const frameEvents = 500
/** CPU with state over CPU without, at most. */
const maxRatio = 1.6
/** Milliseconds, the median from sending a frame to its acknowledgement, at most. */
const maxAcknowledge = 150
/** Bytes of an acknowledgement besides the id: {"ack": id}. */
const ackOverhead = 6

interface Result {
  /** CPU seconds per million events. */
  cpu: number
  /** Milliseconds to the acknowledgement of each frame, sorted. */
  waits: number[]
  peakMB: number
}

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const frames = makeFrames()
const results: Record<'without' | 'with', Result[]> = { without: [], with: [] }
for (let run = 0; run < Number(values.runs); run++) {
  results.without.push(await measure(false))
  results.with.push(await measure(true))
}
for (const [name, runs] of Object.entries(results)) {
  const waits = runs.map(({ waits }) => at(waits, 0.5))
  const slow = runs.map(({ waits }) => at(waits, 0.99))
  console.log(
    `${name.padEnd(8)} state_dir: ${median(runs.map(({ cpu }) => cpu)).toFixed(2)} CPU s per million events, ` +
      `acknowledged after ${median(waits).toFixed(0)} ms (99 %: ${median(slow).toFixed(0)} ms), ` +
      `peak ${Math.max(...runs.map(({ peakMB }) => peakMB)).toFixed(0)} MB`,
  )
}
const ratio = median(results.with.map(({ cpu }, run) => cpu / (results.without[run]?.cpu ?? Number.NaN)))
console.log(`ratio ${ratio.toFixed(2)} (at most ${maxRatio}), acknowledgement at most ${maxAcknowledge} ms`)

function makeFrames(): Buffer[] {
  const random = seeded(5)
  const keys = Number(values.keys)
  return Array.from({ length: events / frameEvents }, (_, frame) => {
    const list = Array.from({ length: frameEvents }, (_, i) => ({
      timestamp: 1_700_000_000 + (frame * frameEvents + i) / rate,
      record: {
        user: `user-${int(random, 1, keys)}`,
        message: `${pick(random, messages)} ${int(random, 1, 1_000_000)}`,
        trace: hex(random, 32),
      },
    }))
    return encodeForward('app.log', list, 'forward', chunkOf(frame))
  })
}

function chunkOf(frame: number): string {
  return `chunk-${String(frame).padStart(12, '0')}`
}

async function measure(durable: boolean): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-bench-'))
  const port = await freePort()
  const config = join(folder, 'bench.yaml')
  writeFileSync(
    config,
    `${durable ? `state_dir: ${folder}/state\n` : ''}pipelines:
  bench:
    - {name: input_forward, host: 127.0.0.1, port: ${port}}
    - {name: filter_frequency, match: app.*, tag: alert, query_key: user, num_events: 50, timeframe: 60}
    - {name: output_archive, path_template: "${folder}/out.jsonl"}
`,
  )
  const child = spawn(process.execPath, [main, 'run', '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  let log = ''
  for await (const text of child.stderr) {
    log += text
    if (log.includes('runs bench')) break
  }
  child.stderr.resume()
  const before = usageOf(child.pid ?? 0)
  const waits = await send(port)
  const after = usageOf(child.pid ?? 0)
  child.kill('SIGTERM')
  await ended
  rmSync(folder, { recursive: true })
  return {
    cpu: ((after.cpu - before.cpu) / events) * 1e6,
    waits: waits.sort((a, b) => a - b),
    peakMB: after.peakMB,
  }
}

/** Sends every frame when it is due; resolves with how long each was not acknowledged. */
async function send(port: number): Promise<number[]> {
  const socket = connect(port, '127.0.0.1').setNoDelay()
  await once(socket, 'connect')
  const sent: number[] = []
  const waits: number[] = []
  const ackBytes = ackOverhead + chunkOf(0).length
  let bytes = 0
  const done = new Promise<void>((resolve) => {
    socket.on('data', (data) => {
      bytes += data.length
      while (bytes >= ackBytes * (waits.length + 1)) waits.push(performance.now() - (sent[waits.length] ?? 0))
      if (waits.length === frames.length) resolve()
    })
  })
  const start = performance.now()
  for (const [index, frame] of frames.entries()) {
    const due = start + (index * frameEvents * 1000) / rate
    if (due > performance.now()) await sleep(due - performance.now())
    sent.push(performance.now())
    socket.write(frame)
  }
  await done
  socket.end()
  return waits
}

/** User and system time in seconds, from the system's 100 ticks a second; peak resident memory. */
function usageOf(pid: number): { cpu: number; peakMB: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, peakMB: Number(peak) / 1024 }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function median(values: readonly number[]): number {
  return at(
    [...values].sort((a, b) => a - b),
    0.5,
  )
}
