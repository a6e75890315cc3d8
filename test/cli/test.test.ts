// `feedoo test` as a person meets it: what it prints, what it writes, and its exit code.
import { readdirSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { testCommand } from '../../src/cli/test.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'

const pipeline = `pipelines:
  web:
    - { name: input_dummy, tag: web, data: { a: 1 } }
    - { name: filter_frequency, label: many, match: web, query_key: user, num_events: 2, timeframe: 10, tag: alert }
    - { name: filter_frequency, label: more, match: web, num_events: 100, timeframe: 10, tag: alert }
    - { name: output_stdout, match: alert }
`

const passing = `tests:
  - name: two are many
    events: [{ record: { user: eve }, repeat: 2 }]
    alerts: [{ record: { rule: many, query_key: eve } }]
`

const failing = `tests:
  - name: two are <many> & "more"
    events: [{ record: { user: eve }, repeat: 4, every: 1 }]
    alerts: [{ at: 1, record: { query_key: bob } }, { at: 3 }, { tag: alert, record: { n: 1 } }]
`

/** Runs it on a configuration; the folder's name is left out of what it prints, and the time it took. */
async function run(yaml: string, options: { junit?: boolean; pipeline?: string } = {}) {
  const folder = await scratchFolder()
  const file = join(folder, 'a.yaml')
  await writeFile(file, yaml)
  let stdout = ''
  let stderr = ''
  const code = await testCommand(
    { file, pipeline: options.pipeline, junit: options.junit ? join(folder, 'junit.xml') : undefined },
    (text) => {
      stdout += text
    },
    (text) => {
      stderr += text
    },
  )
  const xml = options.junit ? await readFile(join(folder, 'junit.xml'), 'utf8') : ''
  const plain = (text: string) => text.replaceAll(`${folder}/`, '').replace(/in \d+ ms/, 'in 0 ms')
  return { code, stdout: plain(stdout), stderr: plain(stderr), xml: plain(xml).replace(/time="[\d.]+"/g, 'time="0"') }
}

describe('feedoo test', () => {
  test('says that all is well, and which rules have no test', async () => {
    expect(await run(pipeline + passing)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `ok    web: two are many
a.yaml: 1 test, 1 passed in 0 ms
rules that no test has made alert:
  web: more (a.yaml:5:7)
`,
    })
  })

  test('shows what differs from what was expected', async () => {
    expect(await run(pipeline + failing)).toMatchObject({
      code: 1,
      stdout: `FAIL  web: two are <many> & "more"
      a.yaml:8:5
      expected 3 alerts, got 2
        1. differs: alert at 1 {"timestamp":1767225601,"rule":"many","query_key":"eve","num_events":2,"timeframe":10}
      -      record.query_key: "bob"
      +      record.query_key: "eve"
        2. as expected
      - 3. missing: alert {"n":1}
a.yaml: 1 test, 0 passed, 1 failed in 0 ms
rules that no test has made alert:
  web: many (a.yaml:4:7)
  web: more (a.yaml:5:7)
`,
    })
  })

  test('without tests says so, which is no failure', async () => {
    const { code, stdout } = await run(pipeline)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^a\.yaml: no tests\nrules that no test has made alert:\n {2}web: many/)
  })

  test('takes only the tests of one pipeline', async () => {
    const other = passing.replace('name: two are many', 'name: two are many\n    pipeline: web')
    const two = `${pipeline}  other:\n    - { name: input_dummy, tag: o, data: {} }\n${other}`
    expect((await run(two, { pipeline: 'other' })).stdout).toBe('a.yaml: no tests\n')
    expect((await run(two, { pipeline: 'web' })).stdout).toContain('1 passed')
    expect(await run(two, { pipeline: 'wob' })).toMatchObject({
      code: 2,
      stderr: 'feedoo: a.yaml has no pipeline wob, did you mean "web"?\n',
    })
  })

  test('writes JUnit XML', async () => {
    const { xml } = await run(pipeline + failing, { junit: true })
    expect(xml).toContain('<testsuite name="a.yaml" tests="1" failures="1" errors="0" time="0">')
    expect(xml).toContain('name="two are &#60;many&#62; &#38; &#34;more&#34;"')
    expect(xml).toContain('<failure message="expected 3 alerts, got 2">a.yaml:8:5&#10;expected 3 alerts, got 2&#10;')
  })

  test('writes into JUnit XML nothing that is no XML', async () => {
    const hostile =
      'tests:\n  - name: "\\u0000\\u001b]]>\\ud800 \\u0007\\uffff"\n    events: [{ record: {} }]\n    none: true\n'
    const { xml } = await run(pipeline + hostile, { junit: true })
    expect(xml).toContain('name="\\u0000\\u001b]]&#62;')
    expect(xml).toMatch(/^[\n\x20-\x7e]*$/)
  })
})

test.each(['test', 'replay'])(
  'feedoo %s leaves state, dead letters and outputs of the configuration alone',
  async (command) => {
    const folder = await scratchFolder()
    const yaml = `state_dir: ${folder}/state
dead_letters: ${folder}/dead.jsonl
pipelines:
  p:
    - { name: input_file, tag: in, path_pattern: "${folder}/*.log" }
    - { name: parser_json, on_error: dead_letter }
    - { name: filter_frequency, match: in, num_events: 1, timeframe: 10, tag: alert, db_path: ${folder}/rule.db }
    - { name: output_archive, path_template: "${folder}/out.jsonl" }
tests:
  - { name: t, events: [{ log: "{}" }, { log: "no JSON" }], alerts: [{}] }
`
    await writeFile(join(folder, 'a.yaml'), yaml)
    await writeFile(join(folder, 'a.txt'), '{"log":"{}"}\nno JSON\n')
    const daemon = new Daemon([command, 'a.yaml', ...(command === 'replay' ? ['--from', 'a.txt'] : [])], {
      cwd: folder,
    })
    expect([await daemon.exit(), daemon.stderr]).toEqual([0, ''])
    expect(daemon.stdout).toMatch(/1 to the dead letters, parser_json: /)
    expect(readdirSync(folder).sort()).toEqual(['a.txt', 'a.yaml'])
  },
)

const root = fileURLToPath(new URL('../..', import.meta.url))
const examples = readdirSync(join(root, 'etc/feedoo/pipelines')).filter((file) => file.endsWith('.yaml'))
const withRules = examples.filter((file) =>
  readFileSync(join(root, 'etc/feedoo/pipelines', file), 'utf8').includes('\ntests:'),
)

test('the examples with rules are there', () => {
  expect(withRules).toEqual(
    expect.arrayContaining(['beaconing.yaml', 'heartbeat.yaml', 'ioc.yaml', 'ssh-bruteforce.yaml']),
  )
})

test.each(withRules)(
  'every test of etc/feedoo/pipelines/%s passes, without a note, and every rule has one',
  async (file) => {
    let stdout = ''
    const write = (text: string) => {
      stdout += text
    }
    const code = await testCommand({ file: join(root, 'etc/feedoo/pipelines', file) }, write, write)
    expect(stdout).not.toMatch(/FAIL|note:|no test/)
    expect(code).toBe(0)
    const { tests } = parse(readFileSync(join(root, 'etc/feedoo/pipelines', file), 'utf8')) as { tests: unknown[] }
    expect(stdout.match(/^ok {4}/gm)).toHaveLength(tests.length)
  },
)

test.each([
  [['test', 'none.yaml'], 2, /^none\.yaml: error: cannot read this file/],
  [['test', 'a.yaml', '-c', 'b.yaml'], 2, /two configurations/],
  [['test', 'a.yaml', '--junit', 'none/a.xml'], 1, /^feedoo: cannot write none\/a\.xml: there is no such file\n$/],
])('feedoo %j ends with %d', async (args, code, message) => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'a.yaml'), pipeline + passing)
  const daemon = new Daemon(args, { cwd: folder })
  expect(await daemon.exit()).toBe(code)
  expect(daemon.stderr).toMatch(message)
})
