// filter_rename: simultaneous, along dotted paths, and never losing a value.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { makePipeline, send } from '../../helpers/run-pipeline.ts'

type Case = { title: string; keys: Record<string, string>; in: EventRecord; out: EventRecord }

const cases: Case[] = [
  { title: 'a field gets another name', keys: { a: 'b' }, in: { a: 1, c: 2 }, out: { b: 1, c: 2 } },
  { title: 'a missing field is ignored', keys: { x: 'b' }, in: { a: 1 }, out: { a: 1 } },
  { title: 'two fields change places', keys: { a: 'b', b: 'a' }, in: { a: 1, b: 2 }, out: { a: 2, b: 1 } },
  {
    title: 'names move on in a ring',
    keys: { a: 'b', b: 'c', c: 'a' },
    in: { a: 1, b: 2, c: 3 },
    out: { a: 3, b: 1, c: 2 },
  },
  { title: 'the new name is overwritten', keys: { a: 'b' }, in: { a: 1, b: 2 }, out: { b: 1 } },
  { title: 'of two with the same new name the last wins', keys: { a: 'c', b: 'c' }, in: { a: 1, b: 2 }, out: { c: 2 } },
  { title: 'whichever there is gets the name', keys: { a: 'c', b: 'c' }, in: { a: 1 }, out: { c: 1 } },
  { title: 'a field keeps its own name', keys: { a: 'a' }, in: { a: 1 }, out: { a: 1 } },
  { title: 'null is a value', keys: { a: 'b' }, in: { a: null }, out: { b: null } },
  { title: 'out of a map', keys: { 'a.b': 'c' }, in: { a: { b: 1, d: 2 } }, out: { a: { d: 2 }, c: 1 } },
  { title: 'into a map that is not there', keys: { a: 'b.c' }, in: { a: 1 }, out: { b: { c: 1 } } },
  { title: 'into a map that is there', keys: { a: 'b.c' }, in: { a: 1, b: { d: 2 } }, out: { b: { d: 2, c: 1 } } },
  { title: 'a field into a map of its own name', keys: { a: 'a.b' }, in: { a: 1 }, out: { a: { b: 1 } } },
  { title: 'a map into itself', keys: { a: 'a.b' }, in: { a: { x: 1 } }, out: { a: { b: { x: 1 } } } },
  { title: 'a field takes the place of its map', keys: { 'a.b': 'a' }, in: { a: { b: 1, c: 2 } }, out: { a: 1 } },
  {
    title: 'a map and what was in it',
    keys: { a: 'x', 'a.b': 'y' },
    in: { a: { b: 1, c: 2 } },
    out: { x: { c: 2 }, y: 1 },
  },
  { title: 'elements of a list', keys: { 'a.0': 'x', 'a.1': 'y' }, in: { a: [1, 2, 3] }, out: { a: [3], x: 1, y: 2 } },
  {
    title: 'a key with a dot is itself',
    keys: { 'a.b': 'c' },
    in: { 'a.b': 1, a: { b: 2 } },
    out: { a: { b: 2 }, c: 1 },
  },
  {
    title: 'new names that lead through each other',
    keys: { a: 'c', b: 'c.d' },
    in: { a: { e: 1 }, b: 2 },
    out: { c: { e: 1, d: 2 } },
  },
]

const event = (record: EventRecord): Event => ({ tag: 't', timestamp: 1, record })

it.each(cases)('$title', async ({ keys, in: record, out }) => {
  const { pipeline, out: result } = makePipeline([{ name: 'filter_rename', keys }])
  await run(pipeline, [event(record)])
  expect(result.map((e) => e.record)).toEqual([out])
  expect(pipeline.stats().actions[0]?.errors).toEqual({})
})

const blocked: Omit<Case, 'out'>[] = [
  { title: 'a new name that leads through a text', keys: { a: 'b.c', x: 'y' }, in: { a: 1, b: 'text', x: 2 } },
  { title: 'a new name that leads through null', keys: { a: 'b.c' }, in: { a: 1, b: null } },
  { title: 'a new name past the end of a list', keys: { a: 'b.5' }, in: { a: 1, b: [1] } },
  { title: 'a new name that leads through a value renamed', keys: { a: 'c', b: 'c.d' }, in: { a: 1, b: 2 } },
  { title: 'a new name in a list that has lost its end', keys: { 'a.1': 'b', x: 'a.1' }, in: { a: [1, 2], x: 3 } },
]

it.each(blocked)('$title leaves the event as it was, and counts it', async ({ keys, in: record }) => {
  const { pipeline, out } = makePipeline([{ name: 'filter_rename', keys }])
  const before = structuredClone(record)
  await run(pipeline, [event(record), event({ a: 1, b: {} })])
  expect(out[0]?.record).toEqual(before)
  expect(pipeline.stats().actions[0]?.errors).toEqual({ t: expect.any(Number) })
})

it('renames to __proto__ without touching the prototype', async () => {
  const [out] = await send(
    [{ name: 'filter_rename', keys: { a: '__proto__', b: 'c.__proto__.d' } }],
    [event({ a: { x: 1 }, b: 2 })],
  )
  expect(Object.getPrototypeOf(out?.record)).toBe(Object.prototype)
  expect(Object.getOwnPropertyDescriptor(out?.record, '__proto__')?.value).toEqual({ x: 1 })
  expect(Object.hasOwn(Object.prototype, 'd')).toBe(false)
})

it('keeps every value of any flat record under the name it should have', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'toString', 'x y', '')
  const record = fc.dictionary(name, fc.jsonValue())
  const keys = fc.dictionary(
    name.filter((n) => n !== ''),
    name.filter((n) => n !== ''),
  )
  await fc.assert(
    fc.asyncProperty(record, keys, async (before, names) => {
      const [out] = await send([{ name: 'filter_rename', keys: names }], [event(structuredClone(before))])
      const wanted = new Map<string, unknown>(Object.entries(before).filter(([key]) => !Object.hasOwn(names, key)))
      for (const [old, renamed] of Object.entries(names)) {
        if (Object.hasOwn(before, old)) wanted.set(renamed, before[old])
      }
      expect(new Map(Object.entries(out?.record ?? {}))).toEqual(wanted)
      expect(Object.getPrototypeOf(out?.record)).toBe(Object.prototype)
    }),
  )
})

async function run(pipeline: ReturnType<typeof makePipeline>['pipeline'], events: readonly Event[]): Promise<void> {
  await pipeline.open()
  await pipeline.inject(events)
  await pipeline.run(new AbortController().signal)
}
