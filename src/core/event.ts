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

/** A copy without some keys. Deleting them would turn the record into a dictionary, which is slow to read and write. */
export function copyWithout(record: EventRecord, keys: ReadonlySet<string>): EventRecord {
  const copy: EventRecord = {}
  // A record inherits nothing enumerable: for-in sees its own keys, for less than Object.keys costs.
  for (const key in record) {
    if (!keys.has(key)) setOwn(copy, key, record[key])
  }
  return copy
}

/** Levels that are copied by recursion; what lies deeper is copied without the stack, which it could overflow. */
const recursionDepth = 200
/** Levels that are copied at all: what is deeper holds itself, or is an attack. */
const maxDepth = 200_000

/**
 * A deep copy of plain data, down to 200,000 levels: a RangeError past them. Buffers and dates are shared: nobody
 * writes to them.
 */
export function cloneValue(value: unknown): unknown {
  return cloneLevel(value, 0)
}

function cloneLevel(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > recursionDepth) return cloneDeep(value)
  if (Array.isArray(value)) {
    const list: unknown[] = []
    for (const item of value) list.push(cloneLevel(item, depth + 1))
    return list
  }
  if (!isPlainObject(value)) return value
  const copy: EventRecord = {}
  for (const key of Object.keys(value)) setOwn(copy, key, cloneLevel(value[key], depth + 1))
  return copy
}

interface Todo {
  value: unknown
  depth: number
  put(copy: unknown): void
}

function cloneDeep(value: unknown): unknown {
  const top: unknown[] = []
  const todo: Todo[] = [{ value, depth: recursionDepth, put: (copy) => top.push(copy) }]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { value: source, put } = next
    const depth = next.depth + 1
    if (depth > maxDepth) throw new RangeError(`nested more than ${maxDepth} levels deep`)
    if (Array.isArray(source)) {
      const list: unknown[] = new Array(source.length)
      put(list)
      source.forEach((item, index) => {
        todo.push({
          value: item,
          depth,
          put: (copy) => {
            list[index] = copy
          },
        })
      })
    } else if (isPlainObject(source)) {
      const copy: EventRecord = {}
      put(copy)
      // From the last key to the first, because the last one pushed is copied first: keys keep their order.
      for (const key of Object.keys(source).reverse()) {
        todo.push({ value: source[key], depth, put: (item) => setOwn(copy, key, item) })
      }
    } else {
      put(source)
    }
  }
  return top[0]
}

export function cloneEvent(event: Event): Event {
  const copy: Event = {
    tag: event.tag,
    timestamp: event.timestamp,
    record: cloneValue(event.record) as EventRecord,
  }
  if (event.metadata !== undefined) copy.metadata = cloneValue(event.metadata) as EventRecord
  return copy
}

/** True for maps: an object that is neither a list, a date nor bytes. */
export function isPlainObject(value: unknown): value is EventRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
