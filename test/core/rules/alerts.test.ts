// The life of alerts, seen through rules that have little else.
import { describe, expect, it } from 'vitest'
import { filterChange } from '../../../src/actions/filter/filter_change.ts'
import { filterFlatline } from '../../../src/actions/filter/filter_flatline.ts'
import { filterFrequency } from '../../../src/actions/filter/filter_frequency.ts'
import { filterMatchingList } from '../../../src/actions/filter/filter_matching_list.ts'
import type { ActionSpec } from '../../../src/core/action.ts'
import type { Event } from '../../../src/core/event.ts'
import { type RunOptions, runRule, type Step } from '../../helpers/rule-streams.ts'

const start = 1_700_000_000
const at = (time: number, record: Record<string, unknown> = {}): Event => ({
  tag: 'in',
  timestamp: start + time,
  record,
})
const every = { tag: 'alert', num_events: 1, timeframe: 10 }

function alertsOf(spec: ActionSpec, params: Record<string, unknown>, steps: readonly Step[], options?: RunOptions) {
  return runRule(spec, params, steps, options).out.filter(({ tag }) => tag === 'alert')
}

const secondsOf = (alerts: readonly Event[]) =>
  alerts.map(({ timestamp, record }) => [timestamp - start, ...(record.status === undefined ? [] : [record.status])])

describe('after a change of parameters', () => {
  const day = { ...every, realert: 86_400 }

  it('a shorter realert ends the silence that is longer', () => {
    const restarted = (after: Record<string, unknown>) =>
      secondsOf(
        alertsOf(filterFrequency, day, [at(0), at(50), at(60), at(200)], {
          restarts: [1],
          paramsAfter: { ...every, ...after },
        }),
      )
    expect(restarted({ realert: 0 })).toEqual([[0], [50], [60], [200]])
    expect(restarted({ realert: 60 })).toEqual([[0], [60], [200]])
    expect(restarted({ realert: 86_400 })).toEqual([[0]])
  })

  it('another timeframe says when an incident is over', () => {
    const params = { ...every, resolve: true }
    const options = { restarts: [1], paramsAfter: { ...params, timeframe: 30 } }
    expect(secondsOf(alertsOf(filterFrequency, params, [at(0), { silence: 15 }, { silence: 20 }], options))).toEqual([
      [0, 'firing'],
      [30, 'resolved'],
    ])
  })

  it('a higher threshold of a flatline is not held against events that were not kept', () => {
    const params = { tag: 'alert', threshold: 2, timeframe: 10 }
    const steps = [...Array.from({ length: 40 }, (_, second) => at(second)), { silence: 20 }]
    const options = { restarts: [20], paramsAfter: { ...params, threshold: 5 } }
    expect(alertsOf(filterFlatline, params, steps, options).map(({ timestamp }) => timestamp - start)).toEqual([45, 55])
  })
})

describe('an event whose time is none', () => {
  const times = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1_700_000_000_000] as const
  const bad = (timestamp: number, record = {}): Event => ({ tag: 'in', timestamp, record })

  it.each(times)('%d: is late for a window, and does not close it for those that follow', (time) => {
    const run = runRule(filterFrequency, { ...every, num_events: 2 }, [at(0), bad(time), at(5)])
    expect(secondsOf(run.out.filter(({ tag }) => tag === 'alert'))).toEqual([[5]])
    expect(run.counters.late).toBe(1)
  })

  it.each(times)('%d: gives an alert, and does not silence those that follow', (time) => {
    const params = { tag: 'alert', key: 'log', list: ['x'], realert: 60 }
    const steps = [bad(time, { log: 'x' }), at(0, { log: 'x' }), at(30, { log: 'x' }), bad(time, { log: 'x' })]
    const alerts = alertsOf(filterMatchingList, params, [...steps, at(60, { log: 'x' })])
    expect(alerts.map(({ timestamp }) => timestamp)).toEqual([time, start, time, start + 60])
    expect(new Set(alerts.map(({ metadata }) => metadata?.id)).size).toBe(4)
  })

  it.each(times)('%d: is no reason to miss a change', (time) => {
    const params = { tag: 'alert', compare_key: 'a' }
    expect(alertsOf(filterChange, params, [at(0, { a: 1 }), bad(time, { a: 2 }), at(1, { a: 3 })])).toHaveLength(2)
  })

  it.each(times)('%d: does not keep a flatline waiting', (time) => {
    const params = { tag: 'alert', threshold: 1, timeframe: 10, query_key: 'k' }
    const steps = [at(0, { k: 2 }), bad(time, { k: 1 }), at(1, { k: 1 }), { silence: 11 }]
    expect(
      alertsOf(filterFlatline, params, steps).map(({ timestamp, record }) => [timestamp - start, record.query_key]),
    ).toEqual([
      [10, 2],
      [11, 1],
    ])
  })
})

it('an incident says when it is over although the last event was late', () => {
  expect(secondsOf(alertsOf(filterFrequency, { ...every, resolve: true }, [at(5), at(0), { silence: 20 }]))).toEqual([
    [5, 'firing'],
    [0, 'firing'],
    [15, 'resolved'],
  ])
})

it('a field nested too deep to be written does not keep an alert from coming', () => {
  let deep: unknown = 1
  for (let level = 0; level < 50_000; level++) deep = [deep]
  const params = { ...every, num_events: 2, alert: { text: '{deep} of {num_events}' } }
  const alerts = alertsOf(filterFrequency, params, [at(0), at(1, { deep })])
  expect(alerts.map(({ record }) => record.text)).toEqual(['{deep} of 2'])
})
