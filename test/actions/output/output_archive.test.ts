import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { outputArchive } from '../../../src/actions/output/output_archive.ts'
import { deadLettersOf } from '../../helpers/dead-letters.ts'
import { nested } from '../../helpers/hostile.ts'
import { type ActionMap, makePipeline, send } from '../../helpers/run-pipeline.ts'
import { mountSmallDisk } from '../../helpers/small-disk.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-archive-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** 2023-10-05 12:34:56 UTC. */
const noon = 1696509296

const event = (record: Record<string, unknown>, timestamp = noon) => ({ tag: 't', timestamp, record })
const archive = (template: string, params: Record<string, unknown> = {}): ActionMap => ({
  name: 'output_archive',
  path_template: join(folder, template),
  retry_delay: 0.001,
  ...params,
})

/** The files below a folder, by their path. */
function files(under = folder): Record<string, string> {
  const names = readdirSync(under, { recursive: true, encoding: 'utf8' }).sort()
  const plain = names.filter((name) => statSync(join(under, name)).isFile())
  return Object.fromEntries(plain.map((name) => [name, readFileSync(join(under, name), 'utf8')]))
}

/** A log that calls `away` when an output says that its target is away. */
const logThatSees = (away: () => void) =>
  pino({ level: 'warn' }, { write: (line: string) => void (line.includes('OUTPUT_UNAVAILABLE') && away()) })

test('events go to the file of their day, in order, one record a line', async () => {
  const events = [1, 2, 3, 4].map((n) => event({ n }, noon + (n % 2) * 86_400))
  await send([archive('%Y/%m/%d.log')], events)
  expect(files()).toEqual({ '2023/10/05.log': '{"n":2}\n{"n":4}\n', '2023/10/06.log': '{"n":1}\n{"n":3}\n' })
})

test('a value cannot leave the folder', async () => {
  const values = ['../../etc/x', '/etc/x', '..', '.', '', 'a\0b', '\n', null, undefined, 'x'.repeat(1000)]
  await send(
    [archive('in/{v}/a.log')],
    values.map((v) => event({ v })),
  )
  expect(readdirSync(folder)).toEqual(['in'])
  expect(readdirSync(join(folder, 'in')).sort()).toEqual(
    ['_', '____etc_x', '_etc_x', 'a_b', 'unknown', 'x'.repeat(255)].sort(),
  )
})

test.each([
  [{ t: 0 }, '1970.log'],
  [{ t: '2019-05-06 07:08:09' }, '2019.log'],
  [{ t: '1577836799999' }, '2019.log'],
  [{ t: '10/Oct/2000:13:55:36 -0700' }, '2000.log'],
])('the time is read from the field: %j goes to %s', async (record, name) => {
  await send([archive('%Y.log', { time_key: 't' })], [event(record)])
  expect(Object.keys(files())).toEqual([name])
})

test('what cannot be written is set aside alone, with its reason', async () => {
  const { letters, options } = await deadLettersOf()
  const list = [archive('%Y/{name}.log', { time_key: 'time.at' })]
  const good = { time: { at: noon }, name: 'x' }
  const bad = [
    { name: 'x' },
    { time: { at: 'yesterday' } },
    { time: { at: '0000-00-00' } },
    { ...good, deep: nested(100_000, 'list') },
    { ...good, name: nested(100_000, 'map') },
  ]
  await send(
    list,
    [good, ...bad, good].map((record) => event(record)),
    options,
  )
  const line = `${JSON.stringify(good)}\n`
  expect(files()).toEqual({ '2023/x.log': line + line })
  expect((await letters()).map(({ code }) => code)).toEqual([
    'FIELD_MISSING',
    'DATE_UNREADABLE',
    'DATE_UNREADABLE',
    'RECORD_UNWRITABLE',
    'RECORD_UNWRITABLE',
  ])
})

test('an event whose own time is none is set aside', async () => {
  const { letters, options } = await deadLettersOf()
  await send([archive('%Y.log')], [event({}, 1e15), event({ n: 1 })], options)
  expect(files()).toEqual({ '2023.log': '{"n":1}\n' })
  expect((await letters()).map(({ code }) => code)).toEqual(['DATE_UNREADABLE'])
})

test('integers beyond 2^53 keep their digits, and __proto__ is a key', async () => {
  const records = [{ big: 12345678901234567890n }, JSON.parse('{"__proto__":{"a":1}}')]
  await send(
    [archive('a.log')],
    records.map((record) => event(record)),
  )
  expect(files()).toEqual({ 'a.log': '{"big":12345678901234567890}\n{"__proto__":{"a":1}}\n' })
})

test('CSV has one line of names a file, also when the file is written to again', async () => {
  const list = [archive('%d.csv', { format: 'csv', fields: ['n', 'user.name'] })]
  const events = [event({ n: 1, user: { name: 'a "b"' } }), event({ n: 2 }), event({ n: 3 }, noon + 86_400)]
  await send(list, events)
  await send(list, events.slice(0, 1))
  expect(files()).toEqual({
    '05.csv': 'n,user.name\n1,"a ""b"""\n2,\n1,"a ""b"""\n',
    '06.csv': 'n,user.name\n3,\n',
  })
})

test('more files than may be open lose nothing', async () => {
  const events = Array.from({ length: 600 }, (_, n) => event({ n, at: n % 60 }))
  await send([archive('{at}.log', { max_open_files: 7, buffer_size: 50 })], events)
  const found = files()
  for (let at = 0; at < 60; at++) {
    const mine = events.filter(({ record }) => record.at === at)
    expect(found[`${at}.log`]).toBe(mine.map(({ record }) => `${JSON.stringify(record)}\n`).join(''))
  }
})

describe('while the target is away', () => {
  test('events wait, and those already in other files are not written again', async () => {
    // A file stands where the folder of the second minute should be.
    writeFileSync(join(folder, '35'), '')
    const away = () => rmSync(join(folder, '35'))
    const { pipeline } = makePipeline([archive('%M/a.log')], { log: logThatSees(away) })
    const events = [0, 60, 120].flatMap((seconds) => [
      event({ seconds }, noon + seconds),
      event({ n: 2 }, noon + seconds),
    ])
    void pipeline.inject(events)
    await pipeline.run(new AbortController().signal)
    expect(files()).toEqual({
      '34/a.log': '{"seconds":0}\n{"n":2}\n',
      '35/a.log': '{"seconds":60}\n{"n":2}\n',
      '36/a.log': '{"seconds":120}\n{"n":2}\n',
    })
    expect(pipeline.stats().actions[0]).toMatchObject({ dead_letters: {}, retries: expect.any(Number) })
  })

  test('of what is given up after retry_limit, only what is in no file goes to the dead letters', async () => {
    const { letters, options } = await deadLettersOf()
    writeFileSync(join(folder, '35'), '')
    const { pipeline } = makePipeline([archive('%M/a.log', { retry_limit: 1, retry_max_delay: 0.001 })], options)
    void pipeline.inject([0, 60, 1, 61].map((n) => event({ n }, noon + n)))
    await pipeline.run(new AbortController().signal)
    expect(files()).toEqual({ 35: '', '34/a.log': '{"n":0}\n{"n":1}\n' })
    expect((await letters()).map(({ code, record }) => [code, record])).toEqual([
      ['OUTPUT_UNAVAILABLE', { n: 60 }],
      ['OUTPUT_UNAVAILABLE', { n: 61 }],
    ])
  })

  test('an event that could not be written at all is set aside once, not at each try', async () => {
    const { letters, options } = await deadLettersOf()
    writeFileSync(join(folder, '34'), '')
    let tries = 0
    const away = () => {
      tries++
      rmSync(join(folder, '34'))
    }
    const { pipeline } = makePipeline([archive('%M/a.log')], { log: logThatSees(away), ...options })
    void pipeline.inject([event({ deep: nested(100_000, 'list') }), event({ n: 1 })])
    await pipeline.run(new AbortController().signal)
    expect([tries, (await letters()).length, files()]).toEqual([1, 1, { '34/a.log': '{"n":1}\n' }])
  })
})

test('events that name a path which cannot be written are set aside, and hold up nothing', async () => {
  const { letters, options } = await deadLettersOf()
  mkdirSync(join(folder, 'in/is-a-folder'), { recursive: true })
  execFileSync('mkfifo', [join(folder, 'in/pipe')])
  const names = ['a', 'is-a-folder', 'pipe', 'a']
  await send(
    [archive('in/{name}')],
    names.map((name) => event({ name })),
    options,
  )
  expect(files()).toEqual({ 'in/a': '{"name":"a"}\n{"name":"a"}\n' })
  expect((await letters()).map(({ code, record }) => [code, record])).toEqual([
    ['OUTPUT_REJECTED', { name: 'is-a-folder' }],
    ['OUTPUT_REJECTED', { name: 'pipe' }],
  ])
})

test('of a batch, only the events of the file that refuses them are set aside', async () => {
  const { letters, options } = await deadLettersOf()
  mkdirSync(join(folder, '34'))
  mkdirSync(join(folder, '35'))
  execFileSync('mkfifo', [join(folder, '35/a.log')])
  const seconds = [0, 60, 120]
  await send(
    [archive('%M/a.log')],
    seconds.map((n) => event({ n }, noon + n)),
    options,
  )
  expect(files()).toEqual({ '34/a.log': '{"n":0}\n', '36/a.log': '{"n":120}\n' })
  expect((await letters()).map(({ code, record }) => [code, record])).toEqual([['OUTPUT_REJECTED', { n: 60 }]])
})

const disk = mountSmallDisk(128)
afterAll(() => disk?.remove())

test.skipIf(disk === undefined)(
  'a full disk holds events up, and each line is there once when there is room (needs the right to mount one)',
  async () => {
    const small = disk?.folder ?? ''
    const filler = join(small, 'filler')
    writeFileSync(filler, 'x'.repeat(80_000))
    const path_template = join(small, 'out/{part}.log')
    let away = 0
    const log = logThatSees(() => {
      away++
      for (const text of Object.values(files(join(small, 'out')))) expect(text).toMatch(/^(?:\{.*\}\n)*$/)
      rmSync(filler, { force: true })
    })
    const { pipeline } = makePipeline([archive('', { path_template, buffer_size: 100 })], { log })
    const events = Array.from({ length: 600 }, (_, n) => event({ n, part: n % 3, text: 'x'.repeat(100) }))
    void pipeline.inject(events)
    await pipeline.run(new AbortController().signal)
    expect(away).toBeGreaterThan(0)
    expect(existsSync(filler)).toBe(false)
    const expected = [0, 1, 2].map((part) => [
      `out/${part}.log`,
      events.flatMap(({ record }) => (record.part === part ? `${JSON.stringify(record)}\n` : [])).join(''),
    ])
    expect(files(small)).toEqual(Object.fromEntries(expected))
  },
)

test.each([
  [{ path_template: '/log/%Q.log' }, ['path_template']],
  [{ path_template: '/log/%Y/..' }, ['path_template']],
  [{ path_template: '' }, ['path_template']],
  [{}, ['path_template']],
  [{ path_template: '/a', format: 'csv' }, ['format']],
  [{ path_template: '/a', fields: ['a'] }, ['fields']],
  [{ path_template: '/a', max_open_files: 0 }, ['max_open_files']],
])('%j is refused', (params, path) => {
  expect(outputArchive.params.safeParse(params).error?.issues[0]?.path).toEqual(path)
})
