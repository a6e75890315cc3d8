// What becomes of a MessagePack map: a plain object whose keys are text, whatever they were.
import { EventTime } from './event-time.ts'

/** A map, whatever its keys. */
export type MsgpackMap = Record<string, unknown>

export function isMap(value: unknown): value is MsgpackMap {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/** `__proto__` is a key like any other. */
export function setPair(map: MsgpackMap, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(map, key, { value, ...plainProperty })
  else map[key] = value
}

/** A key that is no string as text. Not JSON.stringify: it would make many times its size of a Buffer. */
export function keyText(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString()
  if (Array.isArray(value)) return `[${value.map(keyText).join(',')}]`
  if (isMap(value)) return `{${Object.keys(value).map((key) => `${key}:${keyText(value[key])}`)}}`
  return value instanceof EventTime ? String(value.toSeconds()) : String(value)
}

const plainProperty = { writable: true, enumerable: true, configurable: true }
