// parser_json: where the fields go, and what happens to text that is no JSON object.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { makePipeline, send } from '../../helpers/run-pipeline.ts'

type Case = { title: string; params?: Record<string, unknown>; in: EventRecord; out: EventRecord }

const cases: Case[] = [
  { title: 'fields take the place of the text', in: { log: '{"b":1,"a":2}' }, out: { b: 1, a: 2 } },
  { title: 'other fields stay', in: { x: 1, log: '{"a":2}', y: 3 }, out: { x: 1, y: 3, a: 2 } },
  { title: 'fields of the same name are overwritten', in: { a: 1, log: '{"a":2}' }, out: { a: 2 } },
  { title: 'a parsed field may be named as the key', in: { log: '{"log":"x"}' }, out: { log: 'x' } },
  {
    title: 'a parsed field may be named as the key, beside others',
    in: { a: 1, log: '{"log":"x"}' },
    out: { a: 1, log: 'x' },
  },
  { title: 'an empty object leaves an empty record', in: { log: '{}' }, out: {} },
  { title: 'the key may be another', params: { key: 'm' }, in: { m: '{"a":2}' }, out: { a: 2 } },
  {
    title: 'from a nested key, the fields go to the top',
    params: { key: 'a.b' },
    in: { a: { b: '{"c":1}', d: 2 } },
    out: { a: { d: 2 }, c: 1 },
  },
  {
    title: 'a key with a dot wins',
    params: { key: 'a.b' },
    in: { 'a.b': '{"c":1}', a: { b: 'x' } },
    out: { a: { b: 'x' }, c: 1 },
  },
  { title: 'add keeps the text', params: { mode: 'add' }, in: { log: '{"a":2}' }, out: { log: '{"a":2}', a: 2 } },
  {
    title: 'tree puts the object in its place',
    params: { mode: 'tree' },
    in: { log: '{"a":2}' },
    out: { log: { a: 2 } },
  },
  { title: 'tree takes a list', params: { mode: 'tree' }, in: { log: '[1]' }, out: { log: [1] } },
  { title: 'tree takes null', params: { mode: 'tree' }, in: { log: 'null' }, out: { log: null } },
  {
    title: 'tree works in a list',
    params: { mode: 'tree', key: 'a.0.b' },
    in: { a: [{ b: '{"c":1}' }] },
    out: { a: [{ b: { c: 1 } }] },
  },
]

const event = (record: EventRecord): Event => ({ tag: 't', timestamp: 1, record, metadata: { m: 1 } })

it.each(cases)('$title', async ({ params, in: record, out }) => {
  const result = await send([{ name: 'parser_json', ...params }], [event(record)])
  // As text: the order of the fields counts too.
  expect(result.map((e) => JSON.stringify(e.record))).toEqual([JSON.stringify(out)])
  expect(result[0]).toMatchObject({ tag: 't', timestamp: 1, metadata: { m: 1 } })
})

const unparsable: { title: string; record: EventRecord; params?: Record<string, unknown> }[] = [
  { title: 'broken JSON', record: { log: '{"a":' } },
  { title: 'a list', record: { log: '[1]' } },
  { title: 'a number', record: { log: '1' } },
  { title: 'null', record: { log: 'null' } },
  { title: 'NaN', record: { log: '{"a":NaN}' } },
  { title: 'an empty text', record: { log: '' } },
  { title: 'broken JSON for a tree', record: { log: '{' }, params: { mode: 'tree' } },
  { title: 'a value that is no text', record: { log: { a: 1 } } },
  { title: 'a number that is no text', record: { log: 5 } },
  { title: 'a record without the key', record: { other: '{}' } },
  { title: 'an inherited key', record: {}, params: { key: 'constructor' } },
]

it.each(unparsable)('$title passes on untouched, and is counted', async ({ record, params }) => {
  const { pipeline, out } = makePipeline([{ name: 'parser_json', ...params }])
  const before = structuredClone(record)
  await run(pipeline, [event(record)])
  expect(out.map((e) => e.record)).toEqual([before])
  expect(pipeline.stats().actions[0]).toMatchObject({ errors: { t: 1 }, dropped: {}, dead_letters: {} })
})

it.each(unparsable)('$title is dropped when told so', async ({ record, params }) => {
  const { pipeline, out } = makePipeline([{ name: 'parser_json', ...params, on_error: 'drop' }])
  await run(pipeline, [event(record), event({ log: '{}', constructor: '{}' })])
  expect(out).toHaveLength(1)
  expect(pipeline.stats().actions[0]).toMatchObject({ errors: { t: 1 }, dropped: { t: 1 }, dead_letters: {} })
})

it.each(unparsable)('$title goes to the dead letters when told so', async ({ record, params }) => {
  const { pipeline, out } = makePipeline([{ name: 'parser_json', ...params, on_error: 'dead_letter' }])
  await run(pipeline, [event(record)])
  expect(out).toEqual([])
  expect(pipeline.stats().actions[0]).toMatchObject({ errors: { t: 1 }, dropped: {}, dead_letters: { t: 1 } })
})

it('keeps __proto__ a plain key in each mode', async () => {
  for (const mode of ['merge', 'add', 'tree']) {
    for (const others of [{}, { x: 1 }]) {
      const [out] = await send(
        [{ name: 'parser_json', mode }],
        [event({ ...others, log: '{"__proto__":{"admin":true}}' })],
      )
      const record = (mode === 'tree' ? out?.record.log : out?.record) as EventRecord
      expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
      expect(Object.getOwnPropertyDescriptor(record, '__proto__')?.value).toEqual({ admin: true })
      expect(record.admin).toBeUndefined()
    }
  }
})

it('takes a text of 10 MB and one that is nested 10,000 deep', async () => {
  const long = 'x'.repeat(10_000_000)
  const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`
  const out = await send([{ name: 'parser_json' }], [event({ log: JSON.stringify({ long }) }), event({ log: deep })])
  expect(out.map((e) => Object.keys(e.record))).toEqual([['long'], ['a']])
  expect(out[0]?.record.long).toBe(long)
})

it('leaves the event that it does not match alone', async () => {
  const out = await send([{ name: 'parser_json', match: 'other' }], [event({ log: '{"a":1}' })])
  expect(out.map((e) => e.record)).toEqual([{ log: '{"a":1}' }])
})

it('gives back what was put in as text, beside any other fields', async () => {
  const json = fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false }))
  await fc.assert(
    fc.asyncProperty(json, json, async (others, fields) => {
      const record = { ...others, log: JSON.stringify(fields) }
      const [out] = await send([{ name: 'parser_json' }], [event(record)])
      const { log: _log, ...rest } = others
      // Fields that JSON itself changes (-0) are compared as JSON.
      expect(out?.record).toEqual({ ...rest, ...JSON.parse(JSON.stringify(fields)) })
      expect(Object.getPrototypeOf(out?.record)).toBe(Object.prototype)
    }),
  )
})

async function run(pipeline: ReturnType<typeof makePipeline>['pipeline'], events: readonly Event[]): Promise<void> {
  await pipeline.open()
  await pipeline.inject(events)
  await pipeline.run(new AbortController().signal)
}
