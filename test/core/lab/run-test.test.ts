import { describe, expect, test } from 'vitest'
import { runTest, type TestResult } from '../../../src/core/lab/run-test.ts'
import { around, labConfig, labRegistry, onlyPipeline } from '../../helpers/lab.ts'

const probe = '- { name: filter_probe }'

/** Runs a test whose steps, and what is expected, are lines of YAML. */
async function run(steps: string, expected: string, middle = probe, more = ''): Promise<TestResult> {
  const tests = `tests:\n  - name: t\n${more}    events:\n${steps.replace(/^/gm, '      ')}\n    ${expected}\n`
  const config = await labConfig(around(middle, tests))
  const [first] = config.tests
  if (first === undefined) throw new Error('there is no test')
  return runTest(first, onlyPipeline(config), labRegistry)
}

/** When the probe's alerts came, as seconds from the start: shown by a test that expects none. */
async function times(steps: string, middle = probe): Promise<number[]> {
  const { findings, test, error } = await run(steps, 'none: true', middle)
  expect(error).toBeUndefined()
  return findings.flatMap((one) => (one.kind === 'unexpected' ? one.actual.timestamp - test.start : []))
}

describe('the time of events', () => {
  test.each([
    ['is that of the step before', '- record: { bad: 1 }\n- record: { bad: 2 }', [0, 0]],
    ['is counted from the start by `at`', '- { at: 5, record: { bad: 1 } }\n- { at: 7, record: { bad: 1 } }', [5, 7]],
    [
      'is counted from the step before by `after`',
      '- { at: 5, record: { bad: 1 } }\n- { after: 7, record: { bad: 1 } }',
      [5, 12],
    ],
    ['follows an advance', '- advance: 30\n- record: { bad: 1 }\n- advance: 1.5\n- record: { bad: 1 }', [30, 31.5]],
    [
      'goes on with each repetition',
      '- { record: { bad: 1 }, repeat: 3, every: 2 }\n- record: { bad: 1 }',
      [0, 2, 4, 4],
    ],
    ['is the same for repetitions without `every`', '- { at: 1, record: { bad: 1 }, repeat: 3 }', [1, 1, 1]],
    [
      'may be before what was reached',
      '- { at: 60, record: { bad: 1 } }\n- { at: 50, record: { bad: 1 } }\n- record: { bad: 1 }',
      [60, 50, 60],
    ],
  ])('%s', async (_, steps, expected) => {
    expect(await times(steps)).toEqual(expected)
  })
})

const every10 = '- { name: filter_probe, every: 10 }'

describe('the clock', () => {
  test.each([
    ['moves on by an advance, to the very moment', '- advance: 20', [10, 20]],
    ['moves on by an advance, and no further', '- advance: 19.999', [10]],
    ['moves on by the time of events', '- { at: 25, record: {} }', [10, 20]],
    [
      'does not go back with a late event',
      '- { at: 25, record: {} }\n- { at: 3, record: {} }\n- advance: 5',
      [10, 20, 30],
    ],
  ])('%s', async (_, steps, expected) => {
    expect(await times(steps, every10)).toEqual(expected)
  })

  test('also moves a rule that goes by the time of arrival', async () => {
    expect(
      await times('- { at: 25, record: {} }\n- advance: 5', '- { name: filter_probe, every: 10, time: arrival }'),
    ).toEqual([10, 20, 30])
  })

  test('counts an advance from the last event, also when that says it is of another time', async () => {
    const middle = `- { name: filter_date, key: t, timestamp: true }\n${every10}`
    const steps = '- record: { t: 1767225603 }\n- { after: 1, record: { t: 1767225605 } }\n- advance: 4.9'
    expect(await times(steps, middle)).toEqual([])
    expect(await times(`${steps}\n- advance: 0.2`, middle)).toEqual([10])
  })
})

test('`log` is a line of a log, and {time:...} in texts is the time of the event', async () => {
  const { passed, findings } = await run(
    "- { at: 61, log: 'it is {time:%Y-%m-%d %H:%M:%S}', repeat: 1 }\n- record: { bad: [{ b: '{time:%S}' }, '{other}'] }",
    'alerts:\n      - { cause: { message: "it is 2026-11-20 00:01:01" } }\n      - { record: { bad: [{ b: "01" }, "{other}"] } }',
    "- { name: parser_regex, key: log, regex: '(?P<message>(?P<bad>it) .*)' }\n- { name: filter_probe }",
    '    start: 2026-11-20\n',
  )
  expect(findings).toEqual([{ kind: 'same' }, { kind: 'same' }])
  expect(passed).toBe(true)
})

test('the record of a step is sent anew each time, whatever actions do with it', async () => {
  const { passed } = await run(
    '- { record: { bad: 1, old: { x: 1 } }, repeat: 2 }',
    'alerts:\n      - { cause: { old: { x: 1 } } }\n      - { cause: { old: { x: 1 } } }',
    '- { name: filter_probe }\n- { name: filter_remove_keys, keys: old.x }',
  )
  expect(passed).toBe(true)
})

describe('a test passes', () => {
  test('when the alerts are those expected', async () => {
    const result = await run('- record: { bad: 1 }', 'alerts: [{ at: 0, tag: alert, record: { bad: 1 } }]')
    expect(result).toMatchObject({ passed: true, notes: [] })
    expect([...result.rules]).toEqual([1])
  })

  test('not when there are more', async () => {
    const result = await run('- { record: { bad: 1 }, repeat: 2 }', 'alerts: [{ at: 0 }]')
    expect(result).toMatchObject({ passed: false, findings: [{ kind: 'same' }, { kind: 'unexpected' }] })
    expect(result.rules.size).toBe(0)
  })

  test('not when an action cannot be opened', async () => {
    const result = await run('- record: {}', 'none: true', '- { name: filter_locked }')
    expect(result).toMatchObject({ passed: false, error: 'it is locked' })
  })
})

test('each of two rules of the same name is known by its place', async () => {
  const middle =
    '- { name: filter_probe, match: other }\n- { name: filter_probe, match: in }\n- { name: filter_rename, keys: { rule: r } }'
  const result = await run('- record: { bad: 1 }', 'alerts: [{ record: { bad: 1, r: filter_probe } }]', middle).catch(
    String,
  )
  expect(result).toMatchObject({ passed: true, rules: new Set([2]) })
})

describe('notes', () => {
  test.each([
    [
      'no event reaches a rule',
      '- { tag: other, record: {} }',
      'none: true',
      '- { name: filter_probe, match: in }',
      ['no event reached a rule: look at the tags'],
    ],
    [
      'no output takes an alert',
      '- record: { bad: 1 }',
      'alerts: [{}]',
      '- { name: filter_probe, tag: lost }',
      ['no output takes the alerts with the tag lost'],
    ],
    [
      'events go to the dead letters',
      "- { record: { log: '{' }, repeat: 2 }",
      'none: true',
      `- { name: parser_json, on_error: dead_letter }\n${probe}`,
      [expect.stringMatching(/^2 to the dead letters, parser_json: /), 'no event reached a rule: look at the tags'],
    ],
    [
      'what a parser could not read goes on, when the test fails',
      "- log: 'x'",
      'alerts: [{}]',
      `- { name: parser_json }\n${probe}`,
      ['parser_json could not read 1 of 1 events'],
    ],
    ['not when it passes', "- log: 'x'", 'none: true', `- { name: parser_json }\n${probe}`, []],
  ])('say that %s', async (_, steps, expected, middle, notes) => {
    expect((await run(steps, expected, middle)).notes).toEqual(notes)
  })
})

test('names have the addresses that `dns` gives, and others do not exist', async () => {
  const middle = '- { name: filter_dnsbl, match: in, key: ip, domains: [bl.test], tag: alert }'
  const dns = '    dns: { 9.113.0.203.BL.test.: [127.0.0.2] }\n'
  const result = await run(
    '- record: { ip: 203.0.113.9 }\n- record: { ip: 203.0.113.10 }',
    'alerts: [{ record: { value: 203.0.113.9 } }]',
    middle,
    dns,
  )
  expect(result.error).toBeUndefined()
  expect(result.findings).toEqual([{ kind: 'same' }])
})
