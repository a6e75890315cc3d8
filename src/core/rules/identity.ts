// What makes two values the same: each value as a primitive that can be the key of a Map, and back.
import { createHash } from 'node:crypto'
import { type EventRecord, isPlainObject, setOwn } from '../event.ts'

/*
 * A text, a number, a boolean, null and a BigInt stand for themselves. Any other value is a text that begins with NUL:
 *   NUL and JSON    a list or a map, its keys sorted; also a text that itself begins with NUL
 *   NUL # ...       what is too long to keep: a SHA-256, of `"` and the text or `[` and the JSON, and how it begins
 * In the JSON, what JSON has no form for is a text that begins with NUL and a letter.
 */

/** Stands for a value in a Map: equal for equal values, different for values of different type. */
export type Key = string | number | boolean | bigint | null

/** Characters of a text that is kept as a whole. */
export const maxKeyLength = 1024
/** Characters shown of a longer one. */
const shownLength = 200
/** Lists and maps inside of each other. */
const maxDepth = 128

/**
 * The key of a value; undefined for undefined. A text longer than `maxLength` becomes a hash. A RangeError for what is nested
 * more than 128 levels deep.
 */
export function keyOf(value: unknown, maxLength = maxKeyLength): Key | undefined {
  switch (typeof value) {
    case 'string':
      if (value.length > maxLength) return hashed('"', value)
      return value.charCodeAt(0) === 0 ? `\0${identityText(value)}` : value
    case 'number':
    case 'boolean':
    case 'bigint':
    case 'undefined':
      return value
    default:
      return value === null ? null : compoundKey(identityText(value), maxLength)
  }
}

/** A key of the identity text of a value. */
export function compoundKey(text: string, maxLength = maxKeyLength): Key {
  return text.length > maxLength ? hashed('[', text) : `\0${text}`
}

/** The value that a key stands for: a copy. Of a long text, how it begins. */
export function keyValue(key: Key): unknown {
  if (typeof key !== 'string' || key.charCodeAt(0) !== 0) return key
  if (key.charAt(1) === '#') return `${key.slice(66)}...`
  return JSON.parse(key.slice(1), revive)
}

/** JSON text of a value that differs for different values, whatever their type; the keys of maps are sorted. */
export function identityText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.charCodeAt(0) === 0 ? `\0s${value}` : value)
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : JSON.stringify(`\0f${value}`)
    default:
      return JSON.stringify(plain(value, 0))
  }
}

/** Characters of the shortest text that V8 makes as a slice of another one. */
const shortestSlice = 13

/** A copy of a text that holds no larger text in memory, as a slice does. */
export function copyText(text: string): string {
  if (text.length < shortestSlice) return text
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  return copy === text ? copy : Buffer.from(text, 'utf16le').toString('utf16le')
}

/** The kind keeps a list apart from the text that it is written as. */
function hashed(kind: '"' | '[', text: string): string {
  return `\0#${createHash('sha256').update(kind).update(text, 'utf16le').digest('hex')}${text.slice(0, shownLength)}`
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.charCodeAt(0) === 0 ? `\0s${value}` : value
  if (typeof value === 'number') return Number.isFinite(value) ? value : `\0f${value}`
  if (typeof value === 'bigint') return `\0n${value}`
  if (typeof value !== 'object' || value === null) return value ?? null
  if (depth === maxDepth) throw new RangeError(`a value nested more than ${maxDepth} levels deep cannot be compared`)
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1))
  if (value instanceof Uint8Array) return `\0b${Buffer.from(value).toString('base64')}`
  if ('toJSON' in value && typeof value.toJSON === 'function') return plain(value.toJSON(), depth + 1)
  if (!isPlainObject(value)) return plain({ ...value }, depth + 1)
  const sorted: EventRecord = {}
  for (const key of Object.keys(value).sort()) setOwn(sorted, key, plain(value[key], depth + 1))
  return sorted
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'string' || value.charCodeAt(0) !== 0) return value
  const rest = value.slice(2)
  switch (value.charAt(1)) {
    case 'f':
      return Number(rest)
    case 'n':
      return BigInt(rest)
    case 'b':
      return Buffer.from(rest, 'base64')
    default:
      return rest
  }
}
