import { once } from 'node:events'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sqlite from 'better-sqlite3'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { readAck } from '../../src/protocol/forward-writer.ts'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'
import { request } from '../helpers/forward-input.ts'
import { freePort, reloadUnderLoad } from './reload-lab.ts'

beforeEach(() => {
  vi.stubEnv('XDG_RUNTIME_DIR', join(tmpdir(), 'feedoo-test-run'))
  return () => vi.unstubAllEnvs()
})

const quiet = (tag: string) => `    - { name: input_dummy, tag: ${tag}, data: {}, repeat: -1, rate: 5 }\n`
const two = (first: string, second: string) => `pipelines:\n  one:\n${quiet(first)}  two:\n${quiet(second)}`

test.each([
  ['nothing changed', two('a', 'b'), 0, 'reloaded: no pipeline changed\n'],
  ['only a comment changed', `# new\n${two('a', 'b')}`, 0, 'reloaded: no pipeline changed\n'],
  ['one pipeline changed', two('a', 'c'), 0, 'reloaded: two changed\n'],
  ['one was added', `${two('a', 'b')}  three:\n${quiet('c')}`, 0, 'reloaded: three added\n'],
  ['one was removed', `pipelines:\n  one:\n${quiet('a')}`, 0, 'reloaded: two removed\n'],
  [
    'one was renamed and one changed',
    two('x', 'b').replace('two:', 'new:'),
    0,
    'reloaded: one changed; new added; two removed\n',
  ],
  [
    'the file is wrong',
    two('a', 'b').replace('rate', 'rat'),
    2,
    /feedoo.yaml:3:\d+: error: .*\n.*\n +\^.*\n(?:.*\n)*the configuration is wrong; everything goes on as it was\n$/,
  ],
])('feedoo reload tells what came of it: %s', async (_, yaml, code, text) => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(two('a', 'b'), folder)
  await daemon.logged(/runs one, two/)
  await writeFile(join(folder, 'feedoo.yaml'), yaml)
  const command = new Daemon(['reload', join(folder, 'feedoo.yaml')])
  expect(await command.exit()).toBe(code)
  const said = code === 0 ? command.stdout : command.stderr
  if (typeof text === 'string') expect(said).toBe(text)
  else expect(said).toMatch(text)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test('a pipeline that cannot be opened is told with exit code 1', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(two('a', 'b'), folder)
  await daemon.logged(/runs one, two/)
  const taken = await freePort()
  const busy = `    - { name: input_forward, host: 127.0.0.1, port: ${taken} }\n`
  await writeFile(join(folder, 'feedoo.yaml'), `${two('a', 'b')}  three:\n${busy}  four:\n${busy}`)
  const command = new Daemon(['reload', '-c', join(folder, 'feedoo.yaml')])
  expect(await command.exit()).toBe(1)
  expect(command.stderr).toMatch(/reloaded: three, four added\n(three|four): .*something listens there already/)
})

test('a pipeline that ended with an error for good is told as such everywhere, and a reload starts it again once that is mended', async () => {
  const folder = await scratchFolder()
  const states = await freePort()
  const head = `states: { port: ${states} }\nstate_dir: "${folder}/state"\npipelines:\n`
  const good = `  good:\n${quiet('a')}`
  const daemon = await Daemon.start(`${head}${good}`, folder)
  await daemon.logged(/runs good/)
  const foreign = join(folder, 'state/bad.sqlite')
  new sqlite(foreign).exec('CREATE TABLE addresses (name TEXT)').close()
  await writeFile(join(folder, 'feedoo.yaml'), `${head}${good}  bad:\n${quiet('b')}`)
  const reload = async () => {
    const command = new Daemon(['reload', join(folder, 'feedoo.yaml')])
    return { code: await command.exit(), said: command.stdout + command.stderr }
  }
  const seen = async () => {
    const [health, metrics] = await Promise.all(
      ['health', 'metrics'].map(async (path) => (await fetch(`http://127.0.0.1:${states}/${path}`)).text()),
    )
    return { health, up: /^feedoo_pipeline_up\{pipeline="bad"\} (.*)$/m.exec(metrics ?? '')?.[1] }
  }
  const first = await reload()
  expect(first).toEqual({
    code: 1,
    said: expect.stringMatching(/^reloaded: bad added\nbad: .*; it does not run until that is mended and reloaded\n$/),
  })
  expect(await seen()).toEqual({ health: expect.stringContaining('pipeline bad has ended: '), up: '0' })
  // As often as it is asked: it is still so.
  expect((await reload()).said).toBe(first.said.replace('added', 'started again'))
  await rm(foreign)
  expect(await reload()).toEqual({ code: 0, said: 'reloaded: bad started again\n' })
  expect(await seen()).toEqual({ health: '{"status":"ok"}', up: '1' })
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
})

test('a fault that a reload has mended, or removed, does not count at the end', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(two('a', 'b'), folder)
  await daemon.logged(/runs one, two/)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  onTestFinished(() => void taken.close())
  const busy = (taken.address() as AddressInfo).port
  const listening = (port: number) => `    - { name: input_forward, host: 127.0.0.1, port: ${port} }\n`
  const reload = async (yaml: string) => {
    await writeFile(join(folder, 'feedoo.yaml'), yaml)
    return new Daemon(['reload', join(folder, 'feedoo.yaml')]).exit()
  }
  const bad = (port: number) => `  bad:\n${listening(port)}`
  expect(await reload(`${two('a', 'b')}${bad(busy)}  worse:\n${listening(busy)}`)).toBe(1)
  expect(await reload(`${two('a', 'b')}${bad(await freePort())}`)).toBe(0)
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  // Each time that they failed is told, but not once more at their end.
  expect(new Set(failures(daemon).map(({ msg }) => msg))).toEqual(new Set(['the pipeline failed']))
})

test('what a reload gave up at shutdown_timeout does not count at the end', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'in.log'), 'one\n')
  await writeFile(join(folder, 'file'), '')
  const yaml = (path: string) => `shutdown_timeout: 0.2
pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "${folder}/in.log" }
    - { name: output_archive, path_template: "${folder}/${path}/a.jsonl" }
`
  const daemon = await Daemon.start(yaml('file/below'), folder)
  await daemon.logged(/trying again until it works/)
  await writeFile(join(folder, 'feedoo.yaml'), yaml('out'))
  daemon.signal('SIGHUP')
  await daemon.logged(/reloaded: p changed/)
  expect(failures(daemon)).toHaveLength(1)
  await vi.waitFor(async () => expect(await linesIn(join(folder, 'out'))).toEqual(['{"log":"one"}']), 10_000)
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
})

function failures(daemon: Daemon): Record<string, unknown>[] {
  return daemon.logs().filter(({ level }) => level === 'error')
}

test('a daemon is found by the path that it was given, whatever stands behind it by then', async () => {
  const folder = await scratchFolder()
  const [current, file] = [join(folder, 'current'), join(folder, 'current/feedoo.yaml')]
  for (const [version, tag] of Object.entries({ v1: 'b', v2: 'c' })) {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'feedoo.yaml'), two('a', tag))
  }
  const reload = async (path: string) => {
    const command = new Daemon(['reload', path])
    return { code: await command.exit(), said: command.stdout + command.stderr }
  }
  await symlink('v1', current)
  const daemon = new Daemon(['run', '-c', file])
  await daemon.logged(/runs one, two/)
  expect(await reload(join(folder, 'v1/feedoo.yaml'))).toEqual({ code: 0, said: 'reloaded: no pipeline changed\n' })
  await rm(current)
  expect(await reload(file)).toEqual({ code: 2, said: expect.stringContaining('current/feedoo.yaml') })
  await symlink('v2', current)
  expect(await reload(file)).toEqual({ code: 0, said: 'reloaded: two changed\n' })
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  // It leaves no socket behind.
  expect(await reload(file)).toEqual({ code: 1, said: expect.stringContaining('no daemon runs') })
})

test('without a daemon, feedoo reload says so with exit code 1', async () => {
  const command = new Daemon(['reload', '/nowhere/feedoo.yaml'])
  expect(await command.exit()).toBe(1)
  expect(command.stderr).toBe('feedoo: no daemon runs /nowhere/feedoo.yaml that takes orders from this user\n')
})

const counting = (port: number, numEvents: number, key: string, state = '') => `${state}pipelines:
  p:
    - { name: input_forward, host: 127.0.0.1, port: ${port} }
    - { name: filter_frequency, label: often, match: app, tag: alert, query_key: ${key}, num_events: ${numEvents}, timeframe: 1000 }
    - { name: output_archive, match: alert, path_template: "{dir}/alerts/a.jsonl" }
`

test.each([
  ['in memory', '', 'n', 1],
  ['in the state file', 'state_dir: "{dir}/state"\n', 'n', 1],
  ['in memory, and it counts by another key from then on', '', 'm', 0],
])('a changed rule behind an open connection keeps its window: %s', async (_, state, key, alerts) => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(counting(port, 4, 'n', state), folder)
  await daemon.logged(/runs p/)
  const socket = connect(port, '127.0.0.1')
  const send = async (chunk: string) => {
    socket.write(request('app', [1], chunk))
    const [ack] = (await once(socket, 'data')) as [Buffer]
    expect(readAck(ack)).toBe(chunk)
  }
  await send('first')
  await send('second')
  await writeFile(join(folder, 'feedoo.yaml'), counting(port, 3, key, state).replaceAll('{dir}', folder))
  daemon.signal('SIGHUP')
  await daemon.logged(/reloaded: p changed/)
  await send('third')
  socket.destroy()
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  const written = await linesIn(join(folder, 'alerts')).catch(() => [])
  expect(written).toHaveLength(alerts)
  const afresh = daemon.logs().filter(({ msg }) => String(msg).includes('begins afresh'))
  expect(afresh).toHaveLength(alerts === 0 ? 1 : 0)
})

test('what a changed rule remembers outlives two reloads without any state', async () => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(counting(port, 5, 'n'), folder)
  await daemon.logged(/runs p/)
  const socket = connect(port, '127.0.0.1')
  for (const [i, numEvents] of [4, 3].entries()) {
    socket.write(request('app', [1], `chunk ${i}`))
    await once(socket, 'data')
    await writeFile(join(folder, 'feedoo.yaml'), counting(port, numEvents, 'n').replaceAll('{dir}', folder))
    const command = new Daemon(['reload', join(folder, 'feedoo.yaml')])
    expect(await command.exit(), command.stderr).toBe(0)
  }
  socket.write(request('app', [1], 'last'))
  await once(socket, 'data')
  socket.destroy()
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(await linesIn(join(folder, 'alerts'))).toHaveLength(1)
})

test.each([
  ['a state file', 'state_dir: "{dir}/state"\n'],
  ['memory', ''],
])(
  'an input whose place changes goes on where it was, whatever was removed before, and one that cannot is told of: in %s',
  async (_, top) => {
    const folder = await scratchFolder()
    const input = (pattern: string) =>
      `    - { name: input_file, tag: t, path_pattern: "{dir}/${pattern}", from: start }\n`
    const yaml = (...patterns: string[]) =>
      `${top}pipelines:\n  p:\n${patterns.map(input).join('')}    - { name: output_archive, path_template: "{dir}/out/all" }\n`
    for (const name of ['a', 'b', 'c']) await writeFile(join(folder, `${name}.log`), `${name}\n`)
    const daemon = await Daemon.start(yaml('a.log', 'b.log'), folder)
    const written = async (count: number) =>
      vi.waitFor(async () => expect(await linesIn(join(folder, 'out'))).toHaveLength(count), { timeout: 10_000 })
    const afresh = () => daemon.logs().filter(({ msg }) => /begins afresh/.test(String(msg)))
    await written(2)
    for (const patterns of [['a.log'], ['[a].log'], ['a.lo*']]) {
      await writeFile(join(folder, 'feedoo.yaml'), yaml(...patterns).replaceAll('{dir}', folder))
      const command = new Daemon(['reload', join(folder, 'feedoo.yaml')])
      expect(await command.exit(), command.stderr).toBe(0)
    }
    expect(afresh()).toEqual([])
    await writeFile(join(folder, 'feedoo.yaml'), yaml('a.lo*', 'c.log').replaceAll('{dir}', folder))
    const command = new Daemon(['reload', join(folder, 'feedoo.yaml')])
    expect(await command.exit(), command.stderr).toBe(0)
    await written(3)
    daemon.signal('SIGTERM')
    expect(await daemon.exit()).toBe(0)
    await written(3)
    expect(afresh()).toMatchObject([{ level: 'warn', saved: [join(folder, 'b.log')] }])
  },
)

test('reloads under load lose nothing, double nothing and leave nothing behind', async () => {
  const figures = await reloadUnderLoad(15)
  expect(figures).toMatchObject({ missing: 0, doubled: 0, lostElsewhere: 0, invalid: 1 })
  expect(figures.sent).toBeGreaterThan(1000)
  expect(figures.inputChanges).toBe(1)
  // Its counters never began anew.
  expect(figures.steadyCounted).toBeGreaterThan(0)
  expect(figures.steadyWritten).toBeGreaterThanOrEqual(figures.steadyCounted)
  expect(figures.steadyWritten - figures.steadyCounted).toBeLessThan(200)
  expect(figures.files.at(-1)).toBeLessThanOrEqual((figures.files[0] ?? 0) + 4)
})
