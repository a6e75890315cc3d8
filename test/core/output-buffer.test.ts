import { expect, test } from 'vitest'
import type { Output } from '../../src/core/action.ts'
import { FeedooError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import { OutputBuffer, type OutputBufferOptions } from '../../src/core/output-buffer.ts'
import { nested } from '../helpers/hostile.ts'
import { recordingLog } from '../helpers/recording-log.ts'
import { silent } from '../helpers/run-pipeline.ts'

const event = (n: number): Event => ({ tag: 'a', timestamp: 0, record: { n } })
const numbers = (batch: readonly Event[]) => batch.map(({ record }) => record.n)
const turn = () => new Promise((resolve) => setImmediate(resolve))

function buffer(output: Output, options: Partial<OutputBufferOptions> = {}) {
  const rejected: string[] = []
  const made = new OutputBuffer(output, {
    bufferSize: 3,
    retryDelay: 0.001,
    retryMaxDelay: 0.001,
    copy: false,
    log: silent,
    signal: new AbortController().signal,
    reject: ({ record }, { code, message }) => rejected.push(`${record.n} ${code} ${message}`),
    ...options,
  })
  return { buffer: made, rejected }
}

test('batches are written when full, and the rest when it has to be safe', async () => {
  const written: unknown[] = []
  const { buffer: it } = buffer({
    async write(batch) {
      written.push(numbers(batch))
    },
  })
  for (let n = 0; n < 7; n++) it.add(event(n))
  await turn()
  expect(written).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ])
  await it.makeSafe()
  expect(written.at(-1)).toEqual([6])
})

test('of a batch that is given up, only the events that the output says are left are rejected', async () => {
  const { buffer: it, rejected } = buffer(
    {
      async write(batch) {
        throw new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true, events: batch.slice(1) })
      },
    },
    { retryLimit: 1 },
  )
  for (let n = 0; n < 3; n++) it.add(event(n))
  await it.makeSafe()
  expect(rejected).toEqual(['1 OUTPUT_UNAVAILABLE away', '2 OUTPUT_UNAVAILABLE away'])
})

test('sync is called once when there is something new, not otherwise', async () => {
  let syncs = 0
  const { buffer: it } = buffer({
    write: async () => {},
    async sync() {
      syncs++
    },
  })
  await it.makeSafe()
  expect(syncs).toBe(0)
  for (let n = 0; n < 10; n++) it.add(event(n))
  await it.makeSafe()
  await it.makeSafe()
  expect(syncs).toBe(1)
})

test('a refused batch is rejected event by event, the next one is written', async () => {
  const written: unknown[] = []
  const { buffer: it, rejected } = buffer({
    async write(batch) {
      if (written.length === 0 && rejected.length === 0) throw new FeedooError('RECORD_UNWRITABLE', 'too odd')
      written.push(...numbers(batch))
    },
  })
  for (let n = 0; n < 5; n++) it.add(event(n))
  await it.makeSafe()
  expect(rejected).toEqual([0, 1, 2].map((n) => `${n} RECORD_UNWRITABLE too odd`))
  expect(written).toEqual([3, 4])
})

test('an abort ends the retries: nothing is rejected, and what follows is not written past it', async () => {
  const stop = new AbortController()
  let tries = 0
  const { buffer: it, rejected } = buffer(
    {
      async write() {
        if (++tries === 3) stop.abort()
        throw new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true })
      },
    },
    { signal: stop.signal },
  )
  it.add(event(1))
  await expect(it.makeSafe()).rejects.toThrow('away')
  it.add(event(2))
  await expect(it.makeSafe()).rejects.toThrow('away')
  expect(rejected).toEqual([])
  expect(tries).toBe(3)
  expect(it.failing).toBe(true)
})

test('copies are made of a record however deep', async () => {
  const written: Event[] = []
  const { buffer: it } = buffer(
    {
      async write(batch) {
        written.push(...batch)
      },
    },
    { copy: true },
  )
  const deep: Event = { tag: 'a', timestamp: 0, record: { deep: nested(100_000, 'map') } }
  it.add(deep)
  deep.record.deep = 'changed'
  await it.makeSafe()
  expect(written[0]?.record.deep).toBeInstanceOf(Object)
})

/** An output whose syncs wait until they are told to end. */
function slowToSync(ends: { resolve(): void; reject(error: Error): void }[]) {
  const calls: string[] = []
  const output: Output = {
    writesDuringSync: true,
    async write(batch) {
      calls.push(`write ${numbers(batch)}`)
    },
    sync() {
      calls.push('sync')
      return new Promise((resolve, reject) => ends.push({ resolve, reject }))
    },
  }
  return { calls, output }
}

test('an output that allows it is written to while it syncs, and what came then needs a sync of its own', async () => {
  const ends: { resolve(): void; reject(error: Error): void }[] = []
  const { calls, output } = slowToSync(ends)
  const { buffer: it } = buffer(output, { bufferSize: 1 })
  it.add(event(1))
  const first = it.makeSafe()
  await turn()
  it.add(event(2))
  await turn()
  expect(calls).toEqual(['write 1', 'sync', 'write 2'])
  ends[0]?.resolve()
  await first
  const second = it.makeSafe()
  await turn()
  expect(calls.slice(3)).toEqual(['sync'])
  ends[1]?.resolve()
  await second
  await it.makeSafe()
  expect(calls).toHaveLength(4)
})

test('after a sync that failed for good, nothing becomes safe', async () => {
  const ends: { resolve(): void; reject(error: Error): void }[] = []
  const { calls, output } = slowToSync(ends)
  const { buffer: it } = buffer(output, { bufferSize: 1 })
  it.add(event(1))
  const safe = it.makeSafe()
  await turn()
  ends[0]?.reject(new Error('the disk is broken'))
  await expect(safe).rejects.toThrow('the disk is broken')
  it.add(event(2))
  await expect(it.makeSafe()).rejects.toThrow('the disk is broken')
  expect(calls).toEqual(['write 1', 'sync'])
})

test('retries begin at retry_delay, grow, and never wait longer than retry_max_delay', async () => {
  const { lines, log } = recordingLog()
  let failures = 12
  const away: Output = {
    async write() {
      if (failures-- > 0) throw new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true })
    },
  }
  const { buffer: it } = buffer(away, { log, retryDelay: 0.002, retryMaxDelay: 0.008 })
  it.add(event(1))
  await it.makeSafe()
  const delays = lines.filter(({ msg }) => msg === 'the output is tried again').map((line) => Number(line.retry_in))
  expect(delays).toHaveLength(12)
  expect(Math.max(...delays)).toBeLessThanOrEqual(0.008)
  // Jitter spreads the first one around retry_delay; were the default taken, it would be a hundred times as long.
  expect(delays[0]).toBeGreaterThan(0)
  expect(Math.max(...delays)).toBeGreaterThan(0.004)
})
