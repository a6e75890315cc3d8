import { describe, expect, it } from 'vitest'
import { filterChange } from '../../../src/actions/filter/filter_change.ts'
import type { Event } from '../../../src/core/event.ts'
import { alertsOf, named, runRule, seedGroups } from '../../helpers/rule-streams.ts'
import { checkChange } from './change-oracle.ts'

const start = 1_700_000_000
const common = { tag: 'alert', query_key: 'user', compare_key: 'from' }

/** Events a second apart. */
function events(records: readonly Record<string, unknown>[]): Event[] {
  return records.map((record, index) => ({ tag: 'in', timestamp: start + index, record }))
}

/** Events of one user with these values; undefined: without the field. */
function from(...values: readonly unknown[]): Event[] {
  return events(values.map((value) => (value === undefined ? { user: 'eve' } : { user: 'eve', from: value })))
}

/** Of each alert: the old value, the new one. */
function changes(params: Record<string, unknown>, steps: readonly Event[]): unknown[] {
  return runRule(filterChange, { ...common, ...params }, steps)
    .out.filter(({ tag }) => tag === 'alert')
    .map(({ record }) => [record.old_value, record.new_value])
}

it('gives the key, the old value and the new one, with the fields of the alert map over them', () => {
  const alert = { message: '{query_key}: {old_value} -> {new_value}', rule: 'moved' }
  const run = runRule(filterChange, { ...common, attach: true, alert }, from('FR', 'FR', 'AU'))
  expect(run.out.map(({ tag }) => tag)).toEqual(['in', 'in', 'in', 'alert'])
  expect(alertsOf(run)).toEqual([
    {
      record: {
        timestamp: start + 2,
        rule: 'moved',
        query_key: 'eve',
        old_value: 'FR',
        new_value: 'AU',
        message: 'eve: FR -> AU',
      },
      metadata: { rule: 'rule', pipeline: 'test', query_key: 'eve', cause: { user: 'eve', from: 'AU' } },
    },
  ])
})

describe('a change', () => {
  it.each(
    named([
      { what: 'is none at first sight', values: ['FR'], alerts: [] },
      {
        what: 'is told once: the new value takes the place of the old one',
        values: ['FR', 'AU', 'AU'],
        alerts: [['FR', 'AU']],
      },
      {
        what: 'is told there and back',
        values: ['FR', 'AU', 'FR'],
        alerts: [
          ['FR', 'AU'],
          ['AU', 'FR'],
        ],
      },
      {
        what: 'is one of type, too',
        values: [1, '1', true, 'true'],
        alerts: [
          [1, '1'],
          ['1', true],
          [true, 'true'],
        ],
      },
      {
        what: 'to null and from null is one',
        values: ['FR', null, 'FR'],
        alerts: [
          ['FR', null],
          [null, 'FR'],
        ],
      },
      { what: 'from null to absent is none', values: [null, undefined, null], alerts: [] },
      { what: 'to a field that is absent is one to null', values: [0, undefined], alerts: [[0, null]] },
      { what: 'of no number to no number is none', values: [Number.NaN, Number.NaN], alerts: [] },
      {
        what: 'in the order of the keys of a map is none',
        values: [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
        alerts: [],
      },
      {
        what: 'inside of a list is one',
        values: [
          [1, 2],
          [1, '2'],
        ],
        alerts: [
          [
            [1, 2],
            [1, '2'],
          ],
        ],
      },
    ]),
  )('%s', (_, { values, alerts }) => {
    expect(changes({}, from(...values))).toEqual(alerts)
  })

  it('deep in a long text is seen, and alerts show how the texts begin', () => {
    const text = 'x'.repeat(5000)
    expect(changes({}, from(`${text}1`, `${text}2`))).toEqual([
      [`${text.slice(0, 200)}...`, `${text.slice(0, 200)}...`],
    ])
  })
})

describe('ignore_null', () => {
  it.each(
    named([
      {
        what: 'passes over null, and keeps the value before it',
        values: ['FR', null, 'FR', 'AU'],
        alerts: [['FR', 'AU']],
      },
      { what: 'passes over an absent field', values: [undefined, 'FR', undefined, 'FR'], alerts: [] },
      {
        what: 'does not pass over 0, an empty text and false',
        values: [1, 0, '', false],
        alerts: [
          [1, 0],
          [0, ''],
          ['', false],
        ],
      },
    ]),
  )('%s', (_, { values, alerts }) => {
    expect(changes({ ignore_null: true }, from(...values))).toEqual(alerts)
  })

  it('passes over an event that lacks one of several fields', () => {
    const steps = events([
      { user: 'eve', from: 'FR', os: 'a' },
      { user: 'eve', from: 'AU' },
      { user: 'eve', from: 'FR', os: 'b' },
    ])
    expect(changes({ compare_key: ['from', 'os'], ignore_null: true }, steps)).toEqual([
      [
        ['FR', 'a'],
        ['FR', 'b'],
      ],
    ])
    expect(changes({ compare_key: ['from', 'os'] }, steps)).toEqual([
      [
        ['FR', 'a'],
        ['AU', null],
      ],
      [
        ['AU', null],
        ['FR', 'b'],
      ],
    ])
  })
})

describe('timeframe', () => {
  it('leaves out a change after so long or longer, and the value is replaced all the same', () => {
    const times = [0, 9.75, 19.75, 20, 40]
    const values = ['FR', 'AU', 'FR', 'AU', 'FR']
    const steps = times.map((time, index) => ({
      tag: 'in',
      timestamp: start + time,
      record: { user: 'eve', from: values[index] },
    }))
    const run = runRule(filterChange, { ...common, timeframe: 10 }, steps)
    expect(run.out.filter(({ tag }) => tag === 'alert').map(({ timestamp }) => timestamp - start)).toEqual([9.75, 20])
  })

  it('counts from the last event of the key, changed or not', () => {
    const steps = [0, 9, 18].map((time) => ({
      tag: 'in',
      timestamp: start + time,
      record: { user: 'eve', from: time === 18 ? 'AU' : 'FR' },
    }))
    expect(changes({ timeframe: 10 }, steps)).toEqual([['FR', 'AU']])
  })
})

describe('query_key', () => {
  const steps = events([
    { user: 'eve', from: 'FR' },
    { user: 'bob', from: 'AU' },
    { from: 'DE' },
    { user: 'eve', from: 'FR' },
  ])

  it('tells events apart; one without it is passed on and not looked at', () => {
    const run = runRule(filterChange, common, steps)
    expect([run.out.length, run.counters]).toEqual([4, { keys: 2 }])
  })

  it('may be missing: then each event is compared with the one before', () => {
    const { query_key: _, ...without } = common
    const run = runRule(filterChange, without, steps)
    expect(alertsOf(run)).toEqual(
      [
        [1, 'FR', 'AU'],
        [2, 'AU', 'DE'],
        [3, 'DE', 'FR'],
      ].map(([second, old_value, new_value]) => ({
        record: { timestamp: start + Number(second), rule: 'rule', old_value, new_value },
        metadata: { rule: 'rule', pipeline: 'test' },
      })),
    )
  })
})

it('drops what was saved for another compare_key, and keeps it for another timeframe', () => {
  const formatOf = (params: Record<string, unknown>) => runRule(filterChange, { ...common, ...params }, []).format
  expect(formatOf({ timeframe: 5, ignore_null: true })).toBe(formatOf({}))
  expect(formatOf({ compare_key: 'to' })).not.toBe(formatOf({}))
})

it.each(seedGroups(2000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => checkChange(seeds),
)
