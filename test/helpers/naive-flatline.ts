// filter_flatline by definition: every event is kept, and every moment that could be one is looked at again.
import { filterFlatline } from '../../src/actions/filter/filter_flatline.ts'
import type { Event } from '../../src/core/event.ts'
import { expectSame, NaiveAlerts, nameOf } from './naive-alerts.ts'
import { int, keyVariants, pick, type Random, randomStream, runEveryWay, type Step } from './rule-streams.ts'

export interface FlatlineParams {
  query_key?: string
  threshold: number
  timeframe: number
  forget_keys?: boolean
  realert?: number
  resolve?: boolean
}

interface History {
  value: unknown
  since: number
  fired: number
  times: number[]
  /** An alert was due and there were not enough events since. */
  low: boolean
  /** Nothing is expected before an event comes. */
  asleep: boolean
  seen: number
}

export function naiveFlatline(params: FlatlineParams, steps: readonly Step[], tag = 'alert'): Event[] {
  const { query_key, threshold, timeframe, forget_keys = false, realert, resolve = false } = params
  const alerts = new NaiveAlerts({
    tag,
    queryKey: query_key !== undefined,
    ...(realert === undefined ? {} : { realert }),
    resolve,
  })
  const keys = new Map<string, History>()
  const out: Event[] = []
  const open = new Set<string>()
  let now = Number.NEGATIVE_INFINITY
  let seen = 0

  const count = ({ times }: History, moment: number) =>
    times.filter((time) => time > moment - timeframe && time <= moment).length

  /** The first moment at which a key has too few events, if no more come. */
  function lowAt(key: History): number {
    if (key.asleep) return Number.POSITIVE_INFINITY
    const moments = [key.since, key.fired, ...key.times].map((time) => time + timeframe)
    const low = moments.filter(
      (moment) => moment >= key.since + timeframe && moment >= key.fired + timeframe && count(key, moment) < threshold,
    )
    return Math.min(...low)
  }

  function goTo(moment: number, including: boolean): void {
    const isPast = (other: number) => (including ? other <= moment : other < moment)
    for (;;) {
      const due = [...keys.entries()].map(([name, key]) => ({ name, key, at: lowAt(key) }))
      const first = due.sort((a, b) => a.at - b.at || a.key.seen - b.key.seen)[0]
      const at = first?.at ?? Number.POSITIVE_INFINITY
      const limit = Math.min(at, moment)
      // What fires at the moment at which something would be over keeps it open. Times are multiples of half a second.
      out.push(...alerts.resolvedBefore(first !== undefined && isPast(at) ? limit : including ? moment + 0.25 : moment))
      if (first === undefined || !isPast(at)) return
      const { name, key } = first
      out.push(...alerts.fire(key.value, at, { number_of_event: count(key, at), threshold }))
      if (resolve) open.add(name)
      alerts.endsAt(key.value, Number.POSITIVE_INFINITY)
      key.fired = at
      key.low = true
      if (!forget_keys) continue
      if (query_key === undefined) key.asleep = true
      else keys.delete(name)
    }
  }

  for (const step of steps) {
    if ('silence' in step) {
      now += step.silence
      goTo(now, true)
      continue
    }
    const first = now === Number.NEGATIVE_INFINITY
    if (step.timestamp > now) {
      now = step.timestamp
      if (!first) goTo(now, false)
    } else goTo(now, false)
    const value = query_key === undefined ? null : step.record[query_key]
    if (first && query_key === undefined) {
      const since = now
      keys.set(nameOf(null), {
        value: null,
        since,
        fired: Number.NEGATIVE_INFINITY,
        times: [],
        low: false,
        asleep: false,
        seen: 0,
      })
    }
    out.push(step)
    if (value === undefined) continue
    const name = nameOf(value)
    // What came too late says nothing about the time since.
    const from = step.timestamp > now - timeframe ? step.timestamp : now
    const wasLow = open.has(name) && !keys.has(name)
    const key = keys.get(name) ?? {
      ...{ value, since: from, fired: Number.NEGATIVE_INFINITY, times: [] },
      ...{ low: wasLow, asleep: false, seen: 0 },
    }
    keys.set(name, key)
    if (key.asleep) {
      key.asleep = false
      key.since = from
    }
    key.seen = ++seen
    key.times.push(step.timestamp)
    if (key.low && count(key, now) >= threshold) {
      key.low = false
      open.delete(name)
      alerts.endsAt(value, now + timeframe)
    }
  }
  return out
}

/** Compares the rule with its definition on one random stream, cut and restarted anywhere. */
export function checkFlatline(random: Random): void {
  const timeframe = pick(random, [2, 5, 10])
  const params = {
    timeframe,
    threshold: int(random, 1, 3),
    forget_keys: random() < 0.4,
    resolve: random() < 0.5,
    ...(random() < 0.7 ? { query_key: 'key' } : {}),
    ...(random() < 0.4 ? { realert: pick(random, [1, timeframe, 3 * timeframe]) } : {}),
  }
  const steps = randomStream(random, {
    length: int(random, 2, 40),
    timeframe,
    keys: [undefined, ...keyVariants.slice(0, int(random, 1, 6))],
    silences: pick(random, [0, 0.2]),
  })
  const stream = steps.slice(steps.findIndex((step) => 'tag' in step))
  if (!stream.some((step) => 'tag' in step)) return
  const { out } = runEveryWay(random, filterFlatline, { ...params, match: 'in', tag: 'alert' }, stream)
  expectSame(out, naiveFlatline(params, stream), JSON.stringify(params))
}
