import { utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../../src/core/event.ts'
import { History, type HistoryOptions } from '../../../src/core/lab/history.ts'
import { scratchFolder } from '../../helpers/daemon.ts'

/** Unix seconds at which every file of these tests was last changed. */
const modified = 1_700_000_000

async function file(content: string | Buffer, name = 'a.log'): Promise<string> {
  const path = join(await scratchFolder(), name)
  await writeFile(path, content)
  await utimes(path, modified, modified)
  return path
}

async function read(path: string, options: Partial<HistoryOptions> = {}) {
  const history = new History({ tag: 'in', timeKey: 'timestamp', raw: false, ...options })
  const events: Event[] = []
  for await (const batch of history.read(path)) events.push(...batch)
  return { events, counts: history.counts }
}

const event = (record: Record<string, unknown>, timestamp = modified, tag = 'in') => ({ tag, timestamp, record })

describe('a line is', () => {
  test.each<[string, string, Partial<HistoryOptions>, Event[]]>([
    ['an event', '{"tag":"web","timestamp":5.5,"record":{"a":1}}', {}, [event({ a: 1 }, 5.5, 'web')]],
    ['an event, with its own tag', '{"tag":"web","timestamp":5,"record":{}}', { tag: 'x' }, [event({}, 5, 'web')]],
    ['a record with its time', '{"timestamp":5,"a":1}', {}, [event({ timestamp: 5, a: 1 }, 5)]],
    [
      'a record with a date',
      '{"timestamp":"1970-01-01T00:00:05Z"}',
      {},
      [event({ timestamp: '1970-01-01T00:00:05Z' }, 5)],
    ],
    ['a record with its time in a field', '{"a":{"t":7}}', { timeKey: 'a.t' }, [event({ a: { t: 7 } }, 7)]],
    [
      'a record, if its tag is no text',
      '{"tag":1,"timestamp":5,"record":{}}',
      {},
      [event({ tag: 1, timestamp: 5, record: {} }, 5)],
    ],
    ['a record without a time', '{"a":1}', {}, [event({ a: 1 })]],
    ['a record without a time, at a moment', '{"a":1}', { now: 9 }, [event({ a: 1 }, 9)]],
    ['text', 'Nov 20 x', {}, [event({ log: 'Nov 20 x' })]],
    ['text, if told so', '{"a":1}', { raw: true }, [event({ log: '{"a":1}' })]],
    ['text, if it is a JSON list', '[1]', {}, [event({ log: '[1]' })]],
    ['nothing, if it is empty', '\n\r\n\n', {}, []],
    ['read without its end', 'a\r\nb', {}, [event({ log: 'a' }), event({ log: 'b' })]],
  ])('%s', async (_, content, options, events) => {
    expect((await read(await file(content), options)).events).toEqual(events)
  })
})

test('a key called __proto__ stays a key', async () => {
  const { events } = await read(await file('{"__proto__":{"a":1}}'))
  expect(Object.keys(events[0]?.record ?? {})).toEqual(['__proto__'])
})

test('what cannot be read is counted, and the first lines of it are named', async () => {
  const path = await file(`{"a":\n{"b":1}\n{"c"}\n\n${'x'.repeat(1_100_000)}\n{]\n{"d":2}\n`)
  const { events, counts } = await read(path)
  expect(events.map(({ record }) => record)).toEqual([{ b: 1 }, { d: 2 }])
  expect(counts).toEqual({
    lines: 6,
    unreadable: 4,
    timeless: 2,
    samples: [
      `${path}:1: this begins as JSON and is none`,
      `${path}:3: this begins as JSON and is none`,
      `${path}:5: longer than 1048576 bytes`,
    ],
  })
})

const many = Array.from({ length: 50_000 }, (_, i) => JSON.stringify({ timestamp: i, text: `line ${i} é` }))

test('a compressed file gives what it holds', async () => {
  const { events, counts } = await read(await file(gzipSync(`${many.join('\n')}\n`), 'a.jsonl.gz'))
  expect(events.map(({ record }) => JSON.stringify(record))).toEqual(many)
  expect(counts).toMatchObject({ lines: 50_000, unreadable: 0, timeless: 0 })
})

test('a file that unpacks to much is read piece by piece', async () => {
  const history = new History({ tag: 'in', timeKey: 'timestamp', raw: false })
  let largest = 0
  for await (const batch of history.read(await file(gzipSync('a\n'.repeat(2_000_000)), 'a.gz'))) {
    largest = Math.max(largest, batch.length)
  }
  expect(history.counts.lines).toBe(2_000_000)
  // A piece is 128 KiB.
  expect(largest).toBeLessThanOrEqual(65_537)
})

test('of a damaged file, what can be read comes before the error', async () => {
  const whole = gzipSync(`${many.join('\n')}\n`)
  const path = await file(whole.subarray(0, whole.length >> 1), 'half.gz')
  const history = new History({ tag: 'in', timeKey: 'timestamp', raw: false })
  const seen: Event[] = []
  const reading = (async () => {
    for await (const batch of history.read(path)) seen.push(...batch)
  })()
  await expect(reading).rejects.toMatchObject({ code: 'FILE_DAMAGED', message: expect.stringContaining(path) })
  expect(seen.length).toBeGreaterThan(1000)
})

test('a file that is not there is told with its path', async () => {
  const path = join(await scratchFolder(), 'none')
  await expect(read(path)).rejects.toMatchObject({
    code: 'INPUT_UNREADABLE',
    message: `${path}: there is no such file`,
  })
})
