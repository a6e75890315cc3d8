import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { actions } from '../../../src/actions/index.ts'
import { defineAction } from '../../../src/core/action.ts'
import { dummy, loadText, paramsOf, shown } from './helpers.ts'

const match = z.union([z.string(), z.array(z.string())]).default('*')
const filterPulse = defineAction({
  kind: 'filter',
  name: 'filter_pulse',
  summary: 'A filter of this test.',
  params: z.strictObject({
    match,
    at: z.union([z.boolean(), z.enum(['auto', 'never'])]).optional(),
    window: z.union([z.int().min(1), z.strictObject({ seconds: z.number(), unit: z.enum(['s', 'm']) })]).optional(),
    level: z.literal([1, 2, false]).optional(),
  }),
  examples: [{ title: 'None', yaml: '', out: [] }],
  lint: ({ window }) => (window === 7 ? [{ path: ['window'], message: 'seven is unwise' }] : []),
  create: () => ({ apply: (event, emit) => emit(event) }),
})

const pulse = (lines: string) => loadText(dummy(`    - name: filter_pulse\n${lines}`), { extra: [filterPulse] })

describe('loadConfig', () => {
  test('gives a whole configuration with its defaults', async () => {
    const { config, diagnostics } = await loadText(dummy('', 'states: {}\n'))
    expect(diagnostics).toEqual([])
    expect(config).toMatchObject({
      plugins: [],
      shutdownTimeout: 30,
      states: { ip: '127.0.0.1', port: 4321 },
      pipelines: [
        {
          name: 'web',
          actions: [
            { name: 'input_dummy', label: 'input_dummy', params: { tag: 'web.a' } },
            { name: 'output_stdout', label: 'output_stdout', params: {} },
          ],
        },
      ],
    })
    expect(config?.pipelines[0]?.actions[1]?.at).toMatch(/feedoo\.yaml:6:7$/)
  })

  test('without its key, there is no HTTP server', async () => {
    const { config } = await loadText(dummy(''))
    expect(config).not.toHaveProperty('states')
    expect(config).not.toHaveProperty('deadLetters')
  })

  test('names the pipeline of an included file after it, and uses the variables in it', async () => {
    const files = { 'one.yaml': '- name: input_dummy\n  tag: "{t}"\n', 'two.yaml': '- name: input_dummy\n  tag: x\n' }
    const { config } = await loadText('variables: { t: a }\ninclude: [one.yaml, "t*.yaml", one.yaml]\n', { files })
    expect(config?.pipelines.map(({ name, actions }) => [name, actions[0]?.params])).toEqual([
      ['one', { tag: 'a' }],
      ['two', { tag: 'x' }],
    ])
  })

  test('does not include itself', async () => {
    const { config } = await loadText('include: "*.yaml"\n', { files: { 'a.yaml': '- name: input_dummy\n  tag: a\n' } })
    expect(config?.pipelines.map(({ name }) => name)).toEqual(['a'])
  })

  test('a token lets the HTTP server listen elsewhere', async () => {
    const { config } = await loadText(dummy('', 'states: { ip: "::", token: secret }\n'))
    expect(config?.states).toEqual({ ip: '::', port: 4321, token: 'secret' })
  })

  test('suggests the action that exists', async () => {
    const text = dummy('    - name: filter_plse\n')
    expect(shown(await loadText(text, { extra: [filterPulse] }))).toEqual([
      '5:13 error unknown action "filter_plse" | did you mean "filter_pulse"?',
    ])
  })

  test('turns lints into warnings', async () => {
    const loaded = await pulse('      window: 7\n')
    expect(shown(loaded)).toEqual(['6:15 warning seven is unwise'])
    expect(loaded.config).toBeDefined()
  })

  test('of a union, explains the branch that fits', async () => {
    expect(shown(await pulse('      window: { seconds: x, unit: s }\n'))).toEqual([
      '6:26 error `window.seconds` wants a number, not the text "x"',
    ])
    expect(shown(await pulse('      window: 0\n'))).toEqual([
      '6:15 error `window` must be at least 1, not the number 0',
    ])
    expect(shown(await pulse('      window: soon\n'))[0]).toBe(
      '6:15 error `window` wants a number or a map, not the text "soon"',
    )
    expect(shown(await pulse('      window: { secnds: 1, unit: s }\n'))).toEqual([
      '6:17 error unknown key "secnds" in `window` | did you mean "seconds"?',
    ])
    expect(shown(await pulse('      window: { unit: s }\n'))).toEqual(['6:7 error `window` needs `seconds`'])
  })

  test('understands yes and no in a union and among literals', async () => {
    expect(paramsOf(await pulse('      at: yes\n      level: off\n'))[1]).toEqual({ at: true, level: false })
    expect(paramsOf(await pulse('      at: auto\n'))[1]).toEqual({ at: 'auto' })
    expect(shown(await pulse('      at: maybe\n'))).toEqual([
      '6:11 error `at` wants true or false, "auto" or "never", not the text "maybe"',
    ])
  })

  test('a warning does not stop a configuration, an error does', async () => {
    expect((await pulse('      match: db.*\n')).config).toBeDefined()
    expect((await pulse('      mtach: db.*\n')).config).toBeUndefined()
  })
})

describe('an action that no event can reach is reported only when that is sure', () => {
  const output = (match: string) => `    - name: output_stdout\n      match: ${match}\n`
  test.each<[string, string, number]>([
    ['another tag', output('db'), 1],
    ['the tag', output('web.a'), 0],
    ['one of several globs', output('[db, "web.*"]'), 0],
    ['behind a retag', `    - name: filter_retag\n      tag: db\n${output('db')}`, 0],
    [
      'behind a retag that takes nothing',
      `    - name: filter_retag\n      match: x\n      tag: db\n${output('db')}`,
      2,
    ],
    ['before a retag', `${output('db')}    - name: filter_retag\n      tag: db\n`, 1],
    ['behind an action with a mistake', `    - name: filter_retag\n${output('db')}`, 0],
  ])('%s', async (_, lines, warnings) => {
    const { diagnostics } = await loadText(dummy(lines))
    expect(diagnostics.filter(({ severity }) => severity === 'warning')).toHaveLength(warnings)
  })
})

describe('db_path', () => {
  test('is taken by every action, as in configurations of the original', () => {
    for (const { name, params } of actions) expect(Object.keys(params.shape), name).toContain('db_path')
  })

  test('has no effect, and a warning, where there is nothing to keep', async () => {
    const loaded = await loadText(`pipelines:
  web:
    - { name: input_dummy, tag: a, db_path: dummy.sqlite }
    - { name: filter_retag, tag: b, db_path: retag.sqlite }
    - { name: output_stdout, db_path: out.sqlite }
`)
    expect(shown(loaded)).toEqual([
      '4:37 warning filter_retag keeps nothing in a file of its own: this `db_path` has no effect | leave it out',
      '5:30 warning output_stdout keeps nothing in a file of its own: this `db_path` has no effect | what an output has to remember is kept in `state_dir`',
    ])
    expect(paramsOf(loaded)).toMatchObject([{ db_path: 'dummy.sqlite' }, {}, {}])
    expect(paramsOf(loaded).slice(1).flatMap(Object.keys)).not.toContain('db_path')
  })
})
