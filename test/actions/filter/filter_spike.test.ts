import { describe, expect, it } from 'vitest'
import { filterSpike } from '../../../src/actions/filter/filter_spike.ts'
import type { Event } from '../../../src/core/event.ts'
import { checkSpike } from '../../helpers/naive-spike.ts'
import { alertsOf, named, type RunOptions, runRule, type Step, seeded, seedGroups } from '../../helpers/rule-streams.ts'

const base = { match: 'in', tag: 'alert', timeframe: 10, spike_height: 3 }

/** Events at these seconds. */
function at(times: readonly number[], record: Record<string, unknown> = {}): Event[] {
  return times.map((timestamp) => ({ tag: 'in', timestamp, record }))
}

/** What the alerts say: when, which way, and from what to what. */
function spikes(params: Record<string, unknown>, steps: readonly Step[], options: RunOptions = {}): unknown[] {
  return runRule(filterSpike, { ...base, ...params }, steps, options)
    .out.filter(({ tag }) => tag === 'alert')
    .map(({ timestamp, record }) => [
      timestamp,
      ...(record.status === undefined || record.status === 'firing' ? [] : [record.status]),
      record.spike_type,
      record.reference,
      record.current,
    ])
}

/** The only key, at 0 and then, in the window before 20, at 5 and 6. */
const two = [0, 5, 6]

describe('a rise', () => {
  it('by spike_height gives an alert with everything in it, after the event that caused it', () => {
    const params = { ...base, spike_type: 'up', query_key: 'user', attach: true }
    const alert = { text: '{user}: {spike_type} {spike_height} times, from {reference} to {current}' }
    const steps = [...at([0, 5, 15, 17, 20, 21], { user: 'eve' }), ...at([22], { user: 'bob' })]
    const run = runRule(filterSpike, { ...params, alert, threshold_cur: 4 }, steps)
    expect(run.out.map(({ tag }) => tag)).toEqual(['in', 'in', 'in', 'in', 'in', 'in', 'alert', 'in'])
    expect(run.out[6]?.timestamp).toBe(21)
    expect(alertsOf(run)).toEqual([
      {
        record: {
          timestamp: 21,
          rule: 'rule',
          query_key: 'eve',
          spike_height: 4,
          spike_type: 'up',
          current: 4,
          reference: 1,
          text: 'eve: up 4 times, from 1 to 4',
        },
        metadata: { rule: 'rule', pipeline: 'test', query_key: 'eve', cause: { user: 'eve' } },
      },
    ])
  })

  it.each(
    named([
      {
        what: 'is enough at exactly spike_height',
        times: [...two, 16, 17, 18, 19, 19.5, 20],
        told: [[20, 'up', 2, 6]],
      },
      { what: 'is not below it', times: [...two, 16, 17, 18, 19, 20], told: [] },
      { what: 'is not told before two whole timeframes since the first event', times: [0, 5, 15, 17, 19.5], told: [] },
      { what: 'is told at two whole timeframes since it', times: [0, 5, 15, 17, 20], told: [[20, 'up', 1, 3]] },
      { what: 'is none against an empty reference', times: [0, 21, 22, 23, 24, 25], told: [] },
      {
        what: 'counts an event exactly a timeframe ago in the reference',
        times: [0, 11, 12, 13, 14, 15, 21],
        told: [[21, 'up', 1, 5]],
      },
      {
        what: 'does not count an event exactly two timeframes ago',
        times: [0, 2, 3, 12.5, 13, 22],
        told: [[22, 'up', 1, 3]],
      },
      {
        what: 'is told at once, and then the key starts over with two whole timeframes',
        times: [0, 5, 15, 17, 20, 21, 22, 23, 24, 25, 31, 35, 36, 37, 38, 39, 40.5],
        told: [[20, 'up', 1, 3]],
      },
      {
        what: 'is told again after that',
        times: [0, 5, 15, 17, 20, 21, 22, 35, 36, 41],
        told: [
          [20, 'up', 1, 3],
          [41, 'up', 1, 3],
        ],
      },
      {
        what: 'may be found by an event that comes late, and has its time',
        times: [0, 5, 15, 20, 17],
        told: [[17, 'up', 1, 3]],
      },
      {
        what: 'counts a late event in the reference, while it is there',
        times: [0, 5, 15, 17, 9, 20],
        told: [],
      },
    ]),
  )('%s', (_, { times, told }) => {
    expect(spikes({ spike_type: 'up' }, at(times))).toEqual(told)
  })

  it.each([
    ['threshold_cur', 3, 4],
    ['threshold_ref', 1, 2],
  ])('is told only if its window holds %s', (threshold, enough, more) => {
    const steps = at([0, 5, 15, 17, 20])
    expect(spikes({ spike_type: 'up', [threshold]: enough }, steps)).toEqual([[20, 'up', 1, 3]])
    expect(spikes({ spike_type: 'up', [threshold]: more }, steps)).toEqual([])
  })

  it('is not told by a rule that looks for falls, nor a fall by one that looks for rises', () => {
    const steps = [...at([0, 5, 15, 17, 20]), { silence: 50 }]
    expect(spikes({ spike_type: 'up' }, steps)).toEqual([[20, 'up', 1, 3]])
    expect(spikes({ spike_type: 'down' }, steps)).toEqual([[30, 'down', 3, 0]])
  })
})

describe('a fall', () => {
  const six = [0, 11, 12, 13, 14, 15, 16]

  it('by spike_height gives an alert with everything in it, at its moment', () => {
    const params = { ...base, spike_type: 'down', query_key: 'user' }
    const run = runRule(filterSpike, params, [...at([...six, 19], { user: 'eve' }), ...at([40], { user: 'bob' })])
    expect(run.out.map(({ tag, timestamp }) => [tag, timestamp]).slice(-3)).toEqual([
      ['in', 19],
      ['alert', 26],
      ['in', 40],
    ])
    expect(alertsOf(run)).toEqual([
      {
        record: {
          timestamp: 26,
          rule: 'rule',
          query_key: 'eve',
          spike_height: 6,
          spike_type: 'down',
          current: 1,
          reference: 6,
        },
        metadata: { rule: 'rule', pipeline: 'test', query_key: 'eve' },
      },
    ])
  })

  it.each(
    named<{ what: string; steps: Step[]; params?: Record<string, unknown>; told: unknown[] }>([
      {
        what: 'is enough at exactly spike_height',
        steps: [...at([...six, 17, 18]), { silence: 9 }],
        told: [[26, 'down', 6, 2]],
      },
      {
        what: 'is found by the clock when the key fell silent',
        steps: [...at([0, 11, 12]), { silence: 9.5 }, { silence: 0.5 }],
        told: [[22, 'down', 2, 0]],
      },
      { what: 'is not told before its moment is past', steps: [...at([0, 11, 12]), { silence: 9.5 }], told: [] },
      { what: 'is none when an event comes at the very moment', steps: at([0, 11, 12, 22]), told: [] },
      {
        what: 'is told once, however long the silence',
        steps: [...at([0, 11, 12]), { silence: 1000 }],
        told: [[22, 'down', 2, 0]],
      },
      {
        what: 'is told again when the key was back for two whole timeframes',
        steps: [...at([0, 11, 12, 50, 61, 62]), { silence: 1000 }],
        told: [
          [22, 'down', 2, 0],
          [72, 'down', 2, 0],
        ],
      },
      {
        what: 'is not told before two whole timeframes since the first event',
        steps: [...at([0, 1, 2]), { silence: 50 }],
        told: [[20, 'down', 2, 0]],
      },
      {
        what: 'needs threshold_cur events in its window',
        steps: [...at([...six, 17, 18]), { silence: 9.5 }],
        params: { threshold_cur: 3 },
        told: [],
      },
      {
        what: 'to silence needs no threshold_cur',
        steps: [...at([...six, 17, 18]), { silence: 20 }],
        params: { threshold_cur: 3 },
        told: [[28, 'down', 8, 0]],
      },
      {
        what: 'needs threshold_ref events in the window before',
        steps: [...at([0, 11, 12]), { silence: 50 }],
        params: { threshold_ref: 3 },
        told: [],
      },
      { what: 'is none from an empty reference', steps: [...at([0]), { silence: 100 }], told: [] },
      {
        what: 'counts late events where they belong',
        steps: [...at([0, 19, 20, 12, 13, 14]), { silence: 9 }],
        told: [[29, 'down', 4, 1]],
      },
      {
        what: 'of one key is found while others go on, in the order of the moments',
        steps: [...at([0, 12], { user: 'a' }), ...at([0, 11], { user: 'b' }), ...at([25], { user: 'c' })],
        params: { query_key: 'user' },
        told: [
          [21, 'down', 1, 0],
          [22, 'down', 1, 0],
        ],
      },
    ]),
  )('%s', (_, { steps, params = {}, told }) => {
    expect(spikes({ spike_type: 'down', ...params }, steps)).toEqual(told)
  })
})

it('tells with both which way it was', () => {
  const steps = [...at([0, 5, 15, 17, 20, 21, 32, 33]), { silence: 50 }]
  expect(spikes({ spike_type: 'both' }, steps)).toEqual([
    [20, 'up', 1, 3],
    [43, 'down', 2, 0],
  ])
})

it('counts what is too late for both windows, or older than the last alert', () => {
  const run = (times: readonly number[]) => runRule(filterSpike, { ...base, spike_type: 'up' }, at(times)).counters
  expect(run([20, 0.5, 0])).toEqual({ keys: 1, late: 1 })
  expect(run([0, 5, 15, 17, 20, 19.5, 20])).toEqual({ keys: 1, alerts: 1, late: 1 })
})

it('is silent for realert, and says with the next alert how many there were', () => {
  const life = [0, 5, 15, 17, 20]
  const times = [0, 100, 200].flatMap((start) => life.map((time) => start + time))
  const run = runRule(filterSpike, { ...base, spike_type: 'up', realert: 150 }, at(times))
  expect(alertsOf(run).map((alert) => Reflect.get(Object(alert), 'record'))).toEqual([
    { timestamp: 20, rule: 'rule', spike_height: 3, spike_type: 'up', current: 3, reference: 1 },
    { timestamp: 220, rule: 'rule', spike_height: 3, spike_type: 'up', current: 3, reference: 1, suppressed: 1 },
  ])
})

describe('the mean of field_value', () => {
  const readings = (pairs: readonly (readonly [number, unknown])[]) => pairs.flatMap(([time, n]) => at([time], { n }))

  it.each(
    named<{ what: string; steps: Step[]; told: unknown[]; type?: string }>([
      {
        what: 'is compared instead of the number of events',
        steps: readings([
          [0, 10],
          [5, 10],
          [15, 40],
          [20, 20],
        ]),
        told: [[20, 'up', 10, 30]],
      },
      {
        what: 'is that of numbers and of texts that are numbers',
        steps: readings([
          [0, '10'],
          [5, ' 1e1 '],
          [14, 'many'],
          [15, '40.0'],
          [16, null],
          [20, 20n],
        ]),
        told: [[20, 'up', 10, 30]],
      },
      {
        what: 'may fall to 0',
        steps: [
          ...readings([
            [0, 5],
            [12, 5],
            [21, 0],
          ]),
          { silence: 1 },
        ],
        told: [[22, 'down', 5, 0]],
      },
      {
        what: 'is null for a key that fell silent',
        steps: [...readings([[0, 5]]), ...readings([[12, 5]]), { silence: 50 }],
        told: [[22, 'down', 5, null]],
      },
      {
        what: 'below 0 is not compared',
        steps: readings([
          [0, -1],
          [5, -1],
          [15, 90],
          [20, 90],
        ]),
        told: [],
      },
      {
        what: 'may rise from 0',
        steps: readings([
          [0, 0],
          [5, 0],
          [15, 0],
          [20, 1],
        ]),
        told: [[20, 'up', 0, 0.5]],
      },
      {
        what: 'keeps nothing of a large number that has left',
        steps: readings([
          [0, 1e200],
          [1, 0.1],
          [2, 0.2],
          [12, 0.1],
          [13, 0.2],
          [23, 1],
        ]),
        told: [[23, 'up', 0.15000000000000002, 1]],
      },
    ]),
  )('%s', (_, { steps, told }) => {
    expect(spikes({ spike_type: 'both', field_value: 'n' }, steps)).toEqual(told)
  })

  it('has no ratio to 0, or to nothing', () => {
    const ratioOf = (steps: Step[]) =>
      runRule(filterSpike, { ...base, spike_type: 'both', field_value: 'n' }, steps).out.find(
        ({ tag }) => tag === 'alert',
      )?.record.spike_height
    expect(ratioOf([...at([0, 12], { n: 5 }), { silence: 50 }])).toBeNull()
    expect(ratioOf([...at([0, 5], { n: 0 }), ...at([20], { n: 5 })])).toBeNull()
  })

  it('passes on and counts an event without a number', () => {
    const values = [undefined, null, '', 'x', '1x', '0x10', true, [1], {}, Number.NaN, 1e300, '1'.repeat(100)]
    const run = runRule(
      filterSpike,
      { ...base, spike_type: 'up', field_value: 'n' },
      readings(values.map((n) => [0, n])),
    )
    expect([run.out.length, run.counters]).toEqual([values.length, { no_value: values.length }])
  })
})

describe('with resolve', () => {
  const rise = [0, 5, 15, 17, 20]

  it('a rise is over when there were not so many for a whole timeframe, with the record and the id of the alert', () => {
    const run = runRule(filterSpike, { ...base, spike_type: 'up', resolve: true, query_key: 'user' }, [
      ...at(rise, { user: 'eve' }),
      { silence: 50 },
    ])
    const alerts = run.out.filter(({ tag }) => tag === 'alert')
    const record = { rule: 'rule', query_key: 'eve', spike_height: 3, spike_type: 'up', current: 3, reference: 1 }
    const metadata = { id: alerts[0]?.metadata?.id, rule: 'rule', pipeline: 'test', query_key: 'eve' }
    expect(alerts).toEqual([
      { tag: 'alert', timestamp: 20, record: { ...record, timestamp: 20, status: 'firing' }, metadata },
      { tag: 'alert', timestamp: 30, record: { ...record, timestamp: 30, status: 'resolved' }, metadata },
    ])
  })

  it.each(
    named<{ what: string; steps: Step[]; params?: Record<string, unknown>; told: unknown[] }>([
      {
        what: 'a rise goes on while the window holds so many events since the alert',
        steps: [...at([...rise, 21, 22, 23]), { silence: 50 }],
        told: [
          [20, 'up', 1, 3],
          [41, 'resolved', 'up', 1, 3],
        ],
      },
      {
        what: 'so many at the very moment keep it open',
        steps: [...at([...rise, 21, 22, 23, 39, 40, 41]), { silence: 50 }],
        told: [
          [20, 'up', 1, 3],
          [59, 'resolved', 'up', 1, 3],
        ],
      },
      {
        what: 'a fall goes on in silence',
        steps: [...at([0, 11, 12]), { silence: 500 }],
        params: { spike_type: 'down' },
        told: [[22, 'down', 2, 0]],
      },
      {
        what: 'a fall is over when there were not so few at any moment of a timeframe',
        steps: [...at([0, 11, 12]), { silence: 20 }, ...at([40, 45]), { silence: 8 }],
        params: { spike_type: 'down' },
        told: [
          [22, 'down', 2, 0],
          [50, 'resolved', 'down', 2, 0],
        ],
      },
      {
        what: 'a fall is not over when there are so few again at the end of it',
        steps: [...at([0, 11, 12]), { silence: 20 }, ...at([40]), { silence: 15 }],
        params: { spike_type: 'down' },
        told: [[22, 'down', 2, 0]],
      },
      {
        what: 'it is over a timeframe after the key was forgotten',
        steps: [...at([0, 11, 12], { user: 'a' }), ...at([30], { user: 'b' }), { silence: 15 }],
        params: { spike_type: 'down', query_key: 'user', max_keys: 1 },
        told: [
          [22, 'down', 2, 0],
          [40, 'resolved', 'down', 2, 0],
        ],
      },
    ]),
  )('%s', (_, { steps, params = {}, told }) => {
    expect(spikes({ spike_type: 'up', resolve: true, ...params }, steps)).toEqual(told)
  })
})

describe('what is remembered', () => {
  it('of shorter windows is not taken for the whole of longer ones', () => {
    const steady = at(Array.from({ length: 80 }, (_, index) => 2 * index))
    const after = { ...base, spike_type: 'both', spike_height: 1.5, timeframe: 20 }
    expect(spikes({ ...after, timeframe: 10 }, steady, { restarts: [40], paramsAfter: after })).toEqual([])
  })

  it('of longer windows serves shorter ones', () => {
    const after = { ...base, spike_type: 'up', timeframe: 5 }
    const steps = at([0, 11, 17, 18, 19, 20])
    expect(spikes({ spike_type: 'up' }, steps, { restarts: [5], paramsAfter: after })).toEqual([[20, 'up', 1, 4]])
  })

  it('has another format with another field or key, and the same with other numbers', () => {
    const formatOf = (params: Record<string, unknown>) =>
      runRule(filterSpike, { ...base, spike_type: 'up', ...params }, []).format
    expect(formatOf({ timeframe: 99, spike_height: 9, spike_type: 'down', threshold_ref: 3 })).toBe(formatOf({}))
    expect(new Set([formatOf({}), formatOf({ field_value: 'a' }), formatOf({ query_key: 'a' })]).size).toBe(3)
  })
})

it.each(seedGroups(2000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => {
    const seen = { up: 0, down: 0, resolved: 0 }
    for (const seed of seeds) checkSpike(seeded(seed), seen)
    expect(Math.min(seen.up, seen.down, seen.resolved)).toBeGreaterThan(20)
  },
)
