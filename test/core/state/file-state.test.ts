import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { VirtualClock } from '../../../src/core/clock.ts'
import type { PipelineConfig } from '../../../src/core/config/types.ts'
import { actionKey } from '../../../src/core/positions.ts'
import { type FileState, openState, type StateOptions, stateFileName } from '../../../src/core/state/file-state.ts'
import type { StateChange } from '../../../src/core/state/pipeline-state.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { type ActionMap, actionConfig, silent } from '../../helpers/run-pipeline.ts'
import { nothing, openFile } from './opening.ts'

const inputKey = 'input_file/input_file/1'
const ruleKey = 'filter_spike/filter_spike/1'
const outputKey = 'output_archive/output_archive/1'

/** A pipeline of an input, a rule and an output, which have their state where it is said. */
function pipelineOf(paths: { input?: string; rule?: string; output?: string }): PipelineConfig {
  const own = (path: string | undefined) => (path === undefined ? {} : { db_path: path })
  const actions: ActionMap[] = [
    { name: 'input_file', ...own(paths.input) },
    { name: 'filter_spike', ...own(paths.rule) },
    { name: 'output_archive', ...own(paths.output) },
  ]
  return { name: 'p', actions: actions.map(actionConfig) }
}

const options: StateOptions = { folder: undefined, fsync: 'commit', instance: 'this', owner: undefined }

async function open(config: PipelineConfig, folder?: string, clock = new VirtualClock(100)): Promise<FileState> {
  const state = await openState(config, { ...options, folder }, silent, clock)
  if (state === undefined) throw new Error('it has no state')
  return state
}

/** A change of everything, in which everything says `n`. */
function change(n: number): StateChange {
  return {
    memories: [{ action: ruleKey, format: 'f', segment: Buffer.from([n]), keep: 1 }],
    marks: new Map([[outputKey, { n }]]),
    positions: new Map([[inputKey, new Map([['n', n]])]]),
    timelines: new Map([['event', { start: 0, now: n }]]),
    buffers: [{ action: outputKey, add: [{ seq: n, name: 'id/x/1', events: 1, data: Buffer.from([n]) }], done: [] }],
  }
}

/** Which parts of `change` a file holds. */
async function partsIn(path: string): Promise<string[]> {
  const file = await openFile(path)
  const parts = {
    memory: file.memory(ruleKey, 'f').length > 0,
    marks: file.marks(outputKey).size > 0,
    positions: file.positions(inputKey).size > 0,
    timeline: file.timeline('event') !== undefined,
    buffers: file.batches(outputKey).length > 0,
  }
  file.close()
  return Object.entries(parts).flatMap(([part, there]) => (there ? [part] : []))
}

const nowhere = { dir: false, input: undefined, rule: undefined, output: undefined }
const whole = ['memory', 'marks', 'positions', 'timeline', 'buffers']

/** Where things are said to be kept, and what is in each file then. */
const cases: [string, Partial<typeof nowhere> | Record<string, unknown>, Record<string, string[]>][] = [
  ['state_dir alone', { dir: true }, { 'state/p.sqlite': whole }],
  ['a rule with a file', { rule: 'rule' }, { rule: ['memory', 'timeline'] }],
  ['an input with a file', { input: 'input' }, { input: ['positions', 'timeline'] }],
  ['an output with a file', { output: 'output' }, { output: ['marks', 'timeline'] }],
  ['all in one file', { input: 'one', rule: './one', output: 'sub/../one' }, { one: whole.slice(0, 4) }],
  [
    'each in its own',
    { input: 'i', rule: 'r', output: 'o' },
    { i: ['positions', 'timeline'], r: ['memory', 'timeline'], o: ['marks', 'timeline'] },
  ],
  [
    'state_dir and a rule with a file',
    { dir: true, rule: 'rule' },
    { 'state/p.sqlite': whole.slice(1), rule: ['memory', 'timeline'] },
  ],
  [
    'state_dir and an output with a file, whose marks must agree with the positions',
    { dir: true, output: 'output' },
    { 'state/p.sqlite': whole, output: ['timeline'] },
  ],
]

test.each(cases)('%s: everything is where it is said to be', async (_, { dir, ...paths }, files) => {
  const folder = await scratchFolder()
  const absolute = Object.fromEntries(Object.entries(paths).map(([key, path]) => [key, `${folder}/${path}`]))
  const state = await open(pipelineOf(absolute), dir === true ? join(folder, 'state') : undefined)
  expect(state.isDurable).toBe(dir === true)
  await state.save(change(1))
  await state.save(change(2))
  expect(state.timeline('event')).toEqual({ start: 0, now: 2 })
  state.close()
  for (const [file, parts] of Object.entries(files)) expect(await partsIn(join(folder, file))).toEqual(parts)
})

test('without state_dir and db_path there is no state', async () => {
  expect(await openState(pipelineOf({}), options, silent, new VirtualClock(0))).toBeUndefined()
})

test('files of actions are saved once a second, and at the end', async () => {
  const clock = new VirtualClock(1000)
  const state = await open(pipelineOf({ rule: join(await scratchFolder(), 'rule') }), undefined, clock)
  expect(state.wanted(false)).toBe(true)
  await state.save(nothing)
  expect([state.wanted(false), state.wanted(true)]).toEqual([false, true])
  clock.advance(0.5)
  expect(state.wanted(false)).toBe(false)
  clock.advance(0.25)
  expect(state.wanted(false)).toBe(true)
  await state.save(nothing)
  clock.advance(-3600)
  expect(state.wanted(false)).toBe(true)
  state.close()
})

test('files of actions are saved the more often the more there is to save', async () => {
  const clock = new VirtualClock(1000)
  const state = await open(pipelineOf({ rule: join(await scratchFolder(), 'rule') }), undefined, clock)
  const save = (bytes: number) =>
    state.save({
      ...nothing,
      memories: [{ action: 'filter_dummy/rule', format: 'x', segment: new Uint8Array(bytes), keep: 1 }],
    })
  await save(10)
  clock.advance(0.75)
  await save(6_000_000)
  clock.advance(0.24)
  expect(state.wanted(false)).toBe(false)
  clock.advance(0.02)
  expect(state.wanted(false)).toBe(true)
  await save(20_000_000)
  clock.advance(0.11)
  expect(state.wanted(false)).toBe(true)
  await save(1000)
  clock.advance(0.11)
  expect(state.wanted(false)).toBe(false)
  state.close()
})

test('with state_dir every commit is saved', async () => {
  const folder = await scratchFolder()
  const state = await open(pipelineOf({ rule: join(folder, 'rule') }), folder)
  await state.save(nothing)
  expect(state.wanted(false)).toBe(true)
  state.close()
})

test('an input goes on from its file, not from what the process knows; without a file from what it knows', async () => {
  const folder = await scratchFolder()
  const inMemory = new Map([
    [inputKey, new Map([['n', 9]])],
    ['input_dummy/input_dummy/1', new Map([['count', 5]])],
  ])
  const config = pipelineOf({ input: join(folder, 'input') })
  const first = await open(config)
  await first.save(change(1))
  first.close()
  const second = await open(config)
  const positions = await second.positions(inMemory)
  expect(positions.get(inputKey)).toEqual(new Map([['n', 1]]))
  expect(positions.get('input_dummy/input_dummy/1')).toEqual(new Map([['count', 5]]))
  second.close()
})

test('a new file takes over what the process knows, all of it', async () => {
  const folder = await scratchFolder()
  const inMemory = new Map([
    [
      inputKey,
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    ],
  ])
  const first = await open(pipelineOf({}), folder)
  expect(await first.positions(inMemory)).toEqual(inMemory)
  await first.save({ ...nothing, positions: new Map([[inputKey, new Map([['a', 7]])]]) })
  first.close()
  const second = await open(pipelineOf({}), folder)
  expect(await second.positions(new Map())).toEqual(
    new Map([
      [
        inputKey,
        new Map([
          ['a', 7],
          ['b', 2],
        ]),
      ],
    ]),
  )
  second.close()
})

test('when one of its files cannot be opened, the others are let go', async () => {
  const folder = await scratchFolder()
  const held = await openFile(join(folder, 'held'), { instance: 'other' })
  const config = pipelineOf({ rule: join(folder, 'rule'), output: join(folder, 'held') })
  await expect(open(config)).rejects.toMatchObject({ code: 'STATE_LOCKED' })
  const rule = await openFile(join(folder, 'rule'), { instance: 'other' })
  rule.close()
  held.close()
})

test.each([
  ['web', 'web.sqlite'],
  ['web-1.eu_2', 'web-1.eu_2.sqlite'],
  ['Web', /^web~[0-9a-f]{16}\.sqlite$/],
  ['../../etc/passwd', /^_etc_passwd~[0-9a-f]{16}\.sqlite$/],
  ['.hidden', /^_hidden~[0-9a-f]{16}\.sqlite$/],
  ['été 夏', /^_t_~[0-9a-f]{16}\.sqlite$/],
  ['x'.repeat(300), /^x{60}~[0-9a-f]{16}\.sqlite$/],
  ['a\0b\n', /^a_b_~[0-9a-f]{16}\.sqlite$/],
])('the pipeline %j has its state in %s', (name, file) => {
  expect(stateFileName(name)).toEqual(typeof file === 'string' ? file : expect.stringMatching(file))
})

test('no two pipelines share a file, also where capitals are not told from small letters', () => {
  const names = ['web', 'Web', 'WEB', 'web ', 'we b', 'we_b', 'we/b', 'we\\b', 'wéb', 'wèb', '', '.', '..']
  expect(new Set(names.map((name) => stateFileName(name).toLowerCase())).size).toBe(names.length)
})

test('nothing but the state file, its journal and its lock is in state_dir', async () => {
  const folder = join(await scratchFolder(), 'state')
  const state = await open(pipelineOf({}), folder)
  await state.save(change(1))
  expect(readdirSync(folder).sort()).toEqual(['p.sqlite', 'p.sqlite-lock', 'p.sqlite-shm', 'p.sqlite-wal'])
  state.close()
  expect(readdirSync(folder).sort()).toEqual(['p.sqlite', 'p.sqlite-lock'])
})

test('an action without a label goes on where it was when another is put before it, and when its parameters change', async () => {
  const folder = await scratchFolder()
  const file = (path: string) => ({ name: 'input_file', path_pattern: path })
  const forward = (host: string) => ({ name: 'output_forward', host })
  /** What each action finds, under the name that it has in this list. */
  const found = async (list: ActionMap[], save = false) => {
    const config = { name: 'p', actions: list.map(actionConfig) }
    const state = await open(config, folder)
    const keys = list.map((_, place) => actionKey(config.actions, place))
    const positions = await state.positions(new Map())
    const said = keys.map((key) => [
      ...(positions.get(key)?.keys() ?? []),
      ...state.batches(key).map(({ name }) => name),
      ...(state.lastBatch(key) > 0 ? [state.lastBatch(key)] : []),
      ...state.marks(key).keys(),
    ])
    if (save) {
      const [a = '', b = '', out = ''] = keys
      await state.save({
        ...{ ...nothing, positions: new Map([a, b].map((key, at) => [key, new Map([[`at ${at}`, 1]])])) },
        buffers: [{ action: out, add: [{ seq: 7, name: 'batch', events: 1, data: Buffer.from('x') }], done: [] }],
        marks: new Map([[out, { mark: 1 }]]),
      })
    }
    state.close()
    return said
  }
  const [a, b, out] = [file('/a'), file('/b'), forward('one')]
  await found([a, b, out], true)
  const ofOut = ['batch', 7, 'mark']
  expect(await found([file('/c'), a, b, forward('two'), out])).toEqual([[], ['at 0'], ['at 1'], [], ofOut])
  expect(await found([b, out])).toEqual([['at 1'], ofOut])
  // It was removed before: the one that comes is another.
  expect(await found([file('/moved'), b, out])).toEqual([[], ['at 1'], ofOut])
  await found([a, b, out])
  expect(await found([file('/moved'), b, forward('new')])).toEqual([['at 0'], ['at 1'], ofOut])
})

test('events that wait for an output do not go to one that takes other tags', async () => {
  const folder = await scratchFolder()
  const { log, lines } = recordingLog()
  const openFor = async (host: string, match: string) => {
    const config = { name: 'p', actions: [{ name: 'output_forward', host, match }].map(actionConfig) }
    const state = await openState(config, { ...options, folder }, log, new VirtualClock(100))
    return { state, key: actionKey(config.actions, 0) }
  }
  const first = await openFor('one', 'secret')
  const batch = { seq: 7, name: 'batch', events: 1, data: Buffer.from('x') }
  await first.state?.save({
    ...{ ...nothing, buffers: [{ action: first.key, add: [batch], done: [] }] },
    marks: new Map([[first.key, { mark: 1 }]]),
  })
  first.state?.close()
  const other = await openFor('two', 'public')
  expect(other.state?.batches(other.key)).toEqual([])
  expect(other.state?.lastBatch(other.key)).toBe(0)
  expect(other.state?.marks(other.key)).toEqual(new Map([['mark', 1]]))
  expect(other.state?.waiting()).toEqual([{ action: first.key, events: 1, place: 'one' }])
  other.state?.close()
  // Nor later, to one that takes the same.
  const third = await openFor('three', 'secret')
  expect(third.state?.batches(third.key)).toEqual([])
  third.state?.close()
  const back = await openFor('one', 'secret')
  expect(back.state?.batches(back.key)).toEqual([batch])
  back.state?.close()
  const told = lines.filter(({ msg }) => /goes on|begins afresh/.test(String(msg)))
  expect(told.map(({ level, action, before }) => [level, action, before])).toEqual([
    ['info', other.key, first.key],
    ['info', third.key, other.key],
  ])
})

test('in a file that does not say what was configured last, nothing is taken for missing, with a warning', async () => {
  const folder = await scratchFolder()
  const path = join(folder, 'p.sqlite')
  const openFor = (where: string, log = silent) => {
    const config = { name: 'p', actions: [{ name: 'input_file', path_pattern: where }].map(actionConfig) }
    return openState(config, { ...options, folder }, log, new VirtualClock(100))
  }
  const key = actionKey([actionConfig({ name: 'input_file', path_pattern: '/a' })], 0)
  const first = await openFor('/a')
  await first?.save({ ...nothing, positions: new Map([[key, new Map([['at', 1]])]]) })
  first?.close()
  const database = new Database(path)
  database.exec('DROP TABLE actions; PRAGMA user_version = 2')
  database.close()
  const { log, lines } = recordingLog()
  const second = await openFor('/b', log)
  expect((await second?.positions(new Map()))?.get(key)).toEqual(new Map([['at', 1]]))
  second?.close()
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ saved: [key] }])
})
