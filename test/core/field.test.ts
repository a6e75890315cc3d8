import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cloneValue, type EventRecord, setOwn } from '../../src/core/event.ts'
import { compileField } from '../../src/core/field.ts'

const parse = (json: string) => JSON.parse(json) as EventRecord

describe('get', () => {
  test.each<[string, string, unknown]>([
    ['{"a":1}', 'a', 1],
    ['{"a":{"b":2}}', 'a.b', 2],
    ['{"a":{"b":[10,{"c":3}]}}', 'a.b.1.c', 3],
    ['{"a":{"b":[10]}}', 'a.b.1', undefined],
    ['{"a":[1,2]}', 'a.-1', undefined],
    ['{"a":[1,2]}', 'a.01', undefined],
    ['{"a":[1,2]}', 'a.length', undefined],
    ['{"a":"text"}', 'a.0', undefined],
    ['{"a":"text"}', 'a.length', undefined],
    ['{"a":null}', 'a', null],
    ['{"a":null}', 'a.b', undefined],
    ['{"a.b":1,"a":{"b":2}}', 'a.b', 1],
    ['{"a.b":null,"a":{"b":2}}', 'a.b', null],
    ['{}', '__proto__', undefined],
    ['{}', 'constructor', undefined],
    ['{}', '__proto__.constructor', undefined],
    ['{"a":{}}', 'a.toString', undefined],
    ['{"__proto__":{"x":1}}', '__proto__.x', 1],
    ['{"a":{"0":"map"}}', 'a.0', 'map'],
    ['{"":{"":1}}', '.', 1],
  ])('of %s at %s', (record, path, expected) => {
    expect(compileField(path).get(parse(record))).toEqual(expected)
  })
})

describe('set', () => {
  test.each<[string, string, boolean, string]>([
    ['{}', 'a', true, '{"a":9}'],
    ['{}', 'a.b.c', true, '{"a":{"b":{"c":9}}}'],
    ['{"a":{"x":1}}', 'a.b', true, '{"a":{"x":1,"b":9}}'],
    ['{"a":[1,2]}', 'a.1', true, '{"a":[1,9]}'],
    ['{"a":[1,2]}', 'a.2', false, '{"a":[1,2]}'],
    ['{"a":[1,2]}', 'a.5.c', false, '{"a":[1,2]}'],
    ['{"a":[1,2]}', 'a.x', false, '{"a":[1,2]}'],
    ['{"a":[{"b":1}]}', 'a.0.b', true, '{"a":[{"b":9}]}'],
    ['{"a":"text"}', 'a.b', false, '{"a":"text"}'],
    ['{"a":null}', 'a.b', false, '{"a":null}'],
    ['{"a.b":1,"a":{"b":2}}', 'a.b', true, '{"a.b":9,"a":{"b":2}}'],
    ['{}', '__proto__', true, '{"__proto__":9}'],
    ['{}', '__proto__.x', true, '{"__proto__":{"x":9}}'],
    ['{}', 'a.__proto__', true, '{"a":{"__proto__":9}}'],
  ])('in %s at %s', (before, path, done, after) => {
    const record = parse(before)
    expect(compileField(path).set(record, 9)).toBe(done)
    expect(JSON.stringify(record)).toBe(after)
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
  })
})

describe('remove', () => {
  test.each<[string, string, unknown, string]>([
    ['{"a":1,"b":2}', 'a', 1, '{"b":2}'],
    ['{"a":{"b":2,"c":3}}', 'a.b', 2, '{"a":{"c":3}}'],
    ['{"a":[1,2,3]}', 'a.1', 2, '{"a":[1,3]}'],
    ['{"a":[1]}', 'a.1', undefined, '{"a":[1]}'],
    ['{"a":[1]}', 'a.length', undefined, '{"a":[1]}'],
    ['{"a.b":1,"a":{"b":2}}', 'a.b', 1, '{"a":{"b":2}}'],
    ['{}', '__proto__', undefined, '{}'],
    ['{"__proto__":1}', '__proto__', 1, '{}'],
    ['{"a":"text"}', 'a.0', undefined, '{"a":"text"}'],
  ])('from %s at %s', (before, path, removed, after) => {
    const record = parse(before)
    expect(compileField(path).remove(record)).toEqual(removed)
    expect(JSON.stringify(record)).toBe(after)
  })
})

test('a record 100,000 levels deep is read, set and cut to its end', () => {
  let record: EventRecord = { a: 'end' }
  for (let i = 1; i < 100_000; i++) record = { a: record }
  const field = compileField(Array(100_000).fill('a').join('.'))
  expect(field.get(record)).toBe('end')
  expect(field.set(record, 'other')).toBe(true)
  expect(field.remove(record)).toBe('other')
})

/** The rule told naively: the whole path as a key first, then step by step from own key to own key. */
function oracle(record: EventRecord, path: string): unknown {
  const own = Object.entries(record).find(([key]) => key === path)
  if (own !== undefined) return own[1]
  return path.split('.').reduce<unknown>((value, part) => {
    if (Array.isArray(value)) return value.find((_, index) => String(index) === part)
    if (typeof value !== 'object' || value === null) return undefined
    return Object.entries(value).find(([key]) => key === part)?.[1]
  }, record)
}

const key = fc.constantFrom('a', 'b', '0', '1', 'a.b', '__proto__', 'length', '')
const { tree } = fc.letrec<{ tree: unknown; map: EventRecord }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown>(1, 'x', null),
    fc.array(tie('tree'), { maxLength: 3 }),
    tie('map'),
  ),
  map: fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((pairs) => {
    const map: EventRecord = {}
    for (const [name, value] of pairs) setOwn(map, name, value)
    return map
  }),
}))
const record = fc.array(fc.tuple(key, tree), { maxLength: 4 }).map((pairs) => {
  const map: EventRecord = {}
  for (const [name, value] of pairs) setOwn(map, name, value)
  return map
})
const path = fc.array(key, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'))

test('get agrees with the rule told naively', () => {
  fc.assert(
    fc.property(record, path, (map, at) => {
      expect(compileField(at).get(map)).toEqual(oracle(map, at))
    }),
    { numRuns: 2000 },
  )
})

test('what set has set, get reads; what it refused is left as it was', () => {
  fc.assert(
    fc.property(record, path, (map, at) => {
      const before = cloneValue(map)
      const field = compileField(at)
      if (field.set(map, 'new')) expect(oracle(map, at)).toBe('new')
      else expect(map).toEqual(before)
    }),
    { numRuns: 2000 },
  )
})

test('remove hands back what get would read, and nothing else changes', () => {
  fc.assert(
    fc.property(record, path, (map, at) => {
      const before = oracle(map, at)
      const count = (value: unknown): number =>
        typeof value === 'object' && value !== null
          ? Object.values(value).reduce((n: number, item) => n + 1 + count(item), 0)
          : 0
      const size = count(map)
      expect(compileField(at).remove(map)).toEqual(before)
      expect(count(map)).toBe(before === undefined ? size : size - 1 - count(before))
    }),
    { numRuns: 2000 },
  )
})
