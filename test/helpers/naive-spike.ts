// filter_spike by definition: every event is kept, and both windows are counted again at every moment that could matter.
import { filterSpike } from '../../src/actions/filter/filter_spike.ts'
import type { Event } from '../../src/core/event.ts'
import { expectSame, NaiveAlerts, nameOf } from './naive-alerts.ts'
import { int, keyVariants, pick, type Random, randomStream, runEveryWay, type Step } from './rule-streams.ts'

export interface SpikeParams {
  query_key?: string
  timeframe: number
  spike_height: number
  spike_type: 'up' | 'down' | 'both'
  field_value?: string
  threshold_cur?: number
  threshold_ref?: number
  realert?: number
  resolve?: boolean
  max_keys?: number
}

interface Counted {
  time: number
  value: number
}

interface History {
  value: unknown
  /** Of all events since it started over, in the order in which they came. */
  events: Counted[]
  startedOver: number
  seen: number
  incident?: { type: 'up' | 'down'; reference: number; over: boolean }
}

export function naiveSpike(params: SpikeParams, steps: readonly Step[], tag = 'alert'): Event[] {
  const { query_key, timeframe, spike_height: height, spike_type, field_value, realert, resolve = false } = params
  const { threshold_cur = 0, threshold_ref = 0, max_keys = Number.POSITIVE_INFINITY } = params
  const alerts = new NaiveAlerts({
    tag,
    queryKey: query_key !== undefined,
    ...(realert === undefined ? {} : { realert }),
    resolve,
    maxKeys: max_keys,
  })
  const keys = new Map<string, History>()
  const out: Event[] = []
  let now = Number.NEGATIVE_INFINITY
  let seen = 0

  const within = (key: History, after: number, until: number) =>
    key.events.filter(({ time }) => time > after && time <= until)
  const currentAt = (key: History, moment: number) => within(key, moment - timeframe, moment)
  const referenceAt = (key: History, moment: number) => within(key, moment - 2 * timeframe, moment - timeframe)
  const measure = (events: readonly Counted[]) => {
    if (field_value === undefined) return events.length
    return events.length === 0 ? null : events.reduce((sum, { value }) => sum + value, 0) / events.length
  }
  const isLarger = (larger: number | null, smaller: number | null) =>
    larger !== null && smaller !== null && larger > 0 && smaller >= 0 && larger >= height * smaller
  const isSmaller = (current: readonly Counted[], reference: number | null) =>
    current.length === 0 || isLarger(reference, measure(current))
  const watched = (key: History, moment: number) =>
    moment >= (key.events[0]?.time ?? Number.POSITIVE_INFINITY) + 2 * timeframe

  function fire(key: History, type: 'up' | 'down', moment: number, cause?: Event): void {
    const current = measure(currentAt(key, moment))
    const reference = measure(referenceAt(key, moment)) ?? 0
    const larger = type === 'up' ? current : reference
    const smaller = type === 'up' ? reference : current
    const own = {
      spike_height: larger === null || smaller === null || smaller === 0 ? null : larger / smaller,
      spike_type: type,
      current,
      reference,
    }
    out.push(...alerts.fire(key.value, cause?.timestamp ?? moment, own, cause))
    key.events = []
    key.startedOver = moment
    key.incident = { type, reference, over: false }
    alerts.endsAt(key.value, Number.POSITIVE_INFINITY)
  }

  /** A moment is past: all of its events have come. */
  function settle(key: History, moment: number): void {
    const current = currentAt(key, moment)
    const reference = referenceAt(key, moment)
    const enough = current.length === 0 || current.length >= threshold_cur
    if (
      spike_type !== 'up' &&
      watched(key, moment) &&
      reference.length >= Math.max(1, threshold_ref) &&
      enough &&
      isSmaller(current, measure(reference))
    ) {
      fire(key, 'down', moment)
    }
    const { incident } = key
    if (incident === undefined) return
    const left = currentAt(key, moment)
    const holds =
      incident.type === 'up' ? isLarger(measure(left), incident.reference) : isSmaller(left, incident.reference)
    if (holds) alerts.endsAt(key.value, Number.POSITIVE_INFINITY)
    else if (!incident.over) alerts.endsAt(key.value, moment + timeframe)
    incident.over = !holds
  }

  /** Between these moments nothing changes. Times are multiples of half a second. */
  function goTo(end: number, including: boolean): void {
    const limit = including ? end + 0.25 : end
    const changes = [...keys.values()].flatMap(({ events }) =>
      events.flatMap(({ time }) => [time + timeframe, time + 2 * timeframe]),
    )
    const moments = [...new Set([now, ...changes])].filter((moment) => moment >= now && moment < limit)
    for (const moment of moments.sort((a, b) => a - b)) {
      out.push(...alerts.resolvedBefore(moment))
      for (const key of [...keys.values()].sort((a, b) => a.seen - b.seen)) settle(key, moment)
    }
    out.push(...alerts.resolvedBefore(limit))
    now = end
  }

  function seeKey(value: unknown): History {
    const name = nameOf(value)
    const key = keys.get(name) ?? { value, events: [], startedOver: Number.NEGATIVE_INFINITY, seen: 0 }
    if (!keys.has(name) && keys.size >= max_keys) {
      const [oldest, history] = [...keys.entries()].sort(([, a], [, b]) => a.seen - b.seen)[0] ?? []
      if (oldest !== undefined) keys.delete(oldest)
      if (history?.incident?.over === false) alerts.endsAt(history.value, now + timeframe)
    }
    key.seen = ++seen
    keys.set(name, key)
    return key
  }

  function see(event: Event): void {
    const value = query_key === undefined ? null : event.record[query_key]
    const number = field_value === undefined ? 0 : numberIn(event.record[field_value])
    if (value === undefined || number === undefined) return
    const key = seeKey(value)
    const time = event.timestamp
    const before = Math.max(...key.events.map((other) => other.time))
    if (time < key.startedOver || time + 2 * timeframe <= before) return
    key.events.push({ time, value: number })
    const newest = Math.max(time, before)
    if (spike_type === 'down' || !watched(key, newest)) return
    const current = currentAt(key, newest)
    const reference = referenceAt(key, newest)
    if (current.length < threshold_cur || reference.length < Math.max(1, threshold_ref)) return
    if (isLarger(measure(current), measure(reference))) fire(key, 'up', newest, event)
  }

  for (const step of steps) {
    if ('silence' in step) {
      goTo(now + step.silence, true)
      continue
    }
    if (now === Number.NEGATIVE_INFINITY) now = step.timestamp
    if (step.timestamp > now) goTo(step.timestamp, false)
    out.push(step)
    see(step)
  }
  return out
}

function numberIn(value: unknown): number | undefined {
  if (typeof value === 'string' && value !== '' && value !== 'x') return Number(value)
  return typeof value === 'number' ? value : undefined
}

/** What the streams of a test have shown, so that none of it is missing. */
export interface SpikesSeen {
  up: number
  down: number
  resolved: number
}

/** Compares the rule with its definition on one random stream, cut and restarted anywhere. */
export function checkSpike(random: Random, seen: SpikesSeen): void {
  const timeframe = pick(random, [2, 5, 10])
  const params: SpikeParams = {
    timeframe,
    spike_height: pick(random, [1, 1.5, 2, 3]),
    spike_type: pick(random, ['up', 'down', 'both']),
    threshold_cur: pick(random, [0, 0, 1, 2, 3]),
    threshold_ref: pick(random, [0, 0, 1, 2, 4]),
    resolve: random() < 0.5,
    ...(random() < 0.7 ? { query_key: 'key' } : {}),
    ...(random() < 0.4 ? { field_value: 'value' } : {}),
    ...(random() < 0.3 ? { realert: pick(random, [1, timeframe, 3 * timeframe]) } : {}),
    ...(random() < 0.1 ? { max_keys: 2 } : {}),
  }
  const values = [undefined, null, 'x', '', 0, 0, 1, 1, 2, 3.5, '4', 12, -1, pick(random, [0, 100])]
  const steps = randomStream(random, {
    length: int(random, 2, 60),
    timeframe,
    keys: [undefined, ...keyVariants.slice(0, int(random, 1, 4))],
    silences: pick(random, [0, 0.1, 0.2]),
    fields: () => {
      const value = pick(random, values)
      return value === undefined ? {} : { value }
    },
  })
  const stream = steps.slice(steps.findIndex((step) => 'tag' in step))
  if (!stream.some((step) => 'tag' in step)) return
  const { out } = runEveryWay(random, filterSpike, { ...params, match: 'in', tag: 'alert' }, stream)
  for (const { record } of out) {
    if (record.status === 'resolved') seen.resolved++
    else if (record.spike_type === 'up') seen.up++
    else if (record.spike_type === 'down') seen.down++
  }
  expectSame(out, naiveSpike(params, stream), JSON.stringify(params))
}
