import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { encodeForward } from '../../../src/protocol/forward-writer.ts'
import { type Client, client, eventually, numbersOf, receive, request } from '../../helpers/forward-input.ts'

const MiB = 1024 * 1024
const hostile = fileURLToPath(new URL('../../helpers/hostile-senders.mjs', import.meta.url))
const range = (count: number) => Array.from({ length: count }, (_, n) => n)
const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000))

/** Acknowledged requests a second, each waited for. */
async function throughput(sender: Client, time: number): Promise<number> {
  const start = performance.now()
  let count = 0
  while (performance.now() - start < time * 1000) {
    sender.chunks.length = 0
    sender.socket.write(request('good', range(100), `${start} ${count}`))
    await once(sender.socket, 'data')
    count++
  }
  return (count * 1000) / (performance.now() - start)
}

it('a good sender keeps half of its speed beside 10,000 silent connections, bombs and a byte a second', async () => {
  const input = await receive({ frame_timeout: 5, host: '0.0.0.0' }, { forget: true })
  const good = await client(input.port)
  await throughput(good, 2)
  const before = await throughput(good, 5)
  const child = spawn(process.execPath, [hostile, String(input.port), '10000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  await once(child.stdout, 'data')
  const during = await throughput(good, 10)
  console.log(
    `acknowledged requests a second: ${before.toFixed(0)} alone, ${during.toFixed(0)} beside the hostile ones`,
  )
  expect(during).toBeGreaterThan(before / 2)
  const warnings = input.lines.filter(({ level }) => level === 'warn')
  const kinds = warnings.map(({ kind }) => kind)
  expect(kinds).toEqual(expect.arrayContaining(['max_connections_per_address', 'bomb', 'frame_timeout']))
  expect(warnings.length).toBeLessThan(20)
})

it('a consumer that stalls for 60 s loses nothing, holds senders back and goes on by itself', async () => {
  let stalled: Promise<unknown> | undefined
  let written = 0
  const seen = new Set<unknown>()
  const output = {
    async write(events: readonly { record: Record<string, unknown> }[]) {
      await stalled
      written += events.length
      for (const n of numbersOf(events)) seen.add(n)
    },
  }
  const input = await receive({ queue_size: 20_000, idle_timeout: 10, frame_timeout: 10 }, { output, forget: true })
  const senders = await Promise.all(range(20).map(() => client(input.port)))
  const text = 'x'.repeat(200)
  const next = senders.map(() => 0)
  const stop = new AbortController()
  let sent = 0
  // Half of them wait for acknowledgements, the others write as fast as they may.
  senders.forEach((sender, i) => {
    const send = () => {
      if (stop.signal.aborted) return true
      const first = (next[i] ?? 0) * 100
      next[i] = (next[i] ?? 0) + 1
      sent += 100
      return sender.socket.write(frame(i, first, text))
    }
    if (i % 2 === 0) sender.socket.on('data', send)
    else
      sender.socket.on(
        'drain',
        () =>
          void (async () => {
            while (send()) await new Promise((resolve) => setImmediate(resolve))
          })(),
      )
    while (send() && i % 2 === 1 && (next[i] ?? 0) < 100) {}
  })
  await eventually(() => expect(written).toBeGreaterThan(50_000))
  stalled = seconds(60)
  await seconds(5)
  const memory = process.memoryUsage().rss
  const held = sent
  await seconds(50)
  const grown = process.memoryUsage().rss - memory
  console.log(`in the stall: ${((sent - held) / 100).toFixed(0)} requests more, ${(grown / MiB).toFixed(0)} MiB more`)
  expect(grown).toBeLessThan(50 * MiB)
  expect(sent - held).toBeLessThan(5000)
  const atStall = written
  await stalled
  await eventually(() => expect(written).toBeGreaterThan(atStall + 50_000))
  stop.abort()
  await eventually(() => expect(seen.size).toBe(sent))
  expect(written).toBe(sent)
  expect(input.lines.filter(({ level }) => level === 'warn')).toEqual([])
})

/** 100 events, numbered from `first`, of sender `i`; every second sender wants an acknowledgement. */
function frame(i: number, first: number, text: string): Buffer {
  const events = range(100).map((n) => ({ timestamp: 1, record: { n: `${i} ${first + n}`, text } }))
  return encodeForward('app', events, 'forward', i % 2 === 0 ? `${i} ${first}` : undefined)
}
