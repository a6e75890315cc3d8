import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { filterMatchingList } from '../../../src/actions/filter/filter_matching_list.ts'
import { FeedooError } from '../../../src/core/errors.ts'
import type { Event } from '../../../src/core/event.ts'
import { seeded, seedGroups } from '../../helpers/rule-streams.ts'
import { makePipeline, send } from '../../helpers/run-pipeline.ts'
import { checkMatchingList } from './matching-list-oracle.ts'

const at = 1_700_000_000

/** The alerts that one event with these fields gives. */
async function alertsOf(params: Record<string, unknown>, record: Record<string, unknown>): Promise<Event[]> {
  const rule = { name: 'filter_matching_list', label: 'ioc', tag: 'alert', key: 'log', ...params }
  const out = await send([rule], [{ tag: 'in', timestamp: at, record }])
  expect(out[0]).toEqual({ tag: 'in', timestamp: at, record })
  return out.slice(1)
}

/** A file of its own for a test. */
function listFile(content: string | Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-list-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'list.txt')
  writeFileSync(path, content)
  return path
}

interface Case {
  title: string
  params?: Record<string, unknown>
  log?: unknown
  /** What `found` is; undefined for no alert. */
  found: string | undefined
}

const list = ['evil.example', 'b', 'abc', 'bc', '10.0.0.0/8', '22', 'true', '2001:db8::1']

const cases: Case[] = [
  { title: 'no word', log: 'nothing to see', found: undefined },
  { title: 'a word in a text', log: 'to evil.example', found: 'evil.example' },
  { title: 'words in order of occurrence, each once', log: 'b abc b', found: 'b,abc,bc' },
  {
    title: 'words that begin at the same place, the shorter first',
    params: { list: ['abc', 'ab'] },
    log: 'abc',
    found: 'ab,abc',
  },
  { title: 'no word in another case', log: 'EVIL.example', found: undefined },
  {
    title: 'a word in another case when asked, as in the list',
    params: { ignore_case: true },
    log: 'EVIL.example',
    found: 'evil.example',
  },
  { title: 'an empty text', log: '', found: undefined },
  { title: 'a number by its text', log: 22, found: '22' },
  { title: 'a boolean by its text', log: true, found: 'true' },
  { title: 'each value of a list, each word once', log: ['b', 'to evil.example b', 22], found: 'b,evil.example,22' },
  { title: 'each value of a map, but not its keys', log: { b: 'x', x: { y: 'abc' } }, found: 'abc,b,bc' },
  { title: 'null', log: null, found: undefined },
  { title: 'an absent field', found: undefined },
  { title: 'whole: no part of a text', params: { whole: true }, log: 'to evil.example', found: undefined },
  { title: 'whole: the text itself', params: { whole: true }, log: 'evil.example', found: 'evil.example' },
  { title: 'whole: a number', params: { whole: true }, log: 22, found: '22' },
  { title: 'whole: a part of a number', params: { whole: true }, log: 221, found: undefined },
  { title: 'whole: an address in a network', params: { whole: true }, log: '10.200.3.4', found: '10.0.0.0/8' },
  {
    title: 'whole: another spelling of an address',
    params: { whole: true },
    log: '2001:0DB8::0:1',
    found: '2001:db8::1',
  },
  { title: 'whole: a value of a list', params: { whole: true }, log: ['x', '10.0.0.1', 'b'], found: '10.0.0.0/8,b' },
  { title: 'absent: a word occurs', params: { mode: 'absent' }, log: 'to evil.example', found: undefined },
  { title: 'absent: none occurs', params: { mode: 'absent' }, log: 'nothing', found: '' },
  { title: 'absent: an empty text', params: { mode: 'absent' }, log: '', found: '' },
  { title: 'absent: one in some value of a list', params: { mode: 'absent' }, log: ['x', 'b'], found: undefined },
  { title: 'absent: none in any value of a list', params: { mode: 'absent' }, log: ['x', 5], found: '' },
  { title: 'absent: a list without values', params: { mode: 'absent' }, log: [], found: undefined },
  { title: 'absent: null', params: { mode: 'absent' }, log: null, found: undefined },
  { title: 'absent: an absent field', params: { mode: 'absent' }, found: undefined },
  { title: 'absent: an address in no network', params: { mode: 'absent', whole: true }, log: '11.0.0.1', found: '' },
  { title: 'an empty list', params: { list: [] }, log: 'evil.example', found: undefined },
  { title: 'absent: an empty list', params: { list: [], mode: 'absent' }, log: 'evil.example', found: '' },
]

describe('filter_matching_list', () => {
  it.each(cases)('$title', async ({ params = {}, log, found }) => {
    const alerts = await alertsOf({ list, ...params }, log === undefined ? { other: 'b' } : { log })
    expect(alerts.map(({ record }) => record)).toEqual(
      found === undefined
        ? []
        : [{ timestamp: at, rule: 'ioc', mode: params.mode ?? 'present', found, key: 'log', value: log }],
    )
  })

  it('gives the same with the list in a file', async () => {
    const list_file = listFile('\ufeff# bad\r\nevil.example  \r\n\r\nb\r\n')
    const [alert] = await alertsOf({ list_file }, { log: 'b to evil.example' })
    expect(alert?.record).toMatchObject({ found: 'b,evil.example' })
  })

  it('gives an alert with its fields, its key and its cause', async () => {
    const params = { list, query_key: 'user', attach: true, alert: { text: '{found} in {key} of {user}: {value}' } }
    const alerts = await alertsOf(params, { log: 'evil.example', user: 'eve' })
    expect(alerts).toEqual([
      {
        tag: 'alert',
        timestamp: at,
        record: {
          timestamp: at,
          rule: 'ioc',
          query_key: 'eve',
          mode: 'present',
          found: 'evil.example',
          key: 'log',
          value: 'evil.example',
          text: 'evil.example in log of eve: evil.example',
        },
        metadata: {
          id: expect.stringMatching(/^[0-9a-f]{32}$/),
          rule: 'ioc',
          pipeline: 'test',
          query_key: 'eve',
          cause: { log: 'evil.example', user: 'eve' },
        },
      },
    ])
  })

  it('passes on an event without the query key, without an alert', async () => {
    expect(await alertsOf({ list, query_key: 'user' }, { log: 'evil.example' })).toEqual([])
  })

  it('keeps the value of the alert as it was when the event is changed further down', async () => {
    const rule = { name: 'filter_matching_list', tag: 'alert', key: 'log', list }
    const change = { name: 'filter_rename', match: 'in', keys: { 'log.x': 'log.y' } }
    const out = await send([rule, change], [{ tag: 'in', timestamp: at, record: { log: { x: 'b' } } }])
    expect(out[0]?.record).toEqual({ log: { y: 'b' } })
    expect(out[1]?.record).toMatchObject({ value: { x: 'b' } })
  })

  it('counts the words it has', () => {
    const { pipeline } = makePipeline([{ name: 'filter_matching_list', tag: 'alert', key: 'log', list }])
    expect(pipeline.stats().actions[0]?.counters).toMatchObject({ words: list.length })
  })

  it('does not start without its file', async () => {
    const rule = { name: 'filter_matching_list', tag: 'alert', key: 'log', list_file: '/nowhere/list.txt' }
    await expect(send([rule], [])).rejects.toThrow(FeedooError)
    await expect(send([rule], [])).rejects.toThrow('cannot read the list /nowhere/list.txt: there is no such file')
  })

  it.each(seedGroups(2000))(
    'equals its definition on random streams, however they are cut and restarted: seeds from $first',
    ({ seeds }) => {
      for (const seed of seeds) checkMatchingList(seeded(seed))
    },
  )
})

describe('the parameters of filter_matching_list', () => {
  const rule = { tag: 'alert', key: 'log' }

  it.each([
    { title: 'a list and a file', params: { list: ['a'], list_file: '/x' }, mistake: 'take either it or' },
    { title: 'neither', params: {}, mistake: 'is missing' },
    { title: 'an empty word', params: { list: [''] }, mistake: '' },
    { title: 'a number', params: { list: [22] }, mistake: '' },
  ])('do not take $title', ({ params, mistake }) => {
    const { success, error } = filterMatchingList.params.safeParse({ ...rule, ...params })
    expect(success).toBe(false)
    expect(error?.message).toContain(mistake)
  })

  it.each([
    {
      title: 'a network without whole',
      params: { list: ['a', '10.0.0.0/8'] },
      message: '10.0.0.0/8 is looked for as text',
    },
    {
      title: 'a network that is none',
      params: { list: ['10.0.0.0/33'], whole: true },
      message: '10.0.0.0/33 is no network',
    },
    { title: 'an empty list', params: { list: [] }, message: 'the list is empty' },
  ])('are warned of: $title', ({ params, message }) => {
    expect(filterMatchingList.lint({ ...rule, ...params })).toEqual([
      { path: ['list'], message: expect.stringContaining(message) },
    ])
  })

  it.each([
    { list: ['a/24', 'evil.example/1', 'de/1'] },
    { list: ['10.0.0.0/8', '2001:db8::/32', 'a/b'], whole: true },
  ])('are fine: %j', (params) => {
    expect(filterMatchingList.lint({ ...rule, ...params })).toEqual([])
  })

  it('are warned of lines of the file that are not UTF-8', () => {
    const list_file = listFile(Buffer.from('a\ncaf\xe9\n', 'latin1'))
    expect(filterMatchingList.lint({ ...rule, list_file })).toEqual([
      { path: ['list_file'], message: 'line 2 of the list is not UTF-8 text and left out' },
    ])
  })

  it('are wrong when the file is not there', () => {
    expect(filterMatchingList.lint({ ...rule, list_file: '/nowhere/list.txt' })).toEqual([
      {
        path: ['list_file'],
        message: 'cannot read /nowhere/list.txt: there is no such file',
        severity: 'error',
      },
    ])
  })
})
