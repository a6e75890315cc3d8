import { expect, test } from 'vitest'
import { filterDate } from '../../../src/actions/filter/filter_date.ts'
import { VirtualClock } from '../../../src/core/clock.ts'
import { deadLettersOf } from '../../helpers/dead-letters.ts'
import { makePipeline, send } from '../../helpers/run-pipeline.ts'

const event = (record: Record<string, unknown>) => ({ tag: 't', timestamp: 5, record })

/** The record that comes out for one that goes in. */
async function through(params: Record<string, unknown>, record: Record<string, unknown>) {
  const [out] = await send([{ name: 'filter_date', ...params }], [event(record)])
  return out
}

test.each([
  [{}, { date: '2023-10-05T12:34:56.789Z' }, { date: 1696509296.789 }],
  [{ key: 'a.b' }, { a: { b: '2023-10-05' } }, { a: { b: 1696464000 } }],
  [{ key_out: 'time.read' }, { date: '2023-10-05' }, { date: '2023-10-05', time: { read: 1696464000 } }],
  [{ format: '%d/%m/%Y' }, { date: 1696509296789 }, { date: '05/10/2023' }],
  [{ format: '%H:%M:%S.%f' }, { date: '1696509296.789' }, { date: '12:34:56.789000' }],
  [{ timezone: 'America/New_York' }, { date: '2023-10-05 08:34:56' }, { date: 1696509296 }],
  [{ timezone: 'Asia/Kathmandu', format: '%F %T %z' }, { date: '1696509296' }, { date: '2023-10-05 18:19:56 +0545' }],
  [{ key_out: '__proto__' }, { date: 1 }, JSON.parse('{"date":1,"__proto__":1}')],
])('with %j, %j becomes %j', async (params, record, expected) => {
  expect((await through(params, record))?.record).toEqual(expected)
})

test('the time of the event is changed only when asked', async () => {
  expect((await through({}, { date: 7 }))?.timestamp).toBe(5)
  expect((await through({ timestamp: true }, { date: 7.5 }))?.timestamp).toBe(7.5)
})

test('a date without a year is read by the clock of the pipeline', async () => {
  const clock = new VirtualClock(1704070800)
  const { pipeline, out } = makePipeline([{ name: 'filter_date', format: '%F' }], { clock })
  void pipeline.inject([event({ date: 'Dec 31 23:59:59' })])
  await pipeline.run(new AbortController().signal)
  expect(out[0]?.record).toEqual({ date: '2023-12-31' })
})

const broken = [{}, { date: '2023-02-30' }, { date: null }, { date: { a: 1 } }]

test('events without a date pass on untouched, and are counted', async () => {
  const { pipeline, out } = makePipeline([{ name: 'filter_date', timestamp: true }])
  void pipeline.inject(broken.map(event))
  await pipeline.run(new AbortController().signal)
  expect(out).toEqual(broken.map(event))
  expect(pipeline.stats().actions[0]).toMatchObject({ errors: { t: 4 }, dropped: {}, dead_letters: {} })
})

test('events without a date are dropped when told, and are counted', async () => {
  const { pipeline, out } = makePipeline([{ name: 'filter_date', on_error: 'drop' }])
  void pipeline.inject([...broken, { date: 1 }].map(event))
  await pipeline.run(new AbortController().signal)
  expect(out).toEqual([event({ date: 1 })])
  expect(pipeline.stats().actions[0]).toMatchObject({ errors: { t: 4 }, dropped: { t: 4 } })
})

test('events without a date go to the dead letters when told, with the reason', async () => {
  const { letters, options } = await deadLettersOf()
  const out = await send([{ name: 'filter_date', on_error: 'dead_letter' }], broken.map(event), options)
  expect(out).toEqual([])
  expect((await letters()).map(({ code, reason }) => [code, reason])).toEqual([
    ['FIELD_MISSING', 'the event has no field date'],
    ['DATE_UNREADABLE', 'the field date holds no date: "2023-02-30"'],
    ['DATE_UNREADABLE', 'the field date holds no date: null'],
    ['DATE_UNREADABLE', 'the field date holds no date: a map'],
  ])
})

test('an event in which key_out cannot be written passes on untouched', async () => {
  const record = { date: 1, text: 'x' }
  expect(await through({ key_out: 'text.date', timestamp: true }, record)).toEqual(event(record))
})

test.each([
  [{ format: '%Q' }, ['format']],
  [{ timezone: 'Europe/Atlantis' }, ['timezone']],
  [{ on_error: 'ignore' }, ['on_error']],
  [{ key: '' }, ['key']],
])('%j is refused', (params, path) => {
  expect(filterDate.params.safeParse(params).error?.issues[0]?.path).toEqual(path)
})
