// filter_change by its definition: all events of a key are kept, and each is compared with the one before it.
import { filterChange } from '../../../src/actions/filter/filter_change.ts'
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

export interface ChangeParams extends Record<string, unknown> {
  compare_key: string | string[]
  ignore_null: boolean
  timeframe?: number
  query_key?: string[]
  realert: number
  exponential_realert?: number
  max_keys: number
}

/** Holds the rule against its definition on a random stream a seed, cut and restarted in every way. */
export function checkChange(seeds: readonly number[]): void {
  for (const seed of seeds) {
    const random = seeded(seed)
    const { params, steps } = randomCase(random)
    const { out } = runEveryWay(random, filterChange, { ...params, tag: 'alert' }, steps)
    expectSame(out, naiveChange(params, steps), `seed ${seed}: ${JSON.stringify(params)}`)
  }
}

export function naiveChange(params: ChangeParams, steps: readonly Step[]): Event[] {
  const { compare_key, ignore_null, timeframe, query_key, max_keys } = params
  const alerts = new NaiveAlerts({
    tag: 'alert',
    queryKey: query_key !== undefined,
    realert: params.realert,
    cap: params.exponential_realert,
    maxKeys: max_keys,
  })
  /** By name, in the order in which they were seen. */
  const keys = new Map<string, Event[]>()
  const out: Event[] = []
  for (const step of steps) {
    if ('silence' in step) continue
    out.push(step)
    const parts = query_key?.map((field) => step.record[field])
    if (parts?.includes(undefined)) continue
    if (ignore_null && [compare_key].flat().some((field) => (step.record[field] ?? null) === null)) continue
    const name = nameOf(parts)
    const events = keys.get(name) ?? []
    events.push(step)
    keys.delete(name)
    keys.set(name, events)
    if (keys.size > max_keys) keys.delete(keys.keys().next().value ?? '')
    const before = events.at(-2)
    if (before === undefined) continue
    const values = { old_value: valueIn(before), new_value: valueIn(step) }
    if (nameOf(values.old_value) === nameOf(values.new_value)) continue
    if (timeframe !== undefined && Math.abs(step.timestamp - before.timestamp) >= timeframe) continue
    out.push(...alerts.fire(parts ?? null, step.timestamp, values, step))
  }
  return out

  function valueIn({ record }: Event): unknown {
    if (typeof compare_key === 'string') return record[compare_key] ?? null
    return compare_key.map((field) => record[field] ?? null)
  }
}

/** Short values, which alerts show as a whole, and Unicode that survives in lists. */
const values = keyVariants.filter((value) => typeof value !== 'string' || value.length < 1000)

/** Parameters and a stream that reach all of it. */
export function randomCase(random: Random): { params: ChangeParams; steps: Step[] } {
  const timeframe = pick(random, [2, 5])
  const few = Array.from({ length: int(random, 2, 4) }, () => pick(random, values))
  const keys: unknown[] = Array.from({ length: int(random, 1, 4) }, () => pick(random, values))
  if (random() < 0.3) keys.push(undefined)
  return {
    params: {
      compare_key: pick(random, ['value', ['value'], ['value', 'other']]),
      ignore_null: random() < 0.5,
      realert: pick(random, [0, 0, 3, 8]),
      max_keys: random() < 0.3 ? int(random, 1, 3) : 1000,
      ...(random() < 0.5 ? { timeframe } : {}),
      ...(random() < 0.8 ? { query_key: random() < 0.7 ? ['key'] : ['key', 'other'] } : {}),
      ...(random() < 0.3 ? { exponential_realert: pick(random, [1, 20, 60]) } : {}),
    },
    steps: randomStream(random, {
      length: int(random, 1, 80),
      timeframe,
      keys,
      fields: () => {
        const record: Record<string, unknown> = {}
        if (random() < 0.9) record.value = pick(random, few)
        if (random() < 0.9) record.other = pick(random, [0, null])
        return record
      },
    }),
  }
}
