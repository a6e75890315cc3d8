// Runs a case and its floor, each in a process of its own, and says what they used and whether they wrote the same.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchCase } from './case.ts'
import { benchFolder, dataFile } from './data.ts'
import { framesFile } from './forward-data.ts'
import { readRows } from './sqlite-data.ts'

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
  /** Of the bytes; of the lines in any order when they came over several connections. */
  hash: string
}

/** Connections that send a file to a port. */
interface Senders {
  file: string
  port: string
  connections: number
}

const preload = new URL('usage.mjs', import.meta.url).href
const sendScript = fileURLToPath(new URL('send.mjs', import.meta.url))
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** Throws when a process fails, or when the engine's file does not hold what the floor wrote. */
export async function measurePair(bench: BenchCase, lines: number): Promise<Pair> {
  const file = dataFile(bench.data, lines)
  const base = join(benchFolder(), `${bench.name}-${lines}-${process.pid}`)
  const extension = bench.writes ?? 'jsonl'
  const floorFile = `${base}.floor.${extension}`
  const engineFile = `${base}.engine.${extension}`
  const config = `${base}.yaml`
  const { connections } = bench
  const senders = connections === undefined ? undefined : { file, port: await freePort(), connections }
  const input = senders?.port ?? file
  writeFileSync(config, bench.yaml(input, engineFile))
  try {
    const script = fileURLToPath(new URL(`floor/${bench.floor}`, import.meta.url))
    const floor = await measure([script, input, floorFile, String(connections)], lines, senders, false)
    const expected = await outcome(bench, floor.log, floorFile)
    // Each of the two then finds the same memory for its file: what the other has just given back.
    remove(floorFile)
    const engine = await measure([main, 'run', '-c', config], lines, senders, true)
    compare(bench.name, lines, expected, await outcome(bench, engine.log, engineFile))
    return { floor: floor.usage, engine: engine.usage }
  } finally {
    for (const file of [floorFile, engineFile, config]) remove(file)
  }
}

/** A file, and what SQLite may have left beside it. */
function remove(file: string): void {
  for (const ending of ['', '-wal', '-shm']) rmSync(`${file}${ending}`, { force: true })
}

/** `stop`: the process does not end by itself when the senders have. */
async function measure(
  command: readonly string[],
  lines: number,
  senders: Senders | undefined,
  stop: boolean,
): Promise<{ usage: Usage; log: string }> {
  const target = join(benchFolder(), `usage-${process.pid}.json`)
  const start = performance.now()
  const child = spawn(process.execPath, ['--import', preload, ...command], {
    env: { ...process.env, BENCH_USAGE: target },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = end(child)
  if (senders !== undefined) {
    const { port, file, connections } = senders
    const sender = spawn(process.execPath, [sendScript, port, file, framesFile(file), String(connections)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const sent = end(sender)
    // A receiver that has failed is not waited for.
    await Promise.race([sent, ended])
    if (stop) child.kill('SIGTERM')
    else if (child.exitCode === null) await ended
    sender.kill()
    const { code, log } = await sent
    if (code !== 0 && child.exitCode === null) {
      child.kill()
      throw new Error(`the sender ended with ${code}:\n${log}`)
    }
  }
  const { code, log } = await ended
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${log}`)
  const wallSeconds = (performance.now() - start) / 1000
  const usage = JSON.parse(readFileSync(target, 'utf8')) as Record<'userSeconds' | 'systemSeconds' | 'peakMB', number>
  rmSync(target)
  const cpu = ((usage.userSeconds + usage.systemSeconds) / lines) * 1e6
  return { usage: { cpu, peakMB: usage.peakMB, wallSeconds }, log }
}

function compare(name: string, lines: number, floor: Written, engine: Written): void {
  if (floor.lines !== lines) throw new Error(`${name}: the floor wrote ${floor.lines} lines of ${lines}`)
  if (engine.lines !== lines) throw new Error(`${name}: the engine wrote ${engine.lines} lines of ${lines}`)
  if (engine.hash !== floor.hash) throw new Error(`${name}: the engine's lines differ from the floor's`)
}

async function outcome(bench: BenchCase, log: string, path: string): Promise<Written> {
  if (bench.writes === 'sqlite') return readRows(path)
  if (!bench.writesNothing) return written(path, (bench.connections ?? 1) > 1)
  const count = /done: ([\d,]+) event/.exec(log)?.[1] ?? ''
  return { lines: Number(count.replaceAll(',', '')), hash: '' }
}

async function written(path: string, inAnyOrder: boolean): Promise<Written> {
  const hash = createHash('sha256')
  const sums = new Uint32Array(8)
  let lines = 0
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk])
    let start = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      lines++
      if (inAnyOrder) addDigest(sums, bytes.subarray(start, end))
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (!inAnyOrder) hash.update(chunk)
  }
  if (!inAnyOrder) return { lines, hash: hash.digest('hex') }
  addDigest(sums, rest)
  return { lines, hash: sums.join(' ') }
}

function addDigest(sums: Uint32Array, line: Buffer): void {
  const digest = createHash('sha256').update(line).digest()
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + digest.readUInt32LE(i * 4)
}

async function end(child: ChildProcess): Promise<{ code: number | null; log: string }> {
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, log }
}

async function freePort(): Promise<string> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  await once(server.close(), 'close')
  return typeof address === 'object' && address !== null ? String(address.port) : ''
}
