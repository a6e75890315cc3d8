import { describe, expect, test } from 'vitest'
import { actionKey, orphaned, PositionStore } from '../../src/core/positions.ts'
import { type KnownAction, placeText, takeOver, tellTakeover } from '../../src/core/takeover.ts'
import { recordingLog } from '../helpers/recording-log.ts'
import { type ActionMap, actionConfig } from '../helpers/run-pipeline.ts'

const file = (path: string): ActionMap => ({ name: 'input_file', path_pattern: path })
const forward = (host: string, match?: unknown): ActionMap => ({
  ...{ name: 'output_forward', host },
  ...(match === undefined ? {} : { match }),
})
const labelled = (path: string, label: string): ActionMap => ({ ...file(path), label })
const configs = (list: readonly ActionMap[]) => list.map(actionConfig)
const keyOf = (action: ActionMap) => actionKey(configs([action]), 0)
const listOf = (list: readonly ActionMap[]): readonly KnownAction[] => takeOver(configs(list), [], new Map()).listed
const savedOf = (list: readonly ActionMap[]) => new Map(listOf(list).map(({ key, place }) => [key, place]))
const [a, b, c, d] = [file('/a'), file('/b'), file('/c'), file('/d')]

interface Case {
  last: ActionMap[]
  /** Beside what was configured last. */
  dead?: ActionMap[]
  now: ActionMap[]
  adopted?: [ActionMap, ActionMap][]
  /** What begins afresh, and what it is told of. */
  afresh?: [ActionMap, string[]][]
}

const cases: [string, Case][] = [
  ['the one that is missing', { last: [a, b], now: [c, b], adopted: [[a, c]] }],
  ['the one that is missing, whatever was removed before', { last: [a], dead: [b], now: [c], adopted: [[a, c]] }],
  ['nothing of two that are missing', { last: [a, b], now: [c], afresh: [[c, ['/a', '/b']]] }],
  [
    'nothing when two are new',
    {
      ...{ last: [a], now: [c, d] },
      afresh: [
        [c, ['/a']],
        [d, ['/a']],
      ],
    },
  ],
  ['nothing of what was removed before', { last: [a], dead: [b], now: [a, c], afresh: [[c, ['/b']]] }],
  ['nothing when it is only added', { last: [a], now: [a, c] }],
  ['what it had itself, when it comes back', { last: [a], dead: [b], now: [b] }],
  ['nothing of another action', { last: [forward('x')], now: [a] }],
  [
    'nothing of another label, however that is named',
    { last: [labelled('/a', 'input_file/y')], now: [a], afresh: [[a, ['/a']]] },
  ],
  [
    'nothing when it is given a label',
    { last: [a], now: [labelled('/a', 'x')], afresh: [[labelled('/a', 'x'), ['/a']]] },
  ],
  [
    'all, when it begins to say where it reads',
    { last: [{ name: 'input_file' }], now: [a], adopted: [[{ name: 'input_file' }, a]] },
  ],
]

test.each(cases)('an input that is new takes over %s', (_, { last, dead = [], now, adopted = [], afresh = [] }) => {
  const takeover = takeOver(configs(now), listOf(last), savedOf([...last, ...dead]))
  expect(takeover).toEqual({
    listed: listOf(now),
    adopted: adopted.map(([from, to]) => ({ from: keyOf(from), to: keyOf(to), withEvents: true })),
    afresh: afresh.map(([action, beside]) => ({ key: keyOf(action), beside })),
  })
})

test('nothing is missing where the last configuration is not known', () => {
  expect(takeOver(configs([b]), [], savedOf([a]))).toMatchObject({ adopted: [], afresh: [{ beside: ['/a'] }] })
})

test.each([
  ['x', 'x', true],
  [undefined, '*', true],
  ['x', 'y', false],
  ['x', undefined, false],
  [['x', 'y'], ['x', 'y'], true],
])('of %j to %j, events that wait go with the rest: %j', (before, after, withEvents) => {
  const last = [forward('one', before)]
  expect(takeOver(configs([forward('two', after)]), listOf(last), savedOf(last)).adopted).toMatchObject([
    { withEvents },
  ])
})

test('what begins afresh is told of, and what goes on', () => {
  const { log, lines } = recordingLog()
  tellTakeover(takeOver(configs([b]), listOf([a]), savedOf([a])), log)
  tellTakeover(takeOver(configs([b]), listOf([]), savedOf([a])), log)
  const other = takeOver(configs([forward('two', 'y')]), listOf([forward('one')]), savedOf([forward('one')]))
  tellTakeover(other, log)
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['info', 'the action has other parameters now: it goes on where it was'],
    ['warn', expect.stringMatching(/^input_file.*@\S+ begins afresh: .*, of \/a, /)],
    ['info', expect.stringContaining('but for events that wait')],
  ])
})

describe('a place is told', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['by host and port', { host: 'h', port: 24224 }, 'h:24224'],
    ['by a port alone', { port: 1 }, ':1'],
    ['by all of its hosts', { hosts: ['a', { host: 'b', port: 2 }, '[::1]:3'] }, 'a,b:2,[::1]:3'],
    ['by paths', { path_pattern: ['/a', '/b'] }, '/a /b'],
    ['by database and table', { ip: 'h', port: 1, database: 'd', table: 't' }, 'h:1 d t'],
    ['by a socket', { unix_path: '@name' }, '@name'],
    ['without the user of a URL', { url: 'https://me:secret@h:1/hooks/secret?token=secret' }, 'https://h:1'],
    ['without the user of a host', { host: 'me:secret@h' }, 'h'],
    ['without keys and passwords', { host: 'h', shared_key: 'secret', password: 'secret', token: 'secret' }, 'h'],
  ])('%s', (_, params, text) => {
    expect(placeText({ name: 'output_x', label: 'output_x', params, at: '' })).toBe(text)
  })
})

test.each([
  [
    'output_forward/output_forward/@dKE-X2x_yJ',
    'h:1',
    /@dKE-X2x_yJ \(h:1\), .* give an output this name and place again/,
  ],
  ['output_forward/output_forward/@dKE-X2x_yJ/2', '', /yJ\/2, which .* this name and place again/],
  ['output_forward/x/1', 'h:1', /this name and label again/],
  ['dead_letters', '', /set dead_letters again/],
])('the advice for what waits for %s can be followed', (key, place, text) => {
  expect(orphaned(key, place)).toMatch(text)
})

test('what the process knows of an input goes with it, from one change of its parameters to the next', () => {
  const store = new PositionStore()
  const configure = (list: ActionMap[]) => {
    const takeover = takeOver(configs(list), store.last, store.saved())
    store.take(takeover)
    return takeover
  }
  configure([a, b])
  for (const [at, action] of [a, b].entries()) store.save(keyOf(action), new Map([['at', at]]))
  configure([b])
  configure([c])
  store.save(keyOf(c), new Map([['more', 1]]))
  expect(configure([d])).toMatchObject({ afresh: [] })
  expect(store.all().get(keyOf(d))).toEqual(
    new Map([
      ['at', 1],
      ['more', 1],
    ]),
  )
  expect(configure([d, c])).toMatchObject({ adopted: [], afresh: [{ key: keyOf(c), beside: ['/a'] }] })
})
