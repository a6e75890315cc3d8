import { describe, expect, it } from 'vitest'
import { filterFrequency } from '../../../src/actions/filter/filter_frequency.ts'
import type { Event } from '../../../src/core/event.ts'
import { alertsOf, named, runRule, type Step, seedGroups } from '../../helpers/rule-streams.ts'
import { makePipeline } from '../../helpers/run-pipeline.ts'
import { checkFrequency } from './frequency-oracle.ts'

const start = 1_700_000_000
const common = { tag: 'alert', num_events: 3, timeframe: 10 }

/** Events at seconds after the start, all with the same record. */
function at(times: readonly number[], record: Record<string, unknown> = { user: 'eve' }): Event[] {
  return times.map((time) => ({ tag: 'in', timestamp: start + time, record }))
}

/** Seconds after the start of the alerts, with their status if they have one. */
function alertTimes(params: Record<string, unknown>, steps: readonly Step[]): unknown[] {
  return runRule(filterFrequency, { ...common, ...params }, steps)
    .out.filter(({ tag }) => tag === 'alert')
    .map(({ timestamp, record: { status } }) =>
      status === undefined ? timestamp - start : [timestamp - start, status],
    )
}

describe('the window', () => {
  it.each(
    named([
      { what: '7 events with num_events 3 give 2 alerts', times: [0, 1, 2, 3, 4, 5, 6], alerts: [2, 5] },
      { what: 'events exactly a timeframe apart are never together', times: [0, 5, 10], alerts: [] },
      { what: 'events a little less than a timeframe apart are together', times: [0, 5, 9.75], alerts: [9.75] },
      { what: 'it slides', times: [0, 6, 12, 14], alerts: [14] },
      { what: 'equal times all count', times: [1, 1, 1], alerts: [1] },
      { what: 'a late event counts in it, and the alert has its time', times: [0, 9, 3], alerts: [3] },
      { what: 'an event later than the window reaches back does not count', times: [20, 21, 11, 12], alerts: [12] },
      { what: 'after an alert the next one needs as many events again', times: [0, 1, 2, 3, 4], alerts: [2] },
    ]),
  )('%s', (_, { times, alerts }) => {
    expect(alertTimes({}, at(times))).toEqual(alerts)
  })

  it('counts what is too late', () => {
    expect(runRule(filterFrequency, common, at([20, 10, 9])).counters).toEqual({ keys: 1, late: 2 })
  })

  it('fires at every event with num_events 1', () => {
    expect(alertTimes({ num_events: 1 }, at([0, 0, 5]))).toEqual([0, 0, 5])
  })
})

describe('the alert', () => {
  it('follows the event that caused it, with its key, the rule, its numbers and the fields of the alert map over them', () => {
    const alert = {
      message: '{num_events} in {timeframe} s by {user}/{query_key} at {timestamp}, 100% of {nothing}, {} {rule}',
      list: ['{user}', { deep: '{n.0}' }, 5, null],
      timeframe: '{timeframe}',
      text: '{num_events}',
    }
    const events = at([0, 1, 2], { user: 'eve', n: [{ a: 1 }] })
    const params = { ...common, query_key: 'user', attach: true, alert }
    const run = runRule(filterFrequency, params, events)
    expect(run.out.map(({ tag }) => tag)).toEqual(['in', 'in', 'in', 'alert'])
    expect(run.out[3]?.timestamp).toBe(start + 2)
    expect(alertsOf(run)).toEqual([
      {
        record: {
          timestamp: start + 2,
          rule: 'rule',
          query_key: 'eve',
          num_events: 3,
          timeframe: '10',
          message: `3 in 10 s by eve/eve at ${start + 2}, 100% of {nothing}, {} rule`,
          list: ['eve', { deep: '{"a":1}' }, 5, null],
          text: '3',
        },
        metadata: { rule: 'rule', pipeline: 'test', query_key: 'eve', cause: { user: 'eve', n: [{ a: 1 }] } },
      },
    ])
  })

  it('has no query_key without one, and no cause unless it is asked for', () => {
    expect(alertsOf(runRule(filterFrequency, common, at([0, 1, 2])))).toEqual([
      {
        record: { timestamp: start + 2, rule: 'rule', num_events: 3, timeframe: 10 },
        metadata: { rule: 'rule', pipeline: 'test' },
      },
    ])
  })

  it('is built from the event as it was when it came, although actions further down change it', async () => {
    const { pipeline, out } = makePipeline([
      {
        name: 'filter_frequency',
        tag: 'alert',
        query_key: 'user',
        num_events: 1,
        timeframe: 1,
        attach: true,
        alert: { who: '{user}' },
      },
      { name: 'filter_remove_keys', match: 'in', keys: ['user'] },
    ])
    await pipeline.open()
    await pipeline.inject(at([0]))
    await pipeline.run(new AbortController().signal)
    expect(out.map(({ record, metadata }) => [record.user ?? record.who, metadata?.cause])).toEqual([
      [undefined, undefined],
      ['eve', { user: 'eve' }],
    ])
  })

  it('has an id that is the same wherever a replay starts', () => {
    const idsFrom = (from: number) =>
      runRule(filterFrequency, { ...common, num_events: 1 }, at([0, 1, 1, 2, 2]).slice(from))
        .out.filter(({ tag }) => tag === 'alert')
        .map(({ metadata }) => metadata?.id)
    const ids = idsFrom(0)
    expect(new Set(ids).size).toBe(5)
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(idsFrom(1)).toEqual(ids.slice(1))
    expect(idsFrom(3)).toEqual(ids.slice(3))
  })
})

describe('query_key', () => {
  const two = { num_events: 2 }

  it.each(
    named([
      { what: '1 is not "1"', keys: [1, '1', 1], alerts: [2] },
      { what: 'null is a value, and not "null"', keys: [null, 'null', null], alerts: [2] },
      { what: 'true is not "true"', keys: [true, 'true', true], alerts: [2] },
      {
        what: 'equal lists are equal',
        keys: [
          [1, 'a'],
          [1, 'b'],
          [1, 'a'],
        ],
        alerts: [2],
      },
      {
        what: 'maps are equal in any order of their keys',
        keys: [{ a: 1, b: 2 }, { a: 1 }, { b: 2, a: 1 }],
        alerts: [2],
      },
      { what: 'a list is not the text that it is written as', keys: ['[1]', [1], '[1]'], alerts: [2] },
      {
        what: 'long texts differ in their last character',
        keys: [`${'x'.repeat(9000)}1`, 'x'.repeat(9001), `${'x'.repeat(9000)}1`],
        alerts: [2],
      },
    ]),
  )('%s', (_, { keys, alerts }) => {
    const steps = keys.map((user, index) => ({ tag: 'in', timestamp: start + index, record: { user } }))
    expect(alertTimes({ ...two, query_key: 'user' }, steps)).toEqual(alerts)
  })

  it('takes the fields of a list together, and shows the list of their values', () => {
    const records = [
      { a: 1, b: { c: 'x' } },
      { a: '1', b: { c: 'x' } },
      { a: 1, b: {} },
      { a: 1, b: { c: 'x' } },
    ]
    const steps = records.map((record, index) => ({ tag: 'in', timestamp: start + index, record }))
    const run = runRule(filterFrequency, { ...common, ...two, query_key: ['a', 'b.c'] }, steps)
    expect(alertsOf(run)).toEqual([
      {
        record: { timestamp: start + 3, rule: 'rule', query_key: [1, 'x'], num_events: 2, timeframe: 10 },
        metadata: { rule: 'rule', pipeline: 'test', query_key: [1, 'x'] },
      },
    ])
  })

  it('passes on and does not count an event that lacks it', () => {
    const run = runRule(filterFrequency, { ...common, num_events: 1, query_key: 'user' }, at([0, 1], {}))
    expect([run.out.length, run.counters]).toEqual([2, {}])
  })

  it('forgets the key longest unseen beyond max_keys, and says so', () => {
    const steps = ['a', 'b', 'a', 'c', 'b', 'a'].map((user, index) => ({
      tag: 'in',
      timestamp: start + index,
      record: { user },
    }))
    const run = runRule(filterFrequency, { ...common, num_events: 3, query_key: 'user', max_keys: 2 }, steps)
    // c drives b out, then b drives a out, then a drives c out.
    expect(alertsOf(run)).toEqual([])
    expect(run.counters).toEqual({ keys: 2, keys_forgotten: 3 })
  })
})

describe('realert', () => {
  const one = { num_events: 1, timeframe: 10 }

  it('keeps a key silent for exactly so long, and the next alert says how many there were', () => {
    const steps = [...at([0, 1, 29.9]), ...at([5], { user: 'bob' }), ...at([30])]
    const run = runRule(filterFrequency, { ...common, ...one, realert: 30, query_key: 'user' }, steps)
    const record = { rule: 'rule', num_events: 1, timeframe: 10 }
    expect(alertsOf(run).map((alert) => Reflect.get(Object(alert), 'record'))).toEqual([
      { ...record, timestamp: start, query_key: 'eve' },
      { ...record, timestamp: start + 5, query_key: 'bob' },
      { ...record, timestamp: start + 30, query_key: 'eve', suppressed: 2 },
    ])
    expect(run.counters).toEqual({ keys: 2, alerts: 3, suppressed: 2 })
  })

  it('doubles while alerts keep coming, up to the cap, and halves in quiet times', () => {
    const everySecond = Array.from({ length: 200 }, (_, index) => index)
    const params = { ...one, realert: 10, exponential_realert: 60 }
    expect(alertTimes(params, at(everySecond))).toEqual([0, 10, 30, 70, 130, 190])
    // 100 seconds after the end of the silence at 70: 40 and 20 of it take two doublings back.
    expect(alertTimes(params, at([0, 10, 30, 170, 179.9, 180, 190]))).toEqual([0, 10, 30, 170, 180])
  })
})

describe('resolve', () => {
  const params = { num_events: 1, resolve: true, query_key: 'user' }

  it('says once when there was no firing for a whole timeframe, with the record and the id of the alert', () => {
    const run = runRule(filterFrequency, { ...common, ...params }, [...at([0, 4]), { silence: 9.5 }, { silence: 50 }])
    const alerts = run.out.filter(({ tag }) => tag === 'alert')
    const record = { rule: 'rule', query_key: 'eve', num_events: 1, timeframe: 10 }
    const metadata = { id: alerts[0]?.metadata?.id, rule: 'rule', pipeline: 'test', query_key: 'eve' }
    expect(alerts).toEqual([
      { tag: 'alert', timestamp: start, record: { ...record, timestamp: start, status: 'firing' }, metadata },
      { tag: 'alert', timestamp: start + 4, record: { ...record, timestamp: start + 4, status: 'firing' }, metadata },
      {
        tag: 'alert',
        timestamp: start + 14,
        record: { ...record, timestamp: start + 14, status: 'resolved' },
        metadata,
      },
    ])
  })

  it.each(
    named([
      {
        what: 'a firing at the very moment keeps it open',
        steps: at([0, 10]),
        alerts: [
          [0, 'firing'],
          [10, 'firing'],
        ],
      },
      {
        what: 'silence up to the very moment ends it',
        steps: [...at([0]), { silence: 10 }],
        alerts: [
          [0, 'firing'],
          [10, 'resolved'],
        ],
      },
      {
        what: 'the event of another key that moves the clock comes after it',
        steps: [...at([0]), ...at([11], { user: 'bob' })],
        alerts: [
          [0, 'firing'],
          [10, 'resolved'],
          [11, 'firing'],
        ],
      },
      {
        what: 'a firing that was not told keeps it open, and what is over is told in spite of realert',
        steps: [...at([0, 8]), { silence: 30 }],
        realert: 1000,
        alerts: [
          [0, 'firing'],
          [18, 'resolved'],
        ],
      },
    ]),
  )('%s', (_, { steps, alerts, realert = 0 }) => {
    expect(alertTimes({ ...params, realert }, steps)).toEqual(alerts)
  })

  it('opens another incident, with another id, after that', () => {
    const run = runRule(filterFrequency, { ...common, ...params }, [...at([0]), { silence: 10 }, ...at([20])])
    const ids = run.out.filter(({ tag }) => tag === 'alert').map(({ metadata }) => metadata?.id)
    expect(ids[1]).toBe(ids[0])
    expect(ids[2]).not.toBe(ids[0])
  })
})

describe('what is remembered', () => {
  it.each(
    named([
      { what: 'a longer timeframe keeps the window', after: { timeframe: 20 }, alerts: [10] },
      { what: 'a shorter timeframe drops what is too old for it', after: { timeframe: 5 }, alerts: [] },
      { what: 'a lower num_events fires at the next event', after: { num_events: 2 }, alerts: [10] },
      { what: 'a higher num_events goes on counting', after: { num_events: 4 }, alerts: [] },
    ]),
  )('%s', (_, { after, alerts }) => {
    const run = runRule(filterFrequency, common, at([4, 5, 10]), {
      restarts: [2],
      paramsAfter: { ...common, ...after },
    })
    expect(run.out.filter(({ tag }) => tag === 'alert').map(({ timestamp }) => timestamp - start)).toEqual(alerts)
  })

  it('has another format with another key, and the same with other numbers', () => {
    const formatOf = (params: Record<string, unknown>) => runRule(filterFrequency, { ...common, ...params }, []).format
    expect(formatOf({ num_events: 9, timeframe: 99 })).toBe(formatOf({}))
    expect(formatOf({ query_key: 'user' })).not.toBe(formatOf({}))
    expect(formatOf({ time: 'arrival' })).not.toBe(formatOf({}))
  })
})

it.each(seedGroups(2000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => checkFrequency(seeds),
)
