// Runs input_file over a scratch folder in this thread, and waits for what comes out.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { Json } from '../../../src/core/action.ts'
import { type Clock, systemClock } from '../../../src/core/clock.ts'
import type { Event } from '../../../src/core/event.ts'
import { actionKey } from '../../../src/core/positions.ts'
import { actionConfig, makePipeline } from '../../helpers/run-pipeline.ts'

export async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'feedoo-file-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export interface Tailing {
  out: Event[]
  /** The committed positions, as a restart would get them. */
  positions: Map<string, Json>
  lines(): unknown[]
  /**
   * Waits until exactly these lines have come, in any order, and stay so for a few scans when the time is past that
   * copies and half lines are waited for.
   */
  expect(lines: readonly string[]): Promise<void>
  deadLetters(): number
  stop(): Promise<void>
  ended: Promise<void>
}

/** Seconds between two scans: short, as every test waits for some. */
const refresh = 0.02
/** Seconds, unless a test says otherwise. */
const rotateWait = 0.3
/** Waits after a scan, of which it makes one or two. */
const fewScans = 10
/** Seconds that a longer wait takes really; the time is moved on by the rest. */
const shortWait = 0.003
/** Milliseconds: far more than even a machine with much else to do needs. */
const patience = 60_000

export function tail(params: Record<string, unknown>, positions = new Map<string, Json>()): Tailing {
  const clock = new MovableClock()
  const wait = Number(params.rotate_wait ?? rotateWait)
  const list = [{ name: 'input_file', tag: 'file', refresh_interval: refresh, rotate_wait: wait, ...params }]
  const { pipeline, out } = makePipeline(list, {
    clock,
    positions: new Map([[actionKey(list.map(actionConfig), 0), new Map(positions)]]),
    savePositions: (_input, changed) => {
      for (const [key, value] of changed) {
        if (value === null) positions.delete(key)
        else positions.set(key, value)
      }
    },
  })
  const stopping = new AbortController()
  const ended = pipeline.open().then(() => pipeline.run(stopping.signal))
  const stop = async () => {
    stopping.abort()
    await ended
  }
  onTestFinished(stop)
  const lines = () => out.map((event) => event.record.log)
  return {
    out,
    positions,
    lines,
    async expect(expected) {
      const sorted = [...expected].sort()
      await vi.waitFor(() => compare([...lines()].sort(), sorted), { timeout: patience, interval: 5 })
      clock.ahead += wait
      const enough = clock.waits + fewScans
      await vi.waitUntil(() => clock.waits >= enough, { timeout: patience, interval: 5 })
      compare([...lines()].sort(), sorted)
    },
    deadLetters: () =>
      Object.values(pipeline.stats().actions[0]?.dead_letters ?? {}).reduce((total, count) => total + count, 0),
    stop,
    ended,
  }
}

/** The time of the machine, which a test can move on; it counts how often somebody waits. */
class MovableClock implements Clock {
  /** Seconds. */
  ahead = 0
  waits = 0

  now(): number {
    return systemClock.now() + this.ahead
  }

  async sleep(seconds: number, signal?: AbortSignal): Promise<void> {
    this.waits++
    const short = Math.min(seconds, shortWait)
    await systemClock.sleep(short, signal)
    this.ahead += seconds - short
  }
}

/** As toEqual, but says in one line what is wrong, as it is tried many times. */
function compare(got: readonly unknown[], wanted: readonly unknown[]): void {
  const at = got.findIndex((line, i) => line !== wanted[i])
  if (at === -1 && got.length === wanted.length) return
  const place = at === -1 ? got.length : at
  throw new Error(`${got.length} of ${wanted.length} lines; at ${place}: got ${got[place]}, wanted ${wanted[place]}`)
}

export function numbered(name: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `${name} ${String(from + i).padStart(5, '0')}`)
}

export function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
