import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
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
