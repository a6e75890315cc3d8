import { describe, expect, test } from 'vitest'
import { filterFlatline } from '../../../src/actions/filter/filter_flatline.ts'
import { VirtualClock } from '../../../src/core/clock.ts'
import type { Event } from '../../../src/core/event.ts'
import { checkFlatline } from '../../helpers/naive-flatline.ts'
import { runRule, type Step, seeded } from '../../helpers/rule-streams.ts'
import { makePipeline } from '../../helpers/run-pipeline.ts'

const at = (timestamp: number, key?: unknown): Event => ({
  tag: 'in',
  timestamp,
  record: key === undefined ? {} : { key },
})
const base = { match: 'in', tag: 'alert', threshold: 1, timeframe: 10 }
const alertsOf = (params: Record<string, unknown>, steps: readonly Step[]) =>
  runRule(filterFlatline, { ...base, ...params }, steps).out.filter(({ tag }) => tag === 'alert')
const momentsOf = (params: Record<string, unknown>, steps: readonly Step[]) =>
  alertsOf(params, steps).map(({ timestamp, record }) => [timestamp, record.query_key ?? null, record.number_of_event])

describe('fewer than threshold events in the last timeframe', () => {
  test('give an alert with everything in it, at the moment itself', () => {
    const [alert, ...more] = alertsOf(
      { query_key: 'key', alert: { text: '{query_key}: {number_of_event} of {threshold}, {x}' } },
      [at(100, 'a'), at(111, 'b')],
    )
    expect(more).toEqual([])
    expect(alert).toEqual({
      tag: 'alert',
      timestamp: 110,
      record: {
        timestamp: 110,
        rule: 'rule',
        query_key: 'a',
        number_of_event: 0,
        threshold: 1,
        text: 'a: 0 of 1, {x}',
      },
      metadata: { id: expect.stringMatching(/^[0-9a-f]{32}$/), rule: 'rule', pipeline: 'test', query_key: 'a' },
    })
  })

  test.each<[string, Record<string, unknown>, Step[], unknown[]]>([
    ['an event exactly a timeframe later is in time', {}, [at(0), at(10), at(20), at(31)], [[30, null, 0]]],
    [
      'again each timeframe until it is back',
      {},
      [at(0), at(35), at(44), at(60)],
      [
        [10, null, 0],
        [20, null, 0],
        [30, null, 0],
        [54, null, 0],
      ],
    ],
    [
      'once, and then the key is forgotten, with forget_keys',
      { forget_keys: true, query_key: 'key' },
      [at(0, 'a'), at(100, 'b'), at(105, 'a'), at(200, 'c')],
      [
        [10, 'a', 0],
        [110, 'b', 0],
        [115, 'a', 0],
      ],
    ],
    [
      'once until an event comes, with forget_keys and no key',
      { forget_keys: true },
      [at(0), { silence: 50 }, at(100), at(105), { silence: 50 }],
      [
        [10, null, 0],
        [115, null, 0],
      ],
    ],
    [
      'a whole timeframe after the first event of a key is waited for',
      { threshold: 3, query_key: 'key' },
      [at(0, 'a'), at(1, 'a'), at(9, 'b'), at(15, 'c')],
      [[10, 'a', 1]],
    ],
    [
      'fewer are enough for an alert, and their number is told',
      { threshold: 2 },
      [at(0), at(5), at(9), at(19.5)],
      [[15, null, 1]],
    ],
    ['in complete silence, by the clock', {}, [at(0), { silence: 9.5 }, { silence: 0.5 }], [[10, null, 0]]],
    [
      'a late event counts where it still can',
      {},
      [at(0), at(9, 'x'), at(8), { silence: 9.5 }, { silence: 0.5 }],
      [[19, null, 0]],
    ],
    [
      'a late event of old does not',
      { query_key: 'key' },
      [at(100, 'a'), at(105, 'b'), at(90, 'a'), at(110.5, 'b')],
      [[110, 'a', 0]],
    ],
    ['an event without the key is not counted', { query_key: 'key' }, [at(0, 'a'), at(5), at(11)], [[10, 'a', 0]]],
    [
      'realert keeps it silent, and the next alert tells how often',
      { realert: 25 },
      [at(0), { silence: 45 }],
      [
        [10, null, 0],
        [40, null, 0],
      ],
    ],
  ])('%s', (_, params, steps, expected) => {
    expect(momentsOf(params, steps)).toEqual(expected)
  })

  test('are told a thousand times more at most when the time leaps ahead, the last ones', () => {
    const run = runRule(filterFlatline, { ...base, query_key: 'key' }, [at(1e9, 'a'), at(5e9, 'b')])
    const moments = run.out.filter(({ tag }) => tag === 'alert').map(({ timestamp }) => timestamp)
    expect(moments).toHaveLength(1000)
    expect([moments[0], moments[1], moments.at(-1)]).toEqual([1e9 + 10, 5e9 - 9990, 5e9 - 10])
    expect(run.counters.repeats_left_out).toBe(4e8 - 1001)
  })

  test('are not told of the time before a key came, when its first event comes very late', () => {
    const steps = [at(1e9, 'a'), at(0, 'b'), at(1e9 + 5, 'a'), at(1e9 + 10.5, 'a')]
    expect(momentsOf({ query_key: 'key' }, steps)).toEqual([[1e9 + 10, 'b', 0]])
  })

  test('without query_key are told even if nothing ever comes, a timeframe after the start', async () => {
    const clock = new VirtualClock(1000)
    const { pipeline, out } = makePipeline([{ name: 'filter_flatline', ...base }], { clock })
    await pipeline.open()
    clock.advance(9.9)
    await pipeline.elapse(0)
    expect(out).toEqual([])
    clock.advance(0.1)
    await pipeline.elapse(0)
    expect(out.map(({ record }) => record)).toEqual([
      { timestamp: 1010, rule: 'filter_flatline', number_of_event: 0, threshold: 1 },
    ])
  })

  test('are seen in a file from yesterday, which begins when it begins', async () => {
    const { pipeline, out } = makePipeline([{ name: 'filter_flatline', ...base, match: 'heartbeat' }])
    await pipeline.open()
    await pipeline.inject([at(100), at(105), at(120)])
    expect(out.map(({ tag, timestamp }) => `${tag} ${timestamp}`)).toEqual(['in 100', 'in 105', 'alert 110', 'in 120'])
  })
})

describe('with resolve', () => {
  test('it is over when there were enough at every moment of a timeframe, under the id of the alert', () => {
    const alerts = alertsOf({ resolve: true, query_key: 'key' }, [at(0, 'a'), at(30, 'a'), at(36, 'a'), at(42, 'a')])
    expect(alerts.map(({ timestamp, record }) => [timestamp, record.status, record.number_of_event])).toEqual([
      [10, 'firing', 0],
      [20, 'firing', 0],
      [40, 'resolved', 0],
    ])
    expect(new Set(alerts.map(({ metadata }) => metadata?.id)).size).toBe(1)
  })

  test('it is not over when it falls silent again before that', () => {
    const alerts = alertsOf({ resolve: true }, [at(0), { silence: 12 }, at(12), { silence: 30 }])
    expect(alerts.map(({ timestamp, record }) => [timestamp, record.status])).toEqual([
      [10, 'firing'],
      [22, 'firing'],
      [32, 'firing'],
      [42, 'firing'],
    ])
  })
})

test('on 2,000 random streams, cut and restarted anywhere, it does what its definition says', () => {
  for (let seed = 0; seed < 2000; seed++) checkFlatline(seeded(seed))
})
