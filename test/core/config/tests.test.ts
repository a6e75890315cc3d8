import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { actions } from '../../../src/actions/index.ts'
import { configSchema } from '../../../src/core/config/schema.ts'
import { Registry } from '../../../src/core/registry.ts'
import { loadText, shown } from './helpers.ts'

const one = 'pipelines:\n  a:\n    - { name: input_dummy, tag: in, data: {} }\n'
const two = `${one}  b:\n    - { name: input_dummy, tag: x, data: {} }\n    - { name: input_dummy, tag: y, data: {} }\n`

/** The test begins on line 5 of the file (8 with two pipelines), its keys on the line behind. */
const load = (keys: string, pipelines = one, more = '') =>
  loadText(`${pipelines}tests:\n  - name: t\n${keys.replace(/^(?=.)/gm, '    ')}\n${more}`)

const good = 'events: [{ log: x }]\nnone: true'

describe('a mistake in a test is shown where it stands', () => {
  test.each([
    ['evnts: [{ log: x }]\nnone: true', ['6:5 error unknown key "evnts" in `tests[0]` | did you mean "events"?']],
    [
      'events: [{ log: x, reapet: 2 }]\nnone: true',
      ['6:24 error unknown key "reapet" in `tests[0].events[0]` | did you mean "repeat"?'],
    ],
    [
      'events: [{ log: x }]\nalerts: [{ recrod: {} }]',
      ['7:16 error unknown key "recrod" in `tests[0].alerts[0]` | did you mean "record"?'],
    ],
    [
      'events: [{ log: x, repeat: 0 }]\nnone: true',
      ['6:32 error `tests[0].events[0].repeat` must be at least 1, not the number 0'],
    ],
    [
      'events: [{ log: x, at: soon }]\nnone: true',
      ['6:28 error `tests[0].events[0].at` wants a number, not the text "soon"'],
    ],
    [
      'events: [{ log: x, at: 1, after: 1 }]\nnone: true',
      ['6:38 error `tests[0].events[0].after`: give `at` or `after`, not both'],
    ],
    [
      'events: [{ log: x, every: 1 }]\nnone: true',
      ['6:31 error `tests[0].events[0].every`: this needs `repeat` beside it'],
    ],
    [
      'events: [{ log: x, record: {} }]\nnone: true',
      ['6:21 error `tests[0].events[0].log`: give `log` or `record`, not both'],
    ],
    [
      'events: [{ advance: 1, log: x }]\nnone: true',
      ['6:33 error `tests[0].events[0].log`: this belongs to an event, and `advance` stands alone'],
    ],
    [
      'events: [{ tag: in }]\nnone: true',
      ['6:14 error `tests[0].events[0]`: this step needs `log` or `record`, for an event, or `advance`'],
    ],
    ['events: []\nnone: true', ['6:13 error `tests[0].events` must not be empty']],
    ['events: [{ log: x }]', ['5:5 error `tests[0]`: this test says neither `alerts:` nor `none: true`']],
    ['events: [{ log: x }]\nalerts: [{}]\nnone: true', ['8:11 error `tests[0].none`: there are `alerts` beside it']],
    [`${good}\nstart: someday`, ['8:12 error `tests[0].start`: this is not a date | write 2026-11-20 23:41:00']],
    [`${good}\npipeline: aa`, ['8:15 error there is no pipeline "aa" | did you mean "a"?']],
    [
      `${good}\ndns: { a.test: 127.0.0.2 }`,
      ['8:20 error `tests[0].dns.a.test` wants a list, not the text "127.0.0.2" | write a list: [127.0.0.2]'],
    ],
  ])('%j', async (keys, diagnostics) => {
    const loaded = await load(keys)
    expect(shown(loaded)).toEqual(diagnostics)
    expect(loaded.config).toBeUndefined()
  })

  test.each([
    [good, ['8:5 error this test needs a `pipeline` | there are a, b']],
    [
      `${good}\npipeline: b`,
      [
        '9:14 error this event needs a `tag` | the inputs of the pipeline "b" give the tags x, y; name one here, or for the whole test',
      ],
    ],
  ])('with two pipelines: %j', async (keys, diagnostics) => {
    expect(shown(await load(keys, two))).toEqual(diagnostics)
  })
})

test('an event has the tag of its step, else of its test, else of the inputs', async () => {
  const events = 'events: [{ log: x }, { log: y, tag: own }]\nnone: true'
  const tags = async (keys: string) => {
    const { config } = await load(keys)
    return config?.tests[0]?.steps.map((step) => (step.kind === 'event' ? step.tag : ''))
  }
  expect(await tags(events)).toEqual(['in', 'own'])
  expect(await tags(`tag: test\n${events}`)).toEqual(['test', 'own'])
})

test('a test as the engine gets it', async () => {
  const { config } = await load(
    'start: 2026-11-20T23:41:00+01:00\ndns: { a.test: [127.0.0.2] }\nevents: [{ advance: 3 }, { record: { a: "{v}" }, at: 1, repeat: 2 }]\nalerts: [{ at: 1 }]',
    one,
    'variables: { v: 7 }\n',
  )
  expect(config?.tests).toEqual([
    {
      name: 't',
      pipeline: 'a',
      start: Date.parse('2026-11-20T22:41:00Z') / 1000,
      dns: { 'a.test': ['127.0.0.2'] },
      steps: [
        { kind: 'advance', seconds: 3 },
        { kind: 'event', tag: 'in', record: { a: 7 }, at: 1, repeat: 2, every: 0 },
      ],
      alerts: [{ at: 1 }],
      at: expect.stringMatching(/feedoo\.yaml:5:5$/),
    },
  ])
})

test('the JSON Schema for editors knows the tests', () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false, allErrors: true })
  const validate = ajv.compile(configSchema(new Registry(actions)))
  const example = path.join(import.meta.dirname, '../../../etc/feedoo/pipelines/ssh-bruteforce.yaml')
  const text = readFileSync(example, 'utf8')
  validate(parse(text))
  expect(validate.errors ?? []).toEqual([])
  expect(validate(parse(text.replaceAll('repeat:', 'repaet:')))).toBe(false)
})
