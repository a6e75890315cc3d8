import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serialize } from 'node:v8'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { type StateCommand, stateCommand } from '../../src/cli/state.ts'
import type { Position } from '../../src/core/action.ts'
import { systemClock } from '../../src/core/clock.ts'
import { actionKey } from '../../src/core/positions.ts'
import { openState } from '../../src/core/state/file-state.ts'
import type { StateChange } from '../../src/core/state/pipeline-state.ts'
import { MsgpackWriter } from '../../src/protocol/msgpack-writer.ts'
import { loadText } from '../core/config/helpers.ts'
import { nothing, openFile } from '../core/state/opening.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { actionConfig, silent } from '../helpers/run-pipeline.ts'

const patience = { timeout: 15_000, interval: 20 }

async function run(what: StateCommand['what'], from: StateCommand['from'], options: Partial<StateCommand> = {}) {
  let out = ''
  let err = ''
  const write = async (text: string) => {
    out += text
  }
  const code = await stateCommand({ what, from, json: false, ...options }, write, (text) => {
    err += text
  })
  return { code, out, err }
}

async function exported(file: string, options: Partial<StateCommand> = {}): Promise<Record<string, unknown>[]> {
  const { out } = await run('export', { file }, options)
  return out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

type Entries = (readonly [key: string, value?: unknown])[]

/** A segment in the form of journal.ts; a key without value is one that was forgotten. */
function segment(sections: Record<string, Entries>): Uint8Array {
  const writer = new MsgpackWriter()
  writer.mapHeader(Object.keys(sections).length)
  for (const [name, entries] of Object.entries(sections)) {
    writer.str(name).arrayHeader(entries.length)
    entries.forEach((entry, sight) => {
      writer.arrayHeader(entry.length === 1 ? 2 : 3)
      writer.value(entry[0])
      if (entry.length === 1) writer.value(null)
      else {
        writer.value(entry[1])
        writer.number(sight + 1)
      }
    })
  }
  return writer.take()
}

const rule = (bytes: Uint8Array): StateChange => ({
  ...nothing,
  memories: [{ action: 'rule', format: 'f', segment: bytes, keep: 1000 }],
})

const waiting = (events: number, rows: unknown): StateChange => ({
  ...nothing,
  buffers: [{ action: 'out', add: [{ seq: 1, name: 'id/x/1', events, data: serialize(rows) }], done: [] }],
})

const at = (position: Position): StateChange => ({
  ...nothing,
  positions: new Map([['in', new Map(Object.entries(position))]]),
})

/** A closed state file after these commits. */
async function stateOf(changes: StateChange[], pipeline = 'p'): Promise<string> {
  const path = join(await scratchFolder(), 'state')
  const file = await openFile(path, { pipeline, configuration: 'c0ffee' })
  for (const change of changes) await file.save(change)
  file.close()
  return path
}

const twoEvents = waiting(2, [
  ['a', 1.5, { n: 2n ** 64n }, undefined],
  ['b', 2, JSON.parse('{"__proto__":1}'), { id: 'x' }],
])

describe('export', () => {
  test('has everything, decoded, a line each', async () => {
    const marks = new Map([['archive', { '/x': { length: 5 } }]])
    const path = await stateOf([
      { ...at({ file: 7 }), marks },
      rule(
        segment({
          keys: [
            ['eve', 1],
            ['bob', 2],
          ],
        }),
      ),
      rule(segment({ keys: [['bob'], ['eve', { times: [1, 2] }]] })),
      twoEvents,
    ])
    const { out } = await run('export', { file: path })
    expect(out).toContain('"record":{"n":18446744073709551616}}\n')
    expect(out).toContain('"record":{"__proto__":1},"metadata":{"id":"x"}}\n')
    expect(await exported(path)).toMatchObject([
      { type: 'file', file: path, format: 3 },
      { type: 'pipeline', pipeline: 'p', commits: 4, configuration: 'c0ffee', last_commit: expect.any(Number) },
      { type: 'position', pipeline: 'p', action: 'in', key: 'file', value: 7 },
      { type: 'mark', pipeline: 'p', action: 'archive', key: '/x', value: { length: 5 } },
      { type: 'key', pipeline: 'p', action: 'rule', section: 'keys', key: 'eve', value: { times: [1, 2] }, sight: 2 },
      { type: 'buffer', pipeline: 'p', action: 'out', last_batch: 1, batches: 1 },
      { type: 'event', pipeline: 'p', action: 'out', batch: 1, tag: 'a', timestamp: 1.5 },
      { type: 'event', pipeline: 'p', action: 'out', batch: 1, tag: 'b', timestamp: 2 },
    ])
  })

  test('has the last value of each key, whatever the segments', async () => {
    const entry = fc.tuple(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.option(fc.nat(9), { nil: undefined }))
    const list = fc.uniqueArray(entry, { selector: ([key]) => key })
    const segments = fc.array(fc.record({ one: list, two: list }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(segments, async (written) => {
        const last = new Map<string, unknown>()
        const changes = written.map(({ one, two }) => {
          const clean = (entries: typeof one): Entries =>
            entries.map(([key, value]) => (value === undefined ? [key] : [key, value]))
          for (const [section, entries] of Object.entries({ one, two })) {
            for (const [key, value] of entries) {
              if (value === undefined) last.delete(`${section} ${key}`)
              else last.set(`${section} ${key}`, value)
            }
          }
          return rule(segment({ one: clean(one), two: clean(two) }))
        })
        const path = await stateOf(changes)
        const keys = (await exported(path)).filter(({ type }) => type === 'key')
        expect(new Map(keys.map(({ section, key, value }) => [`${section} ${key}`, value]))).toEqual(last)
        const { out } = await run('show', { file: path }, { json: true })
        const [shown] = (JSON.parse(out) as { pipelines: { rules: { keys: Record<string, number> }[] }[] }).pipelines
        const counts = Object.values(shown?.rules[0]?.keys ?? {}).reduce((sum, count) => sum + count, 0)
        expect(counts).toBe(last.size)
      }),
      { numRuns: 25 },
    )
  })

  test('gives what has a form of its own as it is', async () => {
    const path = await stateOf([rule(Buffer.from('of a plugin'))])
    const found = (await exported(path)).filter(({ type }) => type === 'memory')
    expect(found).toMatchObject([{ action: 'rule', base64: Buffer.from('of a plugin').toString('base64') }])
    expect((await run('check', { file: path })).code).toBe(0)
  })
})

/** What is done to a sound file, and what `check` then says. */
const damages: [string, (path: string) => Promise<void> | void, RegExp][] = [
  ['a segment with another byte', (path) => change(path, "UPDATE segments SET data = x'00'"), /segment 1 is not as/],
  ['a batch with another byte', (path) => change(path, "UPDATE batches SET data = x'00'"), /batch 1 is not as/],
  ['a batch of another length', (path) => change(path, 'UPDATE batches SET events = 3'), /does not hold 3 events/],
  ['a position that is no JSON', (path) => change(path, "UPDATE positions SET json = '{'"), /p, in: file/],
  ['a batch behind the last', (path) => change(path, 'UPDATE last_batches SET seq = 0'), /after the last one/],
  ['a file without its id', (path) => change(path, 'DELETE FROM meta'), /lost its id/],
  ['a file without a table', (path) => change(path, 'DROP TABLE marks'), /no such table: marks/],
  ['a file cut in half', async (path) => truncate(path, 8192), /malformed|damaged/],
  ['a file that begins with something else', (path) => writeFile(path, 'x'.repeat(9000)), /does not begin as/],
  ['a file of a newer version', (path) => change(path, 'PRAGMA user_version = 99'), /newer version of feedoo/],
]

function change(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

describe('check', () => {
  test('finds nothing wrong with a sound file', async () => {
    const path = await stateOf([at({ file: 7 }), rule(segment({ keys: [['eve', 1]] })), twoEvents])
    expect(await run('check', { file: path })).toEqual({ code: 0, out: `${path}: ok, format 3\n`, err: '' })
    const { out } = await run('check', { file: path }, { json: true })
    expect(JSON.parse(out)).toEqual({ file: path, ok: true, format: 3, problems: [] })
  })

  test.each(damages)('says what is wrong with %s', async (_, damage, problem) => {
    const path = await stateOf([at({ file: 7 }), rule(segment({ keys: [['eve', 1]] })), twoEvents])
    await damage(path)
    const plain = await run('check', { file: path })
    expect(plain.code).toBe(1)
    expect(plain.out + plain.err).toMatch(problem)
    const json = await run('check', { file: path }, { json: true })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, problems: [expect.stringMatching(problem)] })
  })

  test('takes bytes for a batch that are none as damage, not as a crash', async () => {
    const path = await stateOf([waiting(1, { no: 'batch' }), at({})])
    expect((await run('check', { file: path })).out).toMatch(/batch 1 does not hold 1 events/)
  })
})

test('a row that cannot be read does not hide the others', async () => {
  const path = await stateOf([at({ file: 7 }), rule(segment({ keys: [['eve', 1]] })), twoEvents])
  change(path, "UPDATE segments SET data = x'00'")
  const rows = await exported(path)
  expect(rows.map(({ type }) => type)).toContain('damage')
  expect(rows.filter(({ type }) => type === 'event')).toHaveLength(2)
  expect((await run('export', { file: path })).code).toBe(1)
})

test.each(['show', 'export', 'check'] as const)('%s prints nothing that a terminal would act on', async (what) => {
  const evil = '\u001b]0;x\u0007\u009b31m\u202e\r\u2028\u007f'
  const hostile: StateChange = {
    ...at({ [evil]: evil }),
    marks: new Map([[evil, { [evil]: evil }]]),
    memories: [{ action: evil, format: evil, segment: segment({ [evil]: [[evil, evil]] }), keep: 1 }],
    buffers: [
      {
        action: evil,
        add: [{ seq: 1, name: 'id/x/1', events: 1, data: serialize([[evil, 1, { [evil]: evil }]]) }],
        done: [],
      },
    ],
  }
  const path = await stateOf([hostile], evil)
  if (what === 'check') change(path, "UPDATE segments SET data = x'00'")
  for (const json of [false, true]) {
    const { out } = await run(what, { file: path }, { json })
    expect(out).toContain('31m')
    expect(out).not.toMatch(/[^\n\P{Cc}]|[\p{Cf}\u2028\u2029]/u)
    if (json)
      expect(
        out
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as unknown),
      ).not.toEqual([])
  }
})

describe('which files', () => {
  const yaml = (folder: string, user = 'user') => `state_dir: ${folder}/state
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { user: eve } }
    - { name: filter_frequency, match: t, tag: alert, query_key: ${user}, num_events: 3, timeframe: 10, db_path: "${folder}/own" }
    - { name: output_archive, path_template: "${folder}/out" }
`

  test('with a configuration, all of its files, and whether they were saved under it', async () => {
    const folder = await scratchFolder()
    const config = join(folder, 'feedoo.yaml')
    await writeFile(config, yaml(folder))
    const fresh = await run('show', { config })
    expect(fresh).toMatchObject({ code: 0, out: '' })
    expect(fresh.err).toBe(`${folder}/state/p.sqlite: not made yet\n${folder}/own: not made yet\n`)
    const daemon = await Daemon.start(yaml(folder), folder)
    expect(await daemon.exit()).toBe(0)
    const { code, out } = await run('show', { config })
    expect(code).toBe(0)
    expect(out.match(/^\S.*: format 3/gm)).toEqual([`${folder}/state/p.sqlite: format 3`, `${folder}/own: format 3`])
    expect(out).toContain('(as it is now)')
    expect((await run('check', { config })).out).not.toContain('wait')
    expect(out).toContain('position of input_dummy/input_dummy/1: sent = 1')
    expect(out).toMatch(/keys of filter_frequency\/filter_frequency\/1: keys 1/)
    await writeFile(config, yaml(folder, 'name'))
    expect((await run('show', { config })).out).toContain('(now it is ')
  })

  test('the log has one line when the state was made under another configuration', async () => {
    const folder = await scratchFolder()
    const lines: number[] = []
    for (const user of ['user', 'user', 'name']) {
      const daemon = await Daemon.start(yaml(folder, user), folder)
      expect(await daemon.exit()).toBe(0)
      lines.push(daemon.logs().filter(({ msg }) => /under another configuration/.test(String(msg))).length)
    }
    expect(lines).toEqual([0, 0, 1])
  })

  const wrong: [string, (path: string) => Promise<Partial<StateCommand>>, RegExp][] = [
    ['a file that is not there', async (path) => ({ from: { file: `${path}x` } }), /there is no state file/],
    ['a configuration in place of a state file', async () => ({ from: { file: 'a.yaml' } }), /give it with -c/],
    [
      'a pipeline that the file does not know',
      async (path) => ({ from: { file: path }, pipeline: 'pp' }),
      /did you mean "p"/,
    ],
    [
      'a database of something else',
      async (path) => {
        change(`${path}-foreign`, 'CREATE TABLE t (a)')
        return { from: { file: `${path}-foreign` } }
      },
      /something else/,
    ],
    [
      'a configuration without state',
      async (path) => {
        await writeFile(`${path}.yaml`, 'pipelines:\n  p:\n    - { name: input_dummy, tag: t }\n')
        return { from: { config: `${path}.yaml` } }
      },
      /keeps no state/,
    ],
  ]

  test.each(wrong)('%s is refused with exit code 2', async (_, make, message) => {
    const path = await stateOf([at({ file: 7 })])
    const { from = { file: path }, ...options } = await make(path)
    const { code, err } = await run('show', from, options)
    expect(err).toMatch(message)
    expect(code).toBe(2)
  })

  test('only one pipeline of a file that several share', async () => {
    const path = await stateOf([at({ file: 7 })])
    const other = await openFile(path, { pipeline: 'q' })
    await other.save(at({ file: 8 }))
    other.close()
    const rows = await exported(path, { pipeline: 'q' })
    expect(new Set(rows.map(({ pipeline }) => pipeline))).toEqual(new Set([undefined, 'q']))
  })
})

test('while the daemon writes, looking and copying disturb nothing, and every copy is whole', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(
    `state_dir: "{dir}/state"
pipelines:
  p:
    - { name: input_dummy, tag: t, data: [{ user: eve }, { user: bob }], repeat: -1, rate: 5000 }
    - { name: filter_frequency, match: t, tag: alert, query_key: user, num_events: 1000000, timeframe: 1000 }
    - { name: output_archive, path_template: "{dir}/out" }
`,
    folder,
  )
  const file = join(folder, 'state', 'p.sqlite')
  await vi.waitFor(
    async () => expect((await exported(file)).filter(({ type }) => type === 'key')).toHaveLength(2),
    patience,
  )
  for (let i = 0; i < 20; i++) {
    for (const what of ['show', 'export', 'check'] as const) {
      const { code, err } = await run(what, { file })
      expect({ code, err }).toEqual({ code: 0, err: '' })
    }
    const backup = join(folder, `backup-${i}`)
    const database = new Database(file, { readonly: true })
    await database.backup(backup)
    database.close()
    // A snapshot of both files at one moment.
    daemon.signal('SIGSTOP')
    await vi.waitFor(async () => expect(await readFile(`/proc/${daemon.pid}/stat`, 'utf8')).toMatch(/\) T/), patience)
    await copyFile(file, join(folder, `copy-${i}`))
    await copyFile(`${file}-wal`, join(folder, `copy-${i}-wal`))
    daemon.signal('SIGCONT')
    for (const copy of [backup, join(folder, `copy-${i}`)]) {
      expect(await run('check', { file: copy })).toMatchObject({ code: 0, err: '' })
      // The rule has counted what the input has sent, in each of them.
      const rows = await exported(copy)
      const sent = Number(rows.find(({ type }) => type === 'position')?.value)
      const counted = rows.flatMap(({ section, value }) => (section === 'keys' ? [(value as { times: [] }).times] : []))
      expect(counted.flat()).toHaveLength(sent)
    }
  }
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().filter(({ level }) => level !== 'info')).toEqual([])
})

test('check tells of events that wait for an output that the configuration has no more', async () => {
  const folder = await scratchFolder()
  const config = join(folder, 'feedoo.yaml')
  const yaml = (label: string) => `state_dir: ${folder}
pipelines: { p: [{ name: input_dummy, tag: t }, { name: output_forward, label: ${label}, host: a }] }
`
  const file = await openFile(join(folder, 'p.sqlite'))
  const rows = [['t', 1, {}, undefined]]
  const batch = { seq: 1, name: 'id/x/1', events: 1, data: serialize(rows) }
  await file.save({ ...nothing, buffers: [{ action: 'output_forward/one/1', add: [batch], done: [] }] })
  file.close()
  await writeFile(config, yaml('one'))
  expect((await run('check', { config })).out).toBe(`${folder}/p.sqlite: ok, format 3\n`)
  await writeFile(config, yaml('two'))
  const { code, out } = await run('check', { config })
  expect(code).toBe(0)
  expect(out).toMatch(/ok, format 3\n.*: p: 1 events wait for output_forward\/one\/1, which the pipeline does not have/)
  expect(JSON.parse((await run('check', { config }, { json: true })).out)).toMatchObject({
    ok: true,
    notes: [expect.any(String)],
  })
})

test('what is said of an output that is gone has its place, and so has what is shown, without secrets', async () => {
  const folder = await scratchFolder()
  const config = join(folder, 'feedoo.yaml')
  const yaml = (...hosts: string[]) => `state_dir: ${folder}
pipelines:
  p:
    - { name: input_dummy, tag: t }
${hosts.map((host) => `    - { name: output_forward, host: ${host}, port: 1, shared_key: secret }\n`).join('')}`
  const configure = async (text: string) => {
    await writeFile(config, text)
    const { config: read } = await loadText(text)
    const pipeline = read?.pipelines[0]
    if (pipeline === undefined) throw new Error('it is not read')
    const options = { folder, fsync: 'commit' as const, instance: 'this', owner: undefined }
    return { pipeline, state: await openState(pipeline, options, silent, systemClock) }
  }
  const { pipeline, state } = await configure(yaml('a'))
  const action = actionKey(pipeline.actions, 1)
  const batch = { seq: 1, name: 'id/x/1', events: 1, data: serialize([['t', 1, {}, undefined]]) }
  await state?.save({ ...nothing, buffers: [{ action, add: [batch], done: [] }] })
  state?.close()
  expect((await run('show', { config })).out).toContain(`    place of ${action}: a:1\n`)
  // Two that are new: neither takes over what waits.
  await writeFile(config, yaml('b', 'c'))
  const { out } = await run('check', { config })
  expect(out).toContain(`1 events wait for ${action} (a:1), which the pipeline does not have any more: give an output`)
  expect(out).toContain('this name and place again')
  ;(await configure(yaml('b', 'c'))).state?.close()
  expect((await run('show', { config })).out).toContain(`    place of ${action}: a:1 (no longer configured)\n`)
  const rows = await exported(join(folder, 'p.sqlite'))
  expect(rows.filter(({ type }) => type === 'action')).toContainEqual({
    ...{ type: 'action', pipeline: 'p', action, place: 'a:1', match: '"*"', configured: false },
  })
  expect(JSON.stringify(rows)).not.toContain('secret')
})

test('check says of an output that moved what the next start does, also when all that an earlier one left is a number', async () => {
  const folder = await scratchFolder()
  const config = join(folder, 'feedoo.yaml')
  const outputs = (...hosts: string[]) => hosts.map((host) => actionConfig({ name: 'output_forward', host }))
  const options = { folder, fsync: 'commit' as const, instance: 'this', owner: undefined }
  const open = (...hosts: string[]) =>
    openState({ name: 'p', actions: outputs(...hosts) }, options, silent, systemClock)
  const [gone = '', stays = ''] = outputs('gone', 'stays').map((output) => actionKey([output], 0))
  const batch = { seq: 1, name: 'id/x/1', events: 1, data: serialize([['t', 1, {}, undefined]]) }
  const first = await open('gone', 'stays')
  await first?.save({ ...nothing, buffers: [gone, stays].map((action) => ({ action, add: [batch], done: [] })) })
  await first?.save({ ...nothing, buffers: [{ action: gone, add: [], done: [1] }] })
  first?.close()
  ;(await open('stays'))?.close()
  await writeFile(
    config,
    `state_dir: ${folder}\npipelines: { p: [{ name: input_dummy, tag: t }, { name: output_forward, host: moved }] }\n`,
  )
  expect((await run('check', { config })).out).toBe(`${folder}/p.sqlite: ok, format 3\n`)
  const moved = await open('moved')
  expect(moved?.waiting()).toMatchObject([{ action: expect.not.stringContaining(stays), events: 1, place: 'moved' }])
  moved?.close()
})
