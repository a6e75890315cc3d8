import { describe, expect, test } from 'vitest'
import { assignOwn, cloneEvent, cloneValue, type EventRecord, isPlainObject, setOwn } from '../../src/core/event.ts'
import { nested } from '../helpers/hostile.ts'

describe('setOwn and assignOwn', () => {
  test('__proto__ becomes a key and the prototype stays', () => {
    const record: EventRecord = {}
    setOwn(record, '__proto__', { admin: true })
    expect(Object.keys(record)).toEqual(['__proto__'])
    expect(record.admin).toBeUndefined()
    const copy = assignOwn({ a: 1 }, record)
    expect(Object.keys(copy)).toEqual(['a', '__proto__'])
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(JSON.stringify(copy)).toBe('{"a":1,"__proto__":{"admin":true}}')
  })

  test('a key that is there is overwritten, also __proto__', () => {
    const source: EventRecord = {}
    setOwn(source, '__proto__', 1)
    setOwn(source, '__proto__', 2)
    expect(JSON.stringify(assignOwn({ a: 1 }, source))).toBe('{"a":1,"__proto__":2}')
  })
})

describe('cloneValue', () => {
  test.each<[string, unknown]>([
    ['scalars', { a: 1, b: 'x', c: null, d: true, e: 12n, f: undefined, g: Number.NaN }],
    ['lists and maps', [1, [2, { a: [3] }], {}]],
    ['__proto__', JSON.parse('{"__proto__":{"a":[1]},"b":{"__proto__":2}}')],
    ['maps without a prototype', Object.assign(Object.create(null), { a: 1 })],
  ])('copies %s', (_, value) => {
    const copy = cloneValue(value)
    expect(copy).toEqual(value)
    expect(copy).not.toBe(value)
  })

  test('nothing of the copy is shared, and keys keep their order', () => {
    const value = { z: { list: [{ n: 1 }] }, a: 1 }
    const copy = cloneValue(value) as typeof value
    copy.z.list.push({ n: 2 })
    const [first] = copy.z.list
    if (first !== undefined) first.n = 9
    expect(value).toEqual({ z: { list: [{ n: 1 }] }, a: 1 })
    expect(Object.keys(copy)).toEqual(['z', 'a'])
  })

  test('below the depth where recursion ends, copies are as good', () => {
    const bottom = { z: 1, a: [1, { b: new Date(0) }, undefined], __proto__x: 2n }
    let value: unknown = bottom
    for (let i = 0; i < 500; i++) value = i % 2 === 0 ? [i, value, i] : { before: i, value, after: i }
    const copy = cloneValue(value)
    expect(copy).toEqual(value)
    expect(JSON.stringify(copy, (_, item) => (typeof item === 'bigint' ? String(item) : item))).toBe(
      JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item)),
    )
    let inner: unknown = copy
    for (let i = 499; i >= 0; i--) inner = Array.isArray(inner) ? inner[1] : (inner as EventRecord).value
    expect(inner).toEqual(bottom)
    expect(inner).not.toBe(bottom)
  })

  test.each(['list', 'map'] as const)('100,000 levels of %ss do not overflow the stack', (kind) => {
    let copy = cloneValue(nested(100_000, kind))
    let depth = 0
    while (typeof copy === 'object' && copy !== null) {
      copy = Object.values(copy)[0]
      depth++
    }
    expect(depth).toBe(100_000)
    expect(copy).toBe('end')
  })

  test('what holds itself is a RangeError, however it branches', () => {
    const cycle: EventRecord = {}
    Object.assign(cycle, { a: cycle, b: [cycle, cycle] })
    expect(() => cloneValue(cycle)).toThrow(RangeError)
  })
})

test('cloneEvent keeps tag, time, record and metadata, each its own', () => {
  const event = { tag: 'a', timestamp: 1.5, record: { x: { y: 1 } }, metadata: { id: { n: 7 } } }
  const copy = cloneEvent(event)
  expect(copy).toEqual(event)
  expect(copy.record.x).not.toBe(event.record.x)
  expect(copy.metadata?.id).not.toBe(event.metadata.id)
  expect(cloneEvent({ tag: 'a', timestamp: 1, record: {} })).not.toHaveProperty('metadata')
})

test.each<[string, unknown, boolean]>([
  ['a map', {}, true],
  ['a map without prototype', Object.create(null), true],
  ['a list', [], false],
  ['null', null, false],
  ['a date', new Date(), false],
  ['bytes', Buffer.from('a'), false],
  ['text', 'a', false],
])('isPlainObject of %s', (_, value, expected) => {
  expect(isPlainObject(value)).toBe(expected)
})
