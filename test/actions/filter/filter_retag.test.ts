// filter_retag: fixed tags, tags from fields, and what a hostile field cannot do to a tag.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { send } from '../../helpers/run-pipeline.ts'

const cases: { title: string; tag: string; record?: EventRecord; wanted: string }[] = [
  { title: 'a fixed tag', tag: 'new', wanted: 'new' },
  { title: 'a field', tag: 'web.{host}', record: { host: 'a' }, wanted: 'web.a' },
  { title: 'a field in a map', tag: '{a.b.0}', record: { a: { b: ['x'] } }, wanted: 'x' },
  { title: 'the old tag', tag: 'x.{tag}', wanted: 'x.old' },
  { title: 'a field named tag before the old tag', tag: '{tag}', record: { tag: 'mine' }, wanted: 'mine' },
  { title: 'a number, a boolean', tag: '{n}.{b}', record: { n: 4.5, b: false }, wanted: '4.5.false' },
  { title: 'a missing field as it is written', tag: '{x}.a', wanted: '{x}.a' },
  {
    title: 'a map, a list and null as they are written',
    tag: '{m}{l}{n}',
    record: { m: {}, l: [], n: null },
    wanted: '{m}{l}{n}',
  },
  { title: 'an inherited name as it is written', tag: '{toString}', wanted: '{toString}' },
  { title: 'braces that name nothing', tag: '{}{{a}}', record: { a: 1 }, wanted: '{}{1}' },
  { title: 'a value with braces, which is not looked at again', tag: '{a}', record: { a: '{b}', b: 1 }, wanted: '{b}' },
  { title: 'control characters as _', tag: '{a}', record: { a: 'x\n\u0000\u001b[1m\u0085y' }, wanted: 'x___[1m_y' },
  { title: 'an empty tag as _', tag: '{a}', record: { a: '' }, wanted: '_' },
  { title: 'a long tag, cut', tag: 'p.{a}', record: { a: 'x'.repeat(5000) }, wanted: `p.${'x'.repeat(1022)}` },
  {
    title: 'a long tag, not cut within a character',
    tag: 'p.{a}',
    record: { a: `${'x'.repeat(1021)}😀` },
    wanted: `p.${'x'.repeat(1021)}`,
  },
]

const event = (record: EventRecord): Event => ({ tag: 'old', timestamp: 1, record })

it.each(cases)('gives $title', async ({ tag, record = {}, wanted }) => {
  const out = await send([{ name: 'filter_retag', tag }], [event(record)])
  expect(out).toEqual([{ tag: wanted, timestamp: 1, record }])
})

it('routes by the new tag from the next action on', async () => {
  const out = await send(
    [
      { name: 'filter_remove_keys', match: 'new', keys: 'a' },
      { name: 'filter_retag', tag: 'new' },
      { name: 'filter_remove_keys', match: 'new', keys: 'b' },
    ],
    [event({ a: 1, b: 2 })],
  )
  expect(out).toEqual([{ tag: 'new', timestamp: 1, record: { a: 1 } }])
})

it('gives a tag that is bounded, not empty and without control characters, for any value', async () => {
  const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 1500, size: 'max' }), fc.jsonValue())
  await fc.assert(
    fc.asyncProperty(value, async (a) => {
      const [out] = await send([{ name: 'filter_retag', tag: '{a}' }], [event({ a })])
      expect(out?.tag.length).toBeGreaterThan(0)
      expect(out?.tag.length).toBeLessThanOrEqual(1024)
      expect(out?.tag).not.toMatch(/\p{Cc}/u)
    }),
  )
})
