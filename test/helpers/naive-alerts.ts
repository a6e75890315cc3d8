// What becomes of the firings of a rule, by definition: every firing is kept, everything is counted again each time.
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import type { Event } from '../../src/core/event.ts'

export interface NaiveAlertOptions {
  tag: string
  /** Present in the records when the rule has one. */
  queryKey: boolean
  realert?: number
  cap?: number | undefined
  resolve?: boolean
  /** Seconds without a firing after which it is over; without it, `endsAt` says so. */
  resolveAfter?: number
  maxKeys?: number
  attach?: boolean
}

interface KeyHistory {
  value: unknown
  firings: { time: number; sent: boolean }[]
  incident?: { id: string; record: Record<string, unknown>; end: number }
}

/** A text that differs for different values. */
export function nameOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(nameOf).join()}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${JSON.stringify(key)}:${nameOf(item)}`)
      .join()}}`
  }
  return typeof value === 'bigint' ? `${value}n` : `${typeof value} ${JSON.stringify(value)}`
}

/** The ids it gives are texts that say what they are of: see `expectSame`. */
export class NaiveAlerts {
  readonly #options: NaiveAlertOptions
  /** By name, in the order of their last firings. */
  readonly #keys = new Map<string, KeyHistory>()

  constructor(options: NaiveAlertOptions) {
    this.#options = options
  }

  fire(value: unknown, time: number, own: Record<string, unknown>, cause?: Event): Event[] {
    const { tag, queryKey, realert = 0, resolve = false, resolveAfter, attach = false } = this.#options
    const name = nameOf(value)
    const key = this.#see(name, value)
    const older = key.firings.length > 0 && time < Math.max(...key.firings.map((firing) => firing.time))
    const before = older
      ? key.firings.filter((firing, index) => key.firings.slice(0, index).some(({ time }) => time > firing.time))
      : key.firings.filter((firing) => firing.time === time)
    const id = `${name} ${time} ${older ? 'L' : ''}${before.length + 1}`
    const silent = realert > 0 && time < this.#silentUntil(key)
    key.firings.push({ time, sent: !silent })
    const end = Math.max(...key.firings.map((firing) => firing.time)) + (resolveAfter ?? 0)
    if (silent) {
      if (key.incident !== undefined && resolveAfter !== undefined) key.incident.end = end
      return []
    }
    const lastSent = key.firings.slice(0, -1).findLastIndex(({ sent }) => sent)
    const suppressed = key.firings.length - 2 - lastSent
    const record: Record<string, unknown> = { timestamp: time, rule: 'rule' }
    if (queryKey) record.query_key = shown(value)
    Object.assign(record, own)
    if (suppressed > 0) record.suppressed = suppressed
    if (resolve) record.status = 'firing'
    const incidentId = key.incident?.id ?? id
    if (resolve) {
      const { suppressed: _, ...kept } = record
      key.incident = {
        id: incidentId,
        record: kept,
        end: resolveAfter === undefined ? (key.incident?.end ?? Number.POSITIVE_INFINITY) : end,
      }
    }
    const metadata = this.#metadata(incidentId, value)
    if (attach && cause !== undefined) metadata.cause = cause.record
    return [{ tag, timestamp: time, record, metadata }]
  }

  endsAt(value: unknown, moment: number): void {
    const incident = this.#keys.get(nameOf(value))?.incident
    if (incident !== undefined) incident.end = moment
  }

  /** What is over when an event moves the time to `now`: another may still fire at that very moment. */
  resolvedBefore(now: number): Event[] {
    return this.#resolved((end) => end < now)
  }

  /** What is over when time has gone by to `now` without an event. */
  resolvedUntil(now: number): Event[] {
    return this.#resolved((end) => end <= now)
  }

  #resolved(isOver: (end: number) => boolean): Event[] {
    const over = [...this.#keys.values()]
      .filter(({ incident }) => incident !== undefined && isOver(incident.end))
      .sort((a, b) => (a.incident?.end ?? 0) - (b.incident?.end ?? 0))
    return over.flatMap((key) => {
      const { incident } = key
      if (incident === undefined) return []
      delete key.incident
      const record = { ...incident.record, timestamp: incident.end, status: 'resolved' }
      return [
        { tag: this.#options.tag, timestamp: incident.end, record, metadata: this.#metadata(incident.id, key.value) },
      ]
    })
  }

  #metadata(id: string, value: unknown): Record<string, unknown> {
    return { id, rule: 'rule', pipeline: 'test', ...(this.#options.queryKey ? { query_key: shown(value) } : {}) }
  }

  #see(name: string, value: unknown): KeyHistory {
    const key = this.#keys.get(name) ?? { value, firings: [] }
    this.#keys.delete(name)
    this.#keys.set(name, key)
    const first = this.#keys.keys().next().value
    if (this.#keys.size > (this.#options.maxKeys ?? Number.POSITIVE_INFINITY) && first !== undefined) {
      this.#keys.delete(first)
    }
    return key
  }

  /** The end of the silence after the last alert sent: from the first alert on, by ElastAlert's rule. */
  #silentUntil({ firings }: KeyHistory): number {
    const { realert = 0, cap } = this.#options
    let until = Number.NEGATIVE_INFINITY
    let exponent = 0
    for (const { time } of firings.filter(({ sent }) => sent)) {
      let wait = realert
      if (cap !== undefined && until !== Number.NEGATIVE_INFINITY) {
        let diff = time - until
        if (diff < realert * 2 ** exponent) {
          exponent += 1
        } else {
          while (diff > realert * 2 ** exponent && exponent > 0) {
            diff -= realert * 2 ** exponent
            exponent -= 1
          }
        }
        wait = realert * 2 ** exponent
        if (wait >= cap) {
          wait = cap
          exponent -= 1
        }
      }
      until = time + wait
    }
    return until
  }
}

/** Of a long text, alerts show how it begins. */
function shown(value: unknown): unknown {
  return typeof value === 'string' && value.length > 1024 ? `${value.slice(0, 200)}...` : value
}

/** Compares, event by event, what a rule gave with what its definition gives. */
export function expectSame(actual: readonly Event[], expected: readonly Event[], note: string): void {
  const named = withNamesFor(actual, expected)
  // An expectation an event would cost more than the rules do.
  const first = expected.findIndex((event, index) => !isDeepStrictEqual(named[index], event))
  if (first >= 0) expect(named[first], `${note}, event ${first}`).toStrictEqual(expected[first])
  expect(named.length, note).toBe(expected.length)
}

/** The events with ids as the naive alerts give them: equal ids become equal, different ones different. */
function withNamesFor(actual: readonly Event[], expected: readonly Event[]): Event[] {
  const names = new Map<unknown, unknown>()
  const ids = new Map<unknown, unknown>()
  return actual.map((event, index) => {
    const id = event.metadata?.id
    const name = expected[index]?.metadata?.id
    if (id === undefined || name === undefined) return event
    if (!names.has(id) && !ids.has(name)) {
      names.set(id, name)
      ids.set(name, id)
    }
    return { ...event, metadata: { ...event.metadata, id: names.get(id) ?? id } }
  })
}
