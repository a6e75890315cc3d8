// filter_remove_keys: what is named goes, everything else stays.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { send } from '../../helpers/run-pipeline.ts'

const cases: { title: string; keys: string | string[]; in: EventRecord; out: EventRecord }[] = [
  { title: 'one field', keys: 'a', in: { a: 1, b: 2 }, out: { b: 2 } },
  { title: 'a list of fields', keys: ['a', 'b'], in: { a: 1, b: 2, c: 3 }, out: { c: 3 } },
  { title: 'a missing field', keys: 'x', in: { a: 1 }, out: { a: 1 } },
  { title: 'a field in a map', keys: 'a.b', in: { a: { b: 1, c: 2 } }, out: { a: { c: 2 } } },
  { title: 'a path that leads through a text', keys: 'a.length', in: { a: 'text' }, out: { a: 'text' } },
  { title: 'a key with a dot before a path', keys: 'a.b', in: { 'a.b': 1, a: { b: 2 } }, out: { a: { b: 2 } } },
  {
    title: 'elements of a list by the places they had',
    keys: ['a.0', 'a.1', 'a.10'],
    in: { a: [1, 2, 3] },
    out: { a: [3] },
  },
  { title: 'an inherited name', keys: ['toString', 'constructor.name'], in: { a: 1 }, out: { a: 1 } },
]

const event = (record: EventRecord): Event => ({ tag: 't', timestamp: 1, record })

it.each(cases)('removes $title', async ({ keys, in: record, out }) => {
  expect((await send([{ name: 'filter_remove_keys', keys }], [event(record)])).map((e) => e.record)).toEqual([out])
})

it('removes __proto__ as a plain key', async () => {
  const [out] = await send(
    [{ name: 'filter_remove_keys', keys: '__proto__' }],
    [event(JSON.parse('{"__proto__":1,"a":2}'))],
  )
  expect(Object.getOwnPropertyNames(out?.record)).toEqual(['a'])
  expect(Object.getPrototypeOf(out?.record)).toBe(Object.prototype)
})

it('leaves all other fields of any record alone', async () => {
  const name = fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'toString', '__proto__')
  const value = fc.jsonValue()
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key }),
      fc.array(name, { minLength: 1 }),
      async (pairs, keys) => {
        const record: EventRecord = Object.fromEntries(pairs)
        const [out] = await send([{ name: 'filter_remove_keys', keys }], [event(structuredCloneOwn(record))])
        expect(Object.entries(out?.record ?? {})).toEqual(Object.entries(record).filter(([key]) => !keys.includes(key)))
        expect(Object.getPrototypeOf(out?.record)).toBe(Object.prototype)
      },
    ),
  )
})

/** A copy that keeps an own `__proto__`. */
function structuredCloneOwn(record: EventRecord): EventRecord {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, structuredClone(value)]))
}
