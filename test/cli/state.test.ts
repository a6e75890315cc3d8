import { chmod, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test, vi } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const isRoot = process.getuid?.() === 0
const patience = { timeout: 15_000, interval: 20 }

/** An input that counts to `to`, an event at a time; with `broken`, its thread dies at four once, with no more saved. */
const steps = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineAction, z } from 'feedoo'
export const inputSteps = defineAction({
  kind: 'input', name: 'input_steps', summary: 'Counts.',
  params: z.strictObject({
    to: z.int().describe('to'), broken: z.string().optional().describe('file'), db_path: z.string().optional().describe('state'),
  }),
  examples: [{ title: 'x', yaml: '', out: [] }],
  create: ({ to, broken }) => ({
    async run({ emit, positions, signal }) {
      for (let n = (positions.get('n') ?? 0) + 1; n <= to; n++) {
        await emit([{ tag: 'login', timestamp: 1000 + n, record: { n, user: n % 2 } }], { n })
        if (n === 4 && broken !== undefined && !existsSync(broken)) {
          writeFileSync(broken, '')
          setImmediate(() => { throw new Error('it broke') })
          await new Promise(() => {})
        }
      }
      if (to !== 20) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
  }),
})
`

/** A rule that counts to three by user; to begin with its own file, if any. */
const rule = (db_path?: string) =>
  `    - { name: filter_frequency, match: login, tag: alert, query_key: user, num_events: 3, timeframe: 1000${db_path === undefined ? '' : `, db_path: "${db_path}"`} }`

const alertsTo = '    - { name: output_archive, match: alert, path_template: "{dir}/alerts.jsonl" }'

interface Saved {
  seq: number
  position: number | undefined
}

/** What the state file says, read while the daemon runs. */
function saved(path: string): Saved {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  try {
    const seq = database.prepare<[], number>('SELECT seq FROM commits').pluck().get() ?? 0
    const json = database.prepare<[], string>("SELECT json FROM positions WHERE key = 'n'").pluck().get()
    return { seq, position: json === undefined ? undefined : Number(json) }
  } finally {
    database.close()
  }
}

async function alerts(folder: string): Promise<string[]> {
  return (await readFile(join(folder, 'alerts.jsonl'), 'utf8')).split('\n').slice(0, -1)
}

let inOneGo: Promise<string[]> | undefined

/** The alerts of twenty events in one go. */
function uninterrupted(): Promise<string[]> {
  inOneGo ??= runInOneGo()
  return inOneGo
}

async function runInOneGo(): Promise<string[]> {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'steps.js'), steps)
  const daemon = await Daemon.start(
    `plugins: [./steps.js]\npipelines:\n  p:\n    - { name: input_steps, to: 20 }\n${rule()}\n${alertsTo}\n`,
    folder,
  )
  expect(await daemon.exit()).toBe(0)
  return alerts(folder)
}

/** Where state is kept, and the file in which the test sees that it is. */
const places: [string, string, { input: string; rule: string | undefined }, string][] = [
  ['state_dir', 'state_dir: "{dir}/state"\n', { input: '', rule: undefined }, 'state/p.sqlite'],
  ['one db_path of the input and the rule', '', { input: ', db_path: "{dir}/own"', rule: '{dir}/own' }, 'own'],
]

test.each(places)(
  'after kill -9, %s gives the next alert that an uninterrupted run gives',
  async (_, top, at, file) => {
    const folder = await scratchFolder()
    await writeFile(join(folder, 'steps.js'), steps)
    const yaml = (to: number) =>
      `${top}plugins: [./steps.js]\npipelines:\n  p:\n    - { name: input_steps, to: ${to}${at.input} }\n${rule(at.rule)}\n${alertsTo}\n`
    for (const to of [4, 13]) {
      const daemon = await Daemon.start(yaml(to), folder)
      await vi.waitFor(() => expect(saved(join(folder, file)).position).toBe(to), patience)
      daemon.signal('SIGKILL')
      expect(await daemon.exit()).toBe('SIGKILL')
    }
    const last = await Daemon.start(yaml(20), folder)
    expect(await last.exit()).toBe(0)
    expect(await alerts(folder)).toEqual(await uninterrupted())
  },
)

test('after kill -9, a rule with a file of its own has what it had counted, whatever its input does', async () => {
  const folder = await scratchFolder()
  const yaml = (repeat: number) => `pipelines:
  p:
    - { name: input_dummy, tag: login, data: { user: eve }, repeat: ${repeat} }
    - { name: input_dummy, tag: other, data: { user: eve }, repeat: -1, rate: 20 }
    - { name: filter_frequency, match: login, tag: alert, query_key: user, num_events: 3, timeframe: 1000, db_path: "{dir}/rule" }
${alertsTo}
`
  const first = await Daemon.start(yaml(2), folder)
  // The second save follows the events of the first second.
  await vi.waitFor(() => expect(saved(join(folder, 'rule')).seq).toBeGreaterThan(1), patience)
  first.signal('SIGKILL')
  await first.exit()
  const second = await Daemon.start(yaml(1), folder)
  await vi.waitFor(async () => expect(await alerts(folder)).toHaveLength(1), patience)
  second.signal('SIGTERM')
  expect(await second.exit()).toBe(0)
})

test('what came in the last moment before silence is saved without a stop', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'steps.js'), steps)
  const daemon = await Daemon.start(
    `plugins: [./steps.js]\npipelines:\n  p:\n    - { name: input_steps, to: 3, db_path: "{dir}/own" }\n${rule()}\n${alertsTo}\n`,
    folder,
  )
  // The first commit is saved at once, and those of the same second are not.
  await vi.waitFor(() => expect(saved(join(folder, 'own')).position).toBe(3), patience)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test('a pipeline that dies and is started again goes on from its last commit', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'steps.js'), steps)
  const daemon = await Daemon.start(
    `state_dir: "{dir}/state"\nplugins: [./steps.js]\npipelines:\n  p:\n    - { name: input_steps, to: 20, broken: "{dir}/broken" }\n${rule()}\n${alertsTo}\n`,
    folder,
  )
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().filter(({ msg }) => msg === 'the pipeline failed')).toHaveLength(1)
  expect(await alerts(folder)).toEqual(await uninterrupted())
})

test('a state file cut in half does not stop the start, and is kept', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'steps.js'), steps)
  const yaml = `state_dir: "{dir}/state"\nplugins: [./steps.js]\npipelines:\n  p:\n    - { name: input_steps, to: 20 }\n${rule()}\n${alertsTo}\n`
  expect(await (await Daemon.start(yaml, folder)).exit()).toBe(0)
  const file = join(folder, 'state', 'p.sqlite')
  await truncate(file, (await stat(file)).size / 2)
  const daemon = await Daemon.start(yaml, folder)
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs()).toContainEqual(
    expect.objectContaining({ level: 'error', code: 'STATE_DAMAGED', pipeline: 'p' }),
  )
  expect((await readdir(join(folder, 'state'))).filter((name) => /^p\.sqlite\.damaged-\w+$/.test(name))).toHaveLength(1)
  expect(saved(file).position).toBe(20)
})

test('two daemons do not share a state: the second one does not start', async () => {
  const folder = await scratchFolder()
  const yaml = 'state_dir: "{dir}/state"\npipelines:\n  p:\n    - { name: input_dummy, tag: t, repeat: -1, rate: 5 }\n'
  const first = await Daemon.start(yaml, folder)
  await first.logged(/runs p/)
  const second = await Daemon.start(yaml, folder)
  expect(await second.exit()).toBe(1)
  expect(second.logs()).toContainEqual(
    expect.objectContaining({
      level: 'fatal',
      code: 'STATE_LOCKED',
      msg: expect.stringContaining(`(${first.pid} on `),
    }),
  )
  first.signal('SIGTERM')
  expect(await first.exit()).toBe(0)
})

test('a configuration without state makes no file and opens no database', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(
    'pipelines:\n  p:\n    - { name: input_dummy, tag: t, repeat: -1, rate: 5 }\n',
    folder,
  )
  await daemon.logged(/runs p/)
  expect(await readFile(`/proc/${daemon.pid}/maps`, 'utf8')).not.toContain('better_sqlite3')
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(await readdir(folder)).toEqual(['feedoo.yaml'])
})

test.skipIf(!isRoot)('after giving up root, a pipeline can open its state again (needs root)', async () => {
  const folder = await scratchFolder()
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'out'))
  await chmod(join(folder, 'out'), 0o777)
  const yaml = (rate: number) => `privileges: { user: nobody, group: nogroup }
state_dir: "{dir}/a/state"
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { user: eve }, repeat: -1, rate: ${rate} }
    - { name: filter_frequency, match: t, tag: alert, num_events: 3, timeframe: 1000, db_path: "{dir}/b/rule" }
    - { name: output_archive, path_template: "{dir}/out/all.jsonl" }
`
  const daemon = await Daemon.start(yaml(20), folder)
  await daemon.logged(/runs p/)
  const file = join(folder, 'a', 'state', 'p.sqlite')
  const before = saved(file).seq
  await writeFile(join(folder, 'feedoo.yaml'), yaml(21).replaceAll('{dir}', folder))
  daemon.signal('SIGHUP')
  await daemon.logged(/reloaded: p changed/)
  await vi.waitFor(() => expect(saved(file).seq).toBeGreaterThan(before + 5), patience)
  for (const name of [
    'a',
    'a/state',
    'a/state/p.sqlite',
    'a/state/p.sqlite-lock',
    'b/rule',
    'b/rule-wal',
    'b/rule-lock',
  ]) {
    expect(await stat(join(folder, name))).toMatchObject({ uid: 65534, gid: 65534 })
  }
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().filter(({ level }) => level !== 'info')).toEqual([])
  expect(await linesIn(join(folder, 'out'))).not.toEqual([])
})

test('an input with a db_path of its own goes on where it was, without state_dir', async () => {
  const folder = await scratchFolder()
  const yaml = `pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "{dir}/in.log", from: start, once: true, db_path: "{dir}/in.sqlite" }
    - { name: output_archive, path_template: "{dir}/out", db_path: "{dir}/out.sqlite" }
`
  await writeFile(join(folder, 'in.log'), 'one\ntwo\n')
  expect(await (await Daemon.start(yaml, folder)).exit()).toBe(0)
  await writeFile(join(folder, 'in.log'), 'one\ntwo\nthree\n')
  expect(await (await Daemon.start(yaml, folder)).exit()).toBe(0)
  const lines = (await readFile(join(folder, 'out'), 'utf8')).trim().split('\n')
  expect(lines.map((line) => JSON.parse(line).log)).toEqual(['one', 'two', 'three'])
  expect(await readdir(folder)).not.toContain('out.sqlite')
})
