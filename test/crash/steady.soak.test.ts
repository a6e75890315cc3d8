// Hours at a steady rate, with a million keys and everything saved: memory and descriptors stay what they were.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { encodeForward } from '../../src/protocol/forward-writer.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { freePort } from './lab.ts'

/** An hour, unless the environment says otherwise. Keys come for two minutes: with less than about twelve, memory still grows. */
const minutes = Number(process.env.FEEDOO_SOAK_MINUTES ?? 60)
/** Events a second, in frames of a hundred. */
const rate = 10_000
const frameEvents = 100
const keys = 1_000_000
/** Share of the time after which everything has its size: ten minutes, or half of a shorter run. */
const warmUp = Math.min(10 / minutes, 1 / 2)
/** Milliseconds from sending a frame to its acknowledgement, which holds a commit and the wait for it. */
const longestWait = 250
/** Seconds within which a key comes again: all of them are held at any time, and their windows do not grow. */
const timeframe = 110
const sampleInterval = 5000

/** Share by which memory may differ after the warm-up; what is not collected yet makes the heap rise and fall. */
const heapGrowth = 1.1
const rssGrowth = 1.05

interface Sample {
  rssMB: number
  /** Of the threads of the pipelines and the main one. */
  heapMB: number
  descriptors: number
}

const yaml = (port: number, states: number) => `states: {port: ${states}}
state_dir: "{dir}/state"
pipelines:
  main:
    - {name: input_forward, host: 127.0.0.1, port: ${port}}
    - {name: filter_frequency, match: app.*, tag: alert, query_key: user, num_events: 50, timeframe: ${timeframe}}
    - {name: output_archive, path_template: "{dir}/out/%Y-%m-%d-%H%M.jsonl", max_open_files: 2}
`

test(
  `for ${minutes} minutes at ${rate} events a second with ${keys} keys nothing grows, and commits stay short`,
  async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const states = await freePort()
    const daemon = await Daemon.start(yaml(port, states), folder)
    await daemon.logged(/runs main/)
    const samples: Sample[] = []
    const waits: number[] = []
    const sampler = setInterval(() => {
      void sampleOf(daemon.pid, states).then((sample) => samples.push(sample))
      dropOldFiles(join(folder, 'out'))
    }, sampleInterval)
    const sent = await send(port, waits)
    clearInterval(sampler)
    const commits = await commitTimes(states)
    daemon.signal('SIGTERM')
    expect(await daemon.exit(), daemon.stderr).toBe(0)
    expect(waits).toHaveLength(sent)

    const settled = samples.slice(Math.ceil(samples.length * warmUp))
    const third = Math.floor(settled.length / 3)
    const medians = (value: (sample: Sample) => number) => ({
      early: median(settled.slice(0, third).map(value)),
      late: median(settled.slice(-third).map(value)),
    })
    const rss = medians(({ rssMB }) => rssMB)
    const heap = medians(({ heapMB }) => heapMB)
    const descriptors = medians((sample) => sample.descriptors)
    const wait = waits.slice(Math.ceil(waits.length * warmUp)).sort((a, b) => a - b)[
      Math.floor(waits.length * (1 - warmUp) * 0.99)
    ]
    console.log(
      `RSS ${rss.early.toFixed(0)} MB, then ${rss.late.toFixed(0)} MB; heap ${heap.early.toFixed(0)} MB, then ${heap.late.toFixed(0)} MB; ` +
        `descriptors ${descriptors.early}, then ${descriptors.late}; ` +
        `99 % of frames acknowledged within ${wait?.toFixed(0)} ms; ` +
        `${commits.within250ms} of ${commits.all} commits within 250 ms`,
    )
    expect(rss.late).toBeLessThan(rss.early * rssGrowth)
    expect(heap.late).toBeLessThan(heap.early * heapGrowth)
    // One for the connection that asks for the metrics.
    expect(Math.abs(descriptors.late - descriptors.early)).toBeLessThanOrEqual(1)
    expect(wait).toBeLessThan(longestWait)
    expect(commits.within250ms / commits.all).toBeGreaterThanOrEqual(0.99)
  },
  (minutes + 10) * 60_000,
)

/** Commits since the start, and those that took no longer than the limit. */
async function commitTimes(port: number): Promise<{ all: number; within250ms: number }> {
  const text = await metricsOf(port)
  const within = (bound: string) =>
    Number(new RegExp(`feedoo_commit_seconds_bucket.*le="${bound}"} (\\d+)`).exec(text)?.[1])
  return { all: within('\\+Inf'), within250ms: within('0\\.25') }
}

/** Sends at the rate; resolves with the number of frames once all are acknowledged. */
async function send(port: number, waits: number[]): Promise<number> {
  const socket = connect(port, '127.0.0.1').setNoDelay()
  const sentAt: number[] = []
  const frames = (minutes * 60 * rate) / frameEvents
  const ackBytes = 6 + chunkOf(0).length
  let bytes = 0
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (data) => {
      bytes += data.length
      while (bytes >= ackBytes * (waits.length + 1)) waits.push(performance.now() - (sentAt[waits.length] ?? 0))
      if (waits.length === frames) resolve()
    })
  })
  const start = performance.now()
  let n = 0
  for (let frame = 0; frame < frames; frame++) {
    const due = start + (frame * frameEvents * 1000) / rate
    if (due > performance.now()) await sleep(due - performance.now())
    const events = Array.from({ length: frameEvents }, () => ({
      timestamp: Date.now() / 1000,
      record: { user: `user-${(n++ * 7919) % keys}` },
    }))
    sentAt.push(performance.now())
    socket.write(encodeForward('app.log', events, 'forward', chunkOf(frame)))
  }
  await done
  socket.end()
  return frames
}

function chunkOf(frame: number): string {
  return `chunk-${String(frame).padStart(12, '0')}`
}

async function sampleOf(pid: number, states: number): Promise<Sample> {
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  const descriptors = readdirSync(`/proc/${pid}/fd`).length
  const text = await metricsOf(states)
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  const heap = value('feedoo_heap_bytes\\{pipeline="main"\\}') + value('nodejs_heap_size_used_bytes')
  return { rssMB: Number(rss) / 1024, heapMB: heap / 1024 / 1024, descriptors }
}

async function metricsOf(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}

/** All but the last two: an hour of events need not stay. */
function dropOldFiles(folder: string): void {
  for (const name of readdirSync(folder).sort().slice(0, -2)) rmSync(join(folder, name))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
