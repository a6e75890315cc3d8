// filter_frequency by its definition: all events of a key are kept, and counted again at each event.
import { filterFrequency } from '../../../src/actions/filter/filter_frequency.ts'
import type { Event } from '../../../src/core/event.ts'
import { expectSame, NaiveAlerts, nameOf } from '../../helpers/naive-alerts.ts'
import {
  int,
  keyVariants,
  pick,
  type Random,
  randomStream,
  runEveryWay,
  type Step,
  seeded,
} from '../../helpers/rule-streams.ts'

export interface FrequencyParams extends Record<string, unknown> {
  num_events: number
  timeframe: number
  query_key?: string
  realert: number
  exponential_realert?: number
  resolve: boolean
  max_keys: number
  attach: boolean
}

/** Holds the rule against its definition on a random stream a seed, cut and restarted in every way. */
export function checkFrequency(seeds: readonly number[]): void {
  for (const seed of seeds) {
    const random = seeded(seed)
    const { params, steps } = randomCase(random)
    const { out } = runEveryWay(random, filterFrequency, { ...params, tag: 'alert' }, steps)
    expectSame(out, naiveFrequency(params, steps), `seed ${seed}: ${JSON.stringify(params)}`)
  }
}

export function naiveFrequency(params: FrequencyParams, steps: readonly Step[]): Event[] {
  const { num_events, timeframe, query_key, max_keys } = params
  const alerts = new NaiveAlerts({
    tag: 'alert',
    queryKey: query_key !== undefined,
    realert: params.realert,
    cap: params.exponential_realert,
    resolve: params.resolve,
    resolveAfter: timeframe,
    maxKeys: max_keys,
    attach: params.attach,
  })
  /** By name, in the order in which they were seen; `counted` are those since the last alert. */
  const keys = new Map<string, { all: number[]; counted: number[] }>()
  const out: Event[] = []
  let now = Number.NEGATIVE_INFINITY
  let begun = false
  for (const step of steps) {
    if ('silence' in step) {
      // The clock of a stream that has not begun stands at its first event.
      now = Math.max(now, firstTime(steps)) + step.silence
      out.push(...alerts.resolvedUntil(now))
      continue
    }
    const time = step.timestamp
    // The first event says what time it is, whatever the clock was before.
    now = begun ? Math.max(now, time) : time
    begun = true
    out.push(...alerts.resolvedBefore(now), step)
    const value = query_key === undefined ? null : step.record[query_key]
    if (value === undefined) continue
    const name = nameOf(value)
    const key = keys.get(name) ?? { all: [], counted: [] }
    keys.delete(name)
    keys.set(name, key)
    if (keys.size > max_keys) keys.delete(keys.keys().next().value ?? '')
    const late = time <= Math.max(...key.all) - timeframe
    key.all.push(time)
    if (late) continue
    key.counted.push(time)
    const newest = Math.max(...key.all)
    if (key.counted.filter((other) => other > newest - timeframe).length < num_events) continue
    key.counted = []
    out.push(...alerts.fire(value, time, { num_events, timeframe }, step))
  }
  return out
}

function firstTime(steps: readonly Step[]): number {
  return steps.find((step) => 'tag' in step)?.timestamp ?? 0
}

/** Parameters and a stream that reach all of it. */
export function randomCase(random: Random): { params: FrequencyParams; steps: Step[] } {
  const timeframe = pick(random, [2, 5, 10])
  const realert = pick(random, [0, 0, 3, timeframe, 4 * timeframe])
  const keys: unknown[] = Array.from({ length: int(random, 1, 5) }, () => pick(random, keyVariants))
  if (random() < 0.3) keys.push(undefined)
  return {
    params: {
      num_events: pick(random, [1, 2, 2, 3, 5, 9]),
      timeframe,
      realert,
      resolve: random() < 0.5,
      max_keys: random() < 0.3 ? int(random, 1, 3) : 1000,
      attach: random() < 0.2,
      ...(random() < 0.8 ? { query_key: 'key' } : {}),
      ...(random() < 0.5 ? { exponential_realert: pick(random, [1, 20, 60]) } : {}),
    },
    steps: randomStream(random, { length: int(random, 1, 80), timeframe, keys, silences: pick(random, [0, 0.1]) }),
  }
}
