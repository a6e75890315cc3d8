// parser_regex: fields from groups, modes, limits, and what it says of a wrong regex.
import { expect, it } from 'vitest'
import { parserRegex } from '../../../src/actions/parser/parser_regex.ts'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { makePipeline, send } from '../../helpers/run-pipeline.ts'

type Case = { title: string; params: Record<string, unknown>; in: EventRecord; out: EventRecord }

const cases: Case[] = [
  {
    title: 'groups become fields in their order',
    params: { regex: '(?P<b>.)(?P<a>.)' },
    in: { log: 'xy' },
    out: { b: 'x', a: 'y' },
  },
  {
    title: 'groups without a name give nothing',
    params: { regex: '(.)(?P<a>.)(.)' },
    in: { log: 'xyz' },
    out: { a: 'y' },
  },
  { title: 'the text may go on behind the match', params: { regex: '(?<a>.)' }, in: { log: 'xyz' }, out: { a: 'x' } },
  {
    title: 'alternatives at the top are all held to the start',
    params: { regex: 'b|(?<a>z)' },
    in: { log: 'az' },
    out: { log: 'az' },
  },
  {
    title: 'a group that took no part is null',
    params: { regex: '(?<a>x)|(?<b>y)' },
    in: { log: 'y' },
    out: { a: null, b: 'y' },
  },
  { title: 'an empty match is a match', params: { regex: '(?<a>x*)' }, in: { log: 'y' }, out: { a: '' } },
  {
    title: 'other fields stay',
    params: { regex: '(?<a>.)' },
    in: { x: 1, log: 'y', z: 2 },
    out: { x: 1, z: 2, a: 'y' },
  },
  {
    title: 'add keeps the text',
    params: { regex: '(?<a>.)', mode: 'add' },
    in: { log: 'y' },
    out: { log: 'y', a: 'y' },
  },
  { title: 'tree makes a map', params: { regex: '(?<a>.)', mode: 'tree' }, in: { log: 'y' }, out: { log: { a: 'y' } } },
  {
    title: 'a nested key gives fields at the top',
    params: { regex: '(?<a>.)', key: 'm.t' },
    in: { m: { t: 'y' } },
    out: { m: {}, a: 'y' },
  },
  { title: 'flags stand at the start', params: { regex: '(?i)(?<a>GET)' }, in: { log: 'get' }, out: { a: 'get' } },
]

const event = (record: EventRecord): Event => ({ tag: 't', timestamp: 1, record })

it.each(cases)('$title', async ({ params, in: record, out }) => {
  const result = await send([{ name: 'parser_regex', ...params }], [event(record)])
  expect(result.map((e) => JSON.stringify(e.record))).toEqual([JSON.stringify(out)])
})

it('gives each event a record of its own', async () => {
  const out = await send([{ name: 'parser_regex', regex: '(?<a>.)' }], [event({ log: 'x' }), event({ log: 'y' })])
  expect(out.map((e) => e.record)).toEqual([{ a: 'x' }, { a: 'y' }])
})

it('takes __proto__ as the name of a group', async () => {
  for (const mode of ['merge', 'add', 'tree']) {
    const [out] = await send(
      [{ name: 'parser_regex', mode, regex: '(?P<__proto__>.)(?P<b>.)' }],
      [event({ log: 'xy', c: 1 })],
    )
    const record = (mode === 'tree' ? out?.record.log : out?.record) as EventRecord
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
    expect(Object.getOwnPropertyDescriptor(record, '__proto__')?.value).toBe('x')
    expect(record.b).toBe('y')
  }
})

it('takes a name that is code elsewhere', async () => {
  const [out] = await send(
    [{ name: 'parser_regex', regex: '(?P<constructor>.)(?P<return>.)(?<é$>.)' }],
    [event({ log: 'xyz' })],
  )
  expect(out?.record).toEqual({ constructor: 'x', return: 'y', é$: 'z' })
})

it.each([
  ['keep', 1, { errors: { t: 3 }, dropped: {}, dead_letters: {} }],
  ['drop', 0, { errors: { t: 3 }, dropped: { t: 3 }, dead_letters: {} }],
  ['dead_letter', 0, { errors: { t: 3 }, dropped: {}, dead_letters: { t: 3 } }],
])(
  'counts what does not match, is too long or is no text, and with on_error %s does as told',
  async (on_error, kept, counts) => {
    const { pipeline, out } = makePipeline([{ name: 'parser_regex', regex: '(?<a>x+)', max_length: 5, on_error }])
    const failing = [{ log: 'y' }, { log: 'xxxxxx' }, { log: 5 }]
    await pipeline.open()
    await pipeline.inject([...failing, { log: 'xxxxx' }].map(event))
    await pipeline.run(new AbortController().signal)
    expect(out.map((e) => e.record)).toEqual([...(kept === 1 ? failing : []), { a: 'xxxxx' }])
    expect(pipeline.stats().actions[0]).toMatchObject(counts)
  },
)

it('points into a wrong regex', () => {
  const result = parserRegex.params.safeParse({ regex: '(?P<a>x)(y' })
  expect(result.error?.issues).toEqual([
    expect.objectContaining({
      code: 'custom',
      path: ['regex'],
      params: { index: 8 },
      message: expect.stringContaining('never closed'),
    }),
  ])
})

it('refuses a regex that names no field', () => {
  const result = parserRegex.params.safeParse({ regex: '(x)' })
  expect(result.error?.issues[0]).toMatchObject({ path: ['regex'], params: { index: 0 } })
})

it('warns about a regex that a hostile text can make slow', () => {
  expect(parserRegex.lint({ regex: '(?<a>(?:x+)+)(?=y)' })).toMatchObject([{ path: ['regex'], index: 11 }])
  expect(parserRegex.lint({ regex: '(?<a>(?:x+)+)$' })).toEqual([])
})
