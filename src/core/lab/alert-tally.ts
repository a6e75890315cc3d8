// Counts the alerts of a replay: by rule, by key and over time, in bounded memory.
import { stringifyJson } from '../json.ts'
import type { Alert } from './lab.ts'

export interface Count {
  alerts: number
  resolved: number
  /** Alerts that were held back, as far as the alerts that were sent tell of them. */
  suppressed: number
  /** Unix seconds of the first and the last alert; NaN while there is none. */
  first: number
  last: number
}

export interface RuleCount extends Count {
  /** By the key as JSON text. */
  keys: ReadonlyMap<string, Count>
  /** Whether there are keys that are not among them. */
  moreKeys: boolean
}

export interface Bar {
  /** Unix seconds where it begins. */
  from: number
  alerts: number
}

/** Keys of one rule that are counted apart. */
const maxKeys = 100_000
/** Bars that are kept while counting. */
const maxBars = 2000
/** Widths of a bar in seconds; each is a multiple of the one before. */
const widths = [
  ...[1, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800],
  ...[2_419_200, 31_449_600],
] as const

export class AlertTally {
  /** By the place of the rule in its pipeline. */
  readonly rules = new Map<number, RuleCount & { keys: Map<string, Count> }>()
  #bars = new Map<number, number>()
  /** Index in `widths`. */
  #width = 0

  add({ event, rule }: Alert): void {
    let count = this.rules.get(rule)
    if (count === undefined) {
      count = { ...nothing(), keys: new Map(), moreKeys: false }
      this.rules.set(rule, count)
    }
    const { timestamp, record, metadata } = event
    const resolved = record.status === 'resolved'
    const suppressed = typeof record.suppressed === 'number' ? record.suppressed : 0
    addTo(count, timestamp, resolved, suppressed)
    if (!resolved) this.#addBar(timestamp)
    const key = metadata?.query_key
    if (key === undefined) return
    const text = stringifyJson(key)
    let own = count.keys.get(text)
    if (own === undefined) {
      if (count.keys.size >= maxKeys) {
        count.moreKeys = true
        return
      }
      own = nothing()
      count.keys.set(text, own)
    }
    addTo(own, timestamp, resolved, suppressed)
  }

  /** Alerts over time, without resolved ones, in at most `limit` bars of one width (seconds). */
  histogram(limit: number): { width: number; bars: Bar[] } {
    for (let at = this.#width; at < widths.length; at++) {
      this.#widen(at)
      const indices = [...this.#bars.keys()]
      const first = Math.min(...indices)
      const span = indices.length === 0 ? 0 : Math.max(...indices) - first + 1
      const width = this.#seconds
      if (span > limit) continue
      const bars = Array.from({ length: span }, (_, i) => ({
        from: (first + i) * width,
        alerts: this.#bars.get(first + i) ?? 0,
      }))
      return { width, bars }
    }
    // Times that are centuries apart: only those where something is.
    const width = this.#seconds
    const some = [...this.#bars].sort(([a], [b]) => a - b).slice(0, limit)
    return { width, bars: some.map(([index, alerts]) => ({ from: index * width, alerts })) }
  }

  get #seconds(): number {
    return widths[this.#width] ?? 1
  }

  #addBar(timestamp: number): void {
    let index = Math.floor(timestamp / this.#seconds)
    while (!this.#bars.has(index) && this.#bars.size >= maxBars && this.#width + 1 < widths.length) {
      this.#widen(this.#width + 1)
      index = Math.floor(timestamp / this.#seconds)
    }
    const count = this.#bars.get(index)
    if (count !== undefined || this.#bars.size < maxBars) this.#bars.set(index, (count ?? 0) + 1)
  }

  #widen(at: number): void {
    const factor = (widths[at] ?? 1) / this.#seconds
    this.#width = at
    if (factor === 1) return
    const wider = new Map<number, number>()
    for (const [index, count] of this.#bars) {
      const into = Math.floor(index / factor)
      wider.set(into, (wider.get(into) ?? 0) + count)
    }
    this.#bars = wider
  }
}

function nothing(): Count {
  return { alerts: 0, resolved: 0, suppressed: 0, first: Number.NaN, last: Number.NaN }
}

function addTo(count: Count, timestamp: number, resolved: boolean, suppressed: number): void {
  if (resolved) {
    count.resolved++
    return
  }
  count.alerts++
  count.suppressed += suppressed
  if (!(timestamp >= count.first)) count.first = timestamp
  if (!(timestamp <= count.last)) count.last = timestamp
}
