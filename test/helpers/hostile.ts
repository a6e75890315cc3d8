// Records that break things: deep, large, or with keys and values that JavaScript treats oddly.
import type { EventRecord } from '../../src/core/event.ts'

/** `[[[...]]]` or `{a:{a:...}}`, made without recursion. */
export function nested(depth: number, kind: 'list' | 'map'): unknown {
  let value: unknown = 'end'
  for (let i = 0; i < depth; i++) value = kind === 'list' ? [value] : { a: value }
  return value
}

const cycle: EventRecord = { log: 'a' }
Object.assign(cycle, { self: cycle })

interface Hostile {
  record: EventRecord
  /** Whether JSON can hold it. */
  writable: boolean
}

const hostileRecords: Record<string, Hostile> = {
  'an empty map': { record: {}, writable: true },
  'lists 100,000 deep': { record: { log: nested(100_000, 'list') }, writable: false },
  'maps 100,000 deep': { record: { log: nested(100_000, 'map') }, writable: false },
  '__proto__ as a key': { record: JSON.parse('{"__proto__":{"polluted":1},"log":{"__proto__":2}}'), writable: true },
  'names of Object.prototype': {
    record: { constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: [] },
    writable: true,
  },
  'text of 10 MB': { record: { log: 'x'.repeat(10_000_000) }, writable: true },
  'a key of 1 MB': { record: { ['k'.repeat(1_000_000)]: 1 }, writable: true },
  BigInt: { record: { log: [12345678901234567890n, { n: -1n }] }, writable: true },
  'BigInt below 100,000 levels': { record: { n: 1n, log: nested(100_000, 'map') }, writable: false },
  'numbers JSON lacks': { record: { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, minus: -0 }, writable: true },
  undefined: { record: { log: undefined, list: [undefined] }, writable: true },
  'half a surrogate pair': { record: { log: '\ud800', '\udc00': 1 }, writable: true },
  'line breaks and control characters': { record: { 'a\nb': 'c\r\n\u2028\u0000\u001b[2J' }, writable: true },
  bytes: { record: { log: Buffer.from([0, 255]), at: new Date(Number.NaN) }, writable: true },
  'itself inside': { record: cycle, writable: false },
}

/** For `test.each`, which would print the records themselves. */
export const hostileNames = Object.keys(hostileRecords)

export function hostileRecord(name: string): Hostile {
  const found = hostileRecords[name]
  if (found === undefined) throw new Error(`there is no hostile record ${name}`)
  return found
}
