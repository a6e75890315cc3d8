import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { VirtualClock } from '../../src/core/clock.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings } from '../../src/core/dead-letters.ts'
import { FeedooError } from '../../src/core/errors.ts'
import type { EventRecord } from '../../src/core/event.ts'
import { hostileNames, hostileRecord } from '../helpers/hostile.ts'
import { recordingLog } from '../helpers/recording-log.ts'

const refused = new FeedooError('OUTPUT_REJECTED', 'no such table')
const letter = (record: EventRecord, action = 'store') =>
  deadLetter('web', action, { tag: 'a.b', timestamp: 1.5, record }, refused, 100)

async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'feedoo-test-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return join(dir, 'dead.jsonl')
}

describe('the file', () => {
  test.each(hostileNames)('holds one line of valid JSON for %s', async (name) => {
    const { record, writable } = hostileRecord(name)
    const path = await scratch()
    const file = deadLetterFile(path)
    await file.write([letter({ before: 1 }), letter(record), letter({ after: 1 })])
    await file.sync?.()
    await file.close?.()
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    const [, read] = lines.map((line) => JSON.parse(line) as EventRecord)
    expect(read).toMatchObject({
      time: 100,
      pipeline: 'web',
      action: 'store',
      code: 'OUTPUT_REJECTED',
      reason: 'no such table',
      tag: 'a.b',
      timestamp: 1.5,
    })
    expect(Object.keys(read ?? {}).filter((key) => key.startsWith('record'))).toEqual([
      writable ? 'record' : 'record_text',
    ])
    if (!writable) expect(String(read?.record_text).length).toBeLessThanOrEqual(500)
  })

  test('keeps the digits of a BigInt, and __proto__ as a key', async () => {
    const path = await scratch()
    const file = deadLetterFile(path)
    await file.write([letter(JSON.parse('{"__proto__":1}') as EventRecord), letter({ n: 2n ** 64n })])
    await file.close?.()
    const text = await readFile(path, 'utf8')
    expect(text).toContain('"record":{"__proto__":1}}\n')
    expect(text).toContain('"record":{"n":18446744073709551616}}\n')
  })

  test('takes a batch that is longer than a string can be', async () => {
    // 60 references to one text of 10 MB: 600 MB of JSON, where a string ends at 512 MB.
    const record = { log: 'x'.repeat(10_000_000) }
    const file = deadLetterFile('/dev/null')
    await file.write(Array.from({ length: 60 }, () => letter(record)))
    await file.close?.()
  })

  test('is appended to', async () => {
    const path = await scratch()
    await writeFile(path, '{"old":1}\n')
    const file = deadLetterFile(path)
    await file.write([letter({ n: 1 })])
    await file.write([letter({ n: 2 })])
    await file.close?.()
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { record?: unknown }).record)).toEqual([
      undefined,
      { n: 1 },
      { n: 2 },
    ])
  })

  test('that is moved away, or removed, is begun anew', async () => {
    const path = await scratch()
    const file = deadLetterFile(path)
    await file.write([letter({ n: 1 })])
    await rename(path, `${path}.1`)
    await file.write([letter({ n: 2 })])
    await rename(path, `${path}.2`)
    await writeFile(path, '')
    await file.write([letter({ n: 3 })])
    await rename(path, `${path}.3`)
    await file.write([letter({ n: 4 })])
    await rm(path)
    await file.write([letter({ n: 5 })])
    await file.close?.()
    for (const [name, n] of [
      ['.1', 1],
      ['.2', 2],
      ['.3', 3],
      ['', 5],
    ] as const) {
      const lines = (await readFile(`${path}${name}`, 'utf8')).split('\n')
      expect(lines).toEqual([expect.stringMatching(`"n":${n}}}$`), ''])
    }
  })

  test('that ends in half a line gets it ended', async () => {
    const path = await scratch()
    await writeFile(path, '{"half')
    const file = deadLetterFile(path)
    await file.write([letter({ n: 1 })])
    await file.close?.()
    expect(await readFile(path, 'utf8')).toMatch(/^{"half\n{.*"n":1}}\n$/)
  })

  test('that cannot be opened is a retriable error, and is taken again once it can be', async () => {
    const path = join(await scratch(), 'sub.jsonl')
    const file = deadLetterFile(path)
    await expect(file.write([letter({ n: 1 })])).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    await mkdir(join(path, '..'))
    await file.write([letter({ n: 1 })])
    await file.close?.()
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '')
    expect(lines).toHaveLength(1)
  })
})

describe('without a file', () => {
  test('the log has one warning a minute an action, with count and sample, and at the end what came since', async () => {
    const { lines, log } = recordingLog()
    const clock = new VirtualClock(1000)
    const warnings = deadLetterWarnings(log, clock)
    await warnings.write([letter({ n: 1 }), letter({ n: 2 }), letter({ n: 1 }, 'other')])
    clock.advance(59)
    await warnings.write([letter({ n: 3 })])
    expect(lines.map(({ action, count }) => `${action} ${count}`)).toEqual(['store 1', 'other 1'])
    clock.advance(1)
    await warnings.write([letter({ n: 4 }), letter({ n: 5 })])
    expect(lines.slice(2)).toMatchObject([{ level: 'warn', action: 'store', count: 3 }])
    // The sample is the first of those that are counted.
    expect(JSON.parse(String(lines[2]?.sample))).toMatchObject({ code: 'OUTPUT_REJECTED', record: { n: 2 } })
    await warnings.close?.()
    expect(lines.slice(3)).toMatchObject([{ action: 'store', count: 1 }])
  })

  test.each(hostileNames)('the sample is short for %s', async (name) => {
    const { record } = hostileRecord(name)
    const { lines, log } = recordingLog()
    await deadLetterWarnings(log, new VirtualClock()).write([letter(record)])
    expect(lines).toHaveLength(1)
    expect(String(lines[0]?.sample).length).toBeLessThanOrEqual(500)
  })
})
