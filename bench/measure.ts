// Runs a case and its floor, each in a process of its own, and says what they used and whether they wrote the same.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchCase } from './case.ts'
import { benchFolder, dataFile } from './data.ts'

export interface Usage {
  /** User and system time of all threads, in seconds per million events. */
  cpu: number
  /** Peak resident memory. */
  peakMB: number
  wallSeconds: number
}

/** One run of the floor and one of the engine, in turn. */
export interface Pair {
  floor: Usage
  engine: Usage
}

interface Written {
  lines: number
  sha256: string
}

const preload = new URL('usage.mjs', import.meta.url).href
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** Throws when a process fails, or when the engine's file is not, byte for byte, what the floor wrote. */
export async function measurePair(bench: BenchCase, lines: number): Promise<Pair> {
  const input = dataFile(bench.data, lines)
  const base = join(benchFolder(), `${bench.name}-${lines}-${process.pid}`)
  const floorFile = `${base}.floor.jsonl`
  const engineFile = `${base}.engine.jsonl`
  const config = `${base}.yaml`
  writeFileSync(config, bench.yaml(input, engineFile))
  try {
    const script = fileURLToPath(new URL(`floor/${bench.floor}`, import.meta.url))
    const floor = await measure([script, input, floorFile], lines)
    const expected = await written(floorFile)
    // Each of the two then finds the same memory for its file: what the other has just given back.
    rmSync(floorFile)
    const engine = await measure([main, 'run', '-c', config], lines)
    compare(bench.name, lines, expected, await written(engineFile))
    return { floor, engine }
  } finally {
    for (const file of [floorFile, engineFile, config]) rmSync(file, { force: true })
  }
}

async function measure(command: readonly string[], lines: number): Promise<Usage> {
  const target = join(benchFolder(), `usage-${process.pid}.json`)
  const start = performance.now()
  const child = spawn(process.execPath, ['--import', preload, ...command], {
    env: { ...process.env, BENCH_USAGE: target },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${log}`)
  const wallSeconds = (performance.now() - start) / 1000
  const usage = JSON.parse(readFileSync(target, 'utf8')) as Record<'userSeconds' | 'systemSeconds' | 'peakMB', number>
  rmSync(target)
  const cpu = ((usage.userSeconds + usage.systemSeconds) / lines) * 1e6
  return { cpu, peakMB: usage.peakMB, wallSeconds }
}

function compare(name: string, lines: number, floor: Written, engine: Written): void {
  if (floor.lines !== lines) throw new Error(`${name}: the floor wrote ${floor.lines} lines of ${lines}`)
  if (engine.lines !== lines) throw new Error(`${name}: the engine wrote ${engine.lines} lines of ${lines}`)
  if (engine.sha256 !== floor.sha256) throw new Error(`${name}: the engine's lines differ from the floor's`)
}

async function written(path: string): Promise<Written> {
  const hash = createHash('sha256')
  let lines = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    for (let i = chunk.indexOf(10); i !== -1; i = chunk.indexOf(10, i + 1)) lines++
  }
  return { lines, sha256: hash.digest('hex') }
}
