// What flows through a pipeline.

/** What a user sees of an event. Any string is a key, `__proto__` too: write through `setOwn` or `setField`. */
export type EventRecord = Record<string, unknown>

export interface Event {
  /** Which actions take the event: they match it by a glob. Never empty. */
  tag: string
  /** Unix seconds, fractional. */
  timestamp: number
  record: EventRecord
  /** Travels with the event; never written by an output unless asked. */
  metadata?: EventRecord
}

/** Sets a key of a record as an own property, whatever its name. */
export function setOwn(record: EventRecord, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    record[key] = value
  }
}

/** Copies the own keys of `source` over `target`, as Object.assign does, but keeps `__proto__` a plain key. */
export function assignOwn(target: EventRecord, source: EventRecord): EventRecord {
  if (!Object.hasOwn(source, '__proto__')) return Object.assign(target, source)
  for (const key of Object.keys(source)) setOwn(target, key, source[key])
  return target
}

/** A deep copy of plain data. Buffers and dates are shared: nobody writes to them. */
export function cloneValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneValue)
  if (!isPlainObject(value)) return value
  const copy: EventRecord = {}
  for (const key of Object.keys(value)) setOwn(copy, key, cloneValue(value[key]))
  return copy
}

export function cloneEvent(event: Event): Event {
  const copy: Event = {
    tag: event.tag,
    timestamp: event.timestamp,
    record: cloneValue(event.record) as EventRecord,
  }
  if (event.metadata !== undefined) copy.metadata = event.metadata
  return copy
}

/** True for maps: an object that is neither a list, a date nor bytes. */
export function isPlainObject(value: unknown): value is EventRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
