// Runs input_file over a scratch folder in this thread, and waits for what comes out.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { Json } from '../../../src/core/action.ts'
import type { Event } from '../../../src/core/event.ts'
import { makePipeline } from '../../helpers/run-pipeline.ts'

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
  /** Waits until exactly these lines have come, in any order, and stay so for a few scans. */
  expect(lines: readonly string[]): Promise<void>
  deadLetters(): number
  stop(): Promise<void>
  ended: Promise<void>
}

/** Seconds between two scans: short, as every test waits for some. */
const refresh = 0.02

export function tail(params: Record<string, unknown>, positions = new Map<string, Json>()): Tailing {
  const { pipeline, out } = makePipeline(
    [{ name: 'input_file', tag: 'file', refresh_interval: refresh, rotate_wait: 0.3, ...params }],
    {
      positions: new Map([['input_file/input_file/1', new Map(positions)]]),
      savePositions: (_input, changed) => {
        for (const [key, value] of changed) {
          if (value === null) positions.delete(key)
          else positions.set(key, value)
        }
      },
    },
  )
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
      await vi.waitFor(() => compare([...lines()].sort(), sorted), { timeout: 15_000, interval: 10 })
    },
    deadLetters: () =>
      Object.values(pipeline.stats().actions[0]?.dead_letters ?? {}).reduce((total, count) => total + count, 0),
    stop,
    ended,
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
