// How a dotted path (`a.b.0.c`) reads and writes a record. A key that contains a dot and exists literally wins.

import { type EventRecord, isPlainObject, setOwn } from './event.ts'

/** A compiled path. A path without a dot costs one property access. */
export interface Field {
  readonly path: string
  /** The value, or undefined when the record has none. */
  get(record: EventRecord): unknown
  /** Sets the value; maps on the way are made, a list is never grown. Returns false when something else is in the way. */
  set(record: EventRecord, value: unknown): boolean
  /** Removes the value and returns it, or undefined when there was none. */
  remove(record: EventRecord): unknown
}

export function compileField(path: string): Field {
  const parts = path.split('.')
  if (parts.length === 1) {
    return {
      path,
      get: (record) => (Object.hasOwn(record, path) ? record[path] : undefined),
      set: (record, value) => {
        setOwn(record, path, value)
        return true
      },
      remove: (record) => removeKey(record, path),
    }
  }
  const parents = parts.slice(0, -1)
  const last = parts.at(-1) ?? ''
  return {
    path,
    get: (record) => (Object.hasOwn(record, path) ? record[path] : getIn(record, parts)),
    set: (record, value) => {
      if (!Object.hasOwn(record, path)) return setIn(record, parts, value)
      setOwn(record, path, value)
      return true
    },
    remove: (record) => {
      if (Object.hasOwn(record, path)) return removeKey(record, path)
      return removeKey(getIn(record, parents), last)
    },
  }
}

/** The fields in an order in which they can be removed one by one: what lies deeper, or later in a list, comes first. */
export function lastFirst(fields: readonly Field[]): readonly Field[] {
  return [...fields].sort((a, b) => b.path.localeCompare(a.path, 'en', { numeric: true }))
}

function getIn(value: unknown, parts: readonly string[]): unknown {
  let current = value
  for (const part of parts) current = child(current, part)
  return current
}

function child(value: unknown, part: string): unknown {
  if (Array.isArray(value)) return isIndex(part) ? value[Number(part)] : undefined
  return isPlainObject(value) && Object.hasOwn(value, part) ? value[part] : undefined
}

function setIn(record: EventRecord, parts: readonly string[], value: unknown): boolean {
  let current: unknown = record
  for (let i = 0; i < parts.length - 1; i++) {
    const part = parts[i] as string
    let next = child(current, part)
    if (next === undefined) {
      if (!isPlainObject(current)) return false
      next = {}
      setOwn(current, part, next)
    }
    current = next
  }
  const last = parts.at(-1) ?? ''
  if (Array.isArray(current)) {
    if (!isIndex(last) || Number(last) >= current.length) return false
    current[Number(last)] = value
    return true
  }
  if (!isPlainObject(current)) return false
  setOwn(current, last, value)
  return true
}

function removeKey(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) {
    return isIndex(key) && Number(key) < parent.length ? parent.splice(Number(key), 1)[0] : undefined
  }
  if (!isPlainObject(parent) || !Object.hasOwn(parent, key)) return undefined
  const value = parent[key]
  delete parent[key]
  return value
}

function isIndex(part: string): boolean {
  return /^(0|[1-9][0-9]{0,9})$/.test(part)
}
