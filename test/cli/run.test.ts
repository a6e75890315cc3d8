import { once } from 'node:events'
import { appendFile, chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const isRoot = process.getuid?.() === 0

/** An input that counts, and throws the first time it has sent ten events. */
const flakyInput = `
import { defineAction, z } from 'feedoo'
export const inputFlaky = defineAction({
  kind: 'input', name: 'input_flaky', summary: 'Throws once after ten events.',
  params: z.strictObject({ tag: z.string().describe('tag') }),
  examples: [{ title: 'x', yaml: '', out: [] }],
  create: ({ tag }) => ({
    async run({ emit, positions }) {
      const start = positions.get('n') ?? 0
      for (let n = start; n < start + 10; n++) await emit([{ tag, timestamp: 1, record: { n } }], { n: n + 1 })
      if (start === 0) throw new Error('it broke')
    },
  }),
})
`

test('the default configuration prints its one event and what is sent to it, until a signal ends it', async () => {
  const port = await freePort()
  const env = { FORWARD_PORT: String(port) }
  const daemon = new Daemon(['run', '-c', 'etc/feedoo/default.yaml'], { cwd: root, env })
  await daemon.printed(/^my_pypeline\[\d+(\.\d+)?\]: \{"log":"my log"\}\n/)
  connect(port, '127.0.0.1').end(JSON.stringify(['app', 1600000000, { log: 'sent' }]))
  await daemon.printed(/^app\[1600000000\]: \{"log":"sent"\}$/m)
  daemon.signal('SIGINT')
  expect(await daemon.exit()).toBe(0)
})

test('a signal ends it while an output waits for its server, and an input that waits holds up nobody', async () => {
  const folder = await scratchFolder()
  let arrived = () => {}
  const mute = createServer((socket) => {
    socket.on('error', () => {})
    arrived()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void mute.close())
  await once(mute, 'listening')
  const connected = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const reach = `port: ${(mute.address() as AddressInfo).port}, wait_connection: 3600, connect_timeout: 3600`
  const waitsToWrite = await Daemon.start(
    `pipelines: { p: [{ name: input_dummy, tag: x }, { name: output_rethinkdb, ${reach}, table: log }] }`,
    folder,
  )
  await connected
  waitsToWrite.signal('SIGTERM')
  expect(await waitsToWrite.exit()).toBe(0)
  const waitsToRead = await Daemon.start(
    `
pipelines:
  p: [{ name: input_rethinkdb, ${reach}, tag: log }]
  q: [{ name: input_dummy, tag: x, data: { log: running } }, { name: output_stdout }]
`,
    folder,
  )
  await waitsToRead.printed(/running/)
  waitsToRead.signal('SIGTERM')
  expect(await waitsToRead.exit()).toBe(0)
})

test('dpkg.yaml makes one archive file a day with as many events as the log has lines', async () => {
  const folder = await scratchFolder()
  const log = join(folder, 'dpkg.log')
  const lines = [
    '2026-01-02 10:00:00 startup archives unpack',
    '2026-01-02 10:00:01 install jq:amd64 <none> 1.6-2.1',
    '2026-01-02 10:00:01 status half-installed jq:amd64 1.6-2.1',
    '2026-01-03 08:15:00 upgrade jq:amd64 1.6-2.1 1.7-1',
    '2026-01-03 08:15:02 conffile /etc/jq.conf keep',
  ]
  await writeFile(log, `${lines.join('\n')}\n`)
  const daemon = new Daemon(['run', '-c', 'etc/feedoo/pipelines/dpkg.yaml'], {
    cwd: root,
    env: { DPKG_LOG: log, ARCHIVE_DIR: join(folder, 'archive'), TZ: 'UTC' },
  })
  expect(await daemon.exit()).toBe(0)
  expect((await readdir(join(folder, 'archive'))).sort()).toEqual(['dpkg-2026-01-02.jsonl', 'dpkg-2026-01-03.jsonl'])
  const records = (await linesIn(join(folder, 'archive'))).map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(records).toHaveLength(lines.length)
  expect(records[3]).toEqual({
    time: Date.parse('2026-01-03T08:15:00Z') / 1000,
    action: 'upgrade',
    package: 'jq:amd64',
    version: '1.6-2.1',
    new_version: '1.7-1',
  })
})

test('a signal while reading at full speed loses nothing that was read and ends with exit code 0', async () => {
  const folder = await scratchFolder()
  const count = 300_000
  await writeFile(join(folder, 'in.log'), Array.from({ length: count }, (_, n) => `line ${n}\n`).join(''))
  const daemon = await Daemon.start(
    `pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "{dir}/in.log" }
    - { name: output_archive, path_template: "{dir}/out/a.jsonl" }
`,
    folder,
  )
  await vi.waitFor(async () => expect((await stat(join(folder, 'out/a.jsonl'))).size).toBeGreaterThan(0), 10_000)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  const archived = (await linesIn(join(folder, 'out'))).map((line) => (JSON.parse(line) as { log: string }).log)
  expect(archived).toEqual(archived.map((_, n) => `line ${n}`))
  const done = daemon.logs().find(({ msg }) => String(msg).startsWith('done:'))
  expect(String(done?.msg)).toContain(`done: ${archived.length.toLocaleString('en-US')} events`)
})

test('a pipeline that throws is started again from its last commit while another goes on', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'flaky.js'), flakyInput)
  const daemon = await Daemon.start(
    `plugins: [./flaky.js]
pipelines:
  flaky:
    - { name: input_flaky, tag: t }
    - { name: output_archive, path_template: "{dir}/flaky/a.jsonl" }
  steady:
    - { name: input_dummy, tag: steady, data: { log: x }, repeat: -1, rate: 50 }
    - { name: output_archive, path_template: "{dir}/steady/a.jsonl" }
`,
    folder,
  )
  await daemon.logged(/the pipeline failed/)
  const before = (await linesIn(join(folder, 'steady'))).length
  await vi.waitFor(async () => expect(await linesIn(join(folder, 'flaky'))).toHaveLength(20), 10_000)
  await vi.waitFor(async () => expect((await linesIn(join(folder, 'steady'))).length).toBeGreaterThan(before), 10_000)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  const numbers = (await linesIn(join(folder, 'flaky'))).map((line) => (JSON.parse(line) as { n: number }).n)
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, n) => n))
  expect(daemon.logs().filter(({ msg }) => msg === 'the pipeline failed')).toHaveLength(1)
})

test('SIGHUP changes the pipelines that differ, leaves the others alone, and refuses a wrong file', async () => {
  const folder = await scratchFolder()
  const yaml = (word: string, repeat: number) => `pipelines:
  same:
    - { name: input_dummy, tag: same, data: { log: same }, repeat: 1 }
    - { name: output_stdout }
    - { name: input_dummy, tag: quiet, data: {}, repeat: -1, rate: 5 }
  other:
    - { name: input_dummy, tag: other, data: { log: ${word} }, repeat: ${repeat} }
    - { name: output_stdout }
    - { name: input_dummy, tag: quiet, data: {}, repeat: -1, rate: 5 }
`
  const daemon = await Daemon.start(yaml('first', 1), folder)
  await daemon.printed(/first/)
  await daemon.printed(/same\[/)
  await writeFile(join(folder, 'feedoo.yaml'), 'pipelines: 7\n')
  daemon.signal('SIGHUP')
  await daemon.logged(/the configuration is wrong/)
  await writeFile(join(folder, 'feedoo.yaml'), yaml('second', 2))
  daemon.signal('SIGHUP')
  await daemon.printed(/second/)
  await daemon.logged(/reloaded: other changed/)
  daemon.signal('SIGINT')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.stdout.match(/same\[/g)).toHaveLength(1)
})

test('a port that is in use is one clear error and exit code 1', async () => {
  const folder = await scratchFolder()
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const daemon = await Daemon.start(
    `states: { port: ${port} }\npipelines:\n  p:\n    - { name: input_dummy, tag: t, repeat: -1, rate: 1 }\n`,
    folder,
  )
  expect(await daemon.exit()).toBe(1)
  server.close()
  expect(daemon.logs().filter(({ level }) => level === 'fatal' || level === 'error')).toEqual([
    expect.objectContaining({ code: 'LISTEN_FAILED', msg: expect.stringContaining(String(port)) }),
  ])
})

test('a wrong configuration starts nothing, touches nothing and ends with exit code 2', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(
    `pipelines:\n  p:\n    - { name: input_dummy, tag: t }\n    - { name: output_archive, path_template: "{dir}/out/a.jsonl", mtach: x }\n`,
    folder,
  )
  expect(await daemon.exit()).toBe(2)
  expect(daemon.stderr).toContain('feedoo.yaml:4:')
  expect(await readdir(folder)).toEqual(['feedoo.yaml'])
})

test.skipIf(!isRoot)('privileges: the process, its threads and its files become nobody’s (needs root)', async () => {
  const folder = await scratchFolder()
  await mkdir(join(folder, 'out'))
  await chmod(folder, 0o755)
  await chmod(join(folder, 'out'), 0o777)
  const port = await freePort(600, 1023)
  const daemon = await Daemon.start(
    `privileges: { user: nobody, group: nogroup }
states: { port: ${port} }
dead_letters: "{dir}/out/dead.jsonl"
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { log: x }, repeat: -1, rate: 20 }
    - { name: parser_json, on_error: dead_letter }
    - { name: output_archive, path_template: "{dir}/out/a.jsonl" }
  q:
    - { name: input_dummy, tag: t, data: { log: x }, repeat: -1, rate: 20 }
    - { name: output_archive, path_template: "{dir}/out/b.jsonl" }
`,
    folder,
    // Supplementary groups that have to go.
    { through: ['setpriv', '--groups', '4,24'] },
  )
  await daemon.logged(/feedoo .* runs/)
  await vi.waitFor(async () => expect(await readdir(join(folder, 'out'))).toEqual(['b.jsonl', 'dead.jsonl']), 10_000)
  // A port below 1024 answers: it was bound while the process was still root.
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
  const tasks = await readdir(`/proc/${daemon.pid}/task`)
  expect(tasks.length).toBeGreaterThan(2)
  for (const task of tasks) {
    const status = await readFile(`/proc/${daemon.pid}/task/${task}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m)
    expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m)
    expect(status).toMatch(/^Groups:\t\s*$/m)
  }
  for (const file of await readdir(join(folder, 'out'))) {
    expect(await stat(join(folder, 'out', file))).toMatchObject({ uid: 65534, gid: 65534 })
  }
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test.skipIf(!isRoot)('privileges without root are a clear error (needs root to try)', async () => {
  const folder = await scratchFolder()
  await chmod(folder, 0o755)
  await writeFile(
    join(folder, 'feedoo.yaml'),
    'privileges: { user: daemon, group: daemon }\npipelines:\n  p:\n    - { name: input_dummy, tag: t, repeat: -1, rate: 1 }\n',
  )
  const daemon = new Daemon(['run', '-c', join(folder, 'feedoo.yaml')], { uid: 65534 })
  expect(await daemon.exit()).toBe(1)
  expect(daemon.logs().at(-1)).toMatchObject({
    code: 'PRIVILEGES_FAILED',
    msg: expect.stringContaining('only root can become daemon'),
  })
})

test('a growing file is followed until the daemon is told to stop', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'in.log'), 'one\n')
  const daemon = await Daemon.start(
    `pipelines:\n  p:\n    - { name: input_file, tag: t, path_pattern: "{dir}/in.log" }\n    - { name: output_stdout }\n`,
    folder,
  )
  await daemon.printed(/"log":"one"/)
  await appendFile(join(folder, 'in.log'), 'two\n')
  await daemon.printed(/"log":"two"/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

const silentFault = `
import { defineAction, z } from 'feedoo'
const examples = [{ title: 'x', yaml: '', out: [] }]
const params = z.strictObject({})
export const inputLate = defineAction({
  kind: 'input', name: 'input_late', summary: 'Dies between its opening and its run.', params, examples,
  create: () => ({ async open() { setTimeout(() => { throw new Error('late death') }, 20) }, async run() {} }),
})
export const inputSlow = defineAction({
  kind: 'input', name: 'input_slow', summary: 'Opens after the other has died.', params, examples,
  create: () => ({ open: () => new Promise((resolve) => setTimeout(resolve, 300)), async run() {} }),
})
export const inputTimer = defineAction({
  kind: 'input', name: 'input_timer', summary: 'Leaves a timer behind.', params, examples,
  create: () => ({ async run() { setInterval(() => {}, 1000) } }),
})
`

test('a reload goes on where the changed pipeline was: nothing is read twice', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'in.log'), 'one\ntwo\n')
  const yaml = (tag: string) => `pipelines:
  p:
    - { name: input_file, tag: ${tag}, path_pattern: "{dir}/in.log" }
    - { name: output_archive, path_template: "{dir}/out/a.jsonl" }
    - { name: output_stdout }
`
  const daemon = await Daemon.start(yaml('first'), folder)
  await daemon.printed(/first.*two/)
  await writeFile(join(folder, 'feedoo.yaml'), yaml('second').replaceAll('{dir}', folder))
  daemon.signal('SIGHUP')
  await daemon.logged(/reloaded: p changed/)
  await appendFile(join(folder, 'in.log'), 'three\n')
  await daemon.printed(/second.*three/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(await linesIn(join(folder, 'out'))).toEqual(['{"log":"one"}', '{"log":"two"}', '{"log":"three"}'])
  expect(daemon.logs().at(-1)?.msg).toMatch(/^done: 3 events/)
})

test('a reload mends a pipeline whose output was stuck', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'in.log'), 'one\n')
  await writeFile(join(folder, 'file'), '')
  const yaml = (path: string) => `shutdown_timeout: 0.2
pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "{dir}/in.log" }
    - { name: output_archive, path_template: "{dir}/${path}/a.jsonl" }
`
  const daemon = await Daemon.start(yaml('file/below'), folder)
  await daemon.logged(/trying again until it works/)
  await writeFile(join(folder, 'feedoo.yaml'), yaml('out').replaceAll('{dir}', folder))
  daemon.signal('SIGHUP')
  await vi.waitFor(async () => expect(await linesIn(join(folder, 'out'))).toEqual(['{"log":"one"}']), 10_000)
  daemon.signal('SIGTERM')
  await daemon.exit()
})

test('a reload says which keys wait for a restart', async () => {
  const folder = await scratchFolder()
  const yaml = 'pipelines:\n  p:\n    - { name: input_dummy, tag: t, repeat: -1, rate: 1 }\n'
  const daemon = await Daemon.start(yaml, folder)
  await daemon.logged(/feedoo .* runs/)
  await writeFile(join(folder, 'feedoo.yaml'), `states: { port: 0 }\n${yaml}`)
  daemon.signal('SIGHUP')
  await daemon.logged(/states has changed, which takes effect when feedoo is started again/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test('an action that dies between its opening and its run is restarted like any other', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'faults.js'), silentFault)
  const daemon = await Daemon.start(
    'plugins: [./faults.js]\npipelines:\n  a:\n    - { name: input_late }\n  b:\n    - { name: input_slow }\n',
    folder,
  )
  const line = await daemon.logged(/the pipeline failed/)
  expect(line).toMatchObject({ pipeline: 'a', err: { message: 'late death' } })
  expect(JSON.stringify(line.err)).toContain('faults.js')
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(1)
})

test('an action that leaves a timer behind does not keep a finished job', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'faults.js'), silentFault)
  const daemon = await Daemon.start('plugins: [./faults.js]\npipelines:\n  a:\n    - { name: input_timer }\n', folder)
  expect(await daemon.exit()).toBe(0)
})

test('a pipeline that keeps failing makes the daemon end with exit code 1 when it is told to stop', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'flaky.js'), flakyInput.replace('if (start === 0)', 'if (true)'))
  const daemon = await Daemon.start(
    'plugins: [./flaky.js]\npipelines:\n  p:\n    - { name: input_flaky, tag: t }\n',
    folder,
  )
  await daemon.logged(/the pipeline failed/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(1)
})

test('a reader that leaves the pipe ends the pipeline quietly', async () => {
  const folder = await scratchFolder()
  const daemon = await Daemon.start(
    'pipelines:\n  p:\n    - { name: input_dummy, tag: t, data: { log: x }, repeat: -1 }\n    - { name: output_stdout }\n',
    folder,
  )
  await daemon.printed(/t\[/)
  daemon.child.stdout?.destroy()
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().filter(({ level }) => level !== 'info')).toEqual([])
})

test('dead letters that cannot be written show in /health', async () => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(
    `states: { port: ${port} }
dead_letters: "{dir}/feedoo.yaml/below"
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { log: x }, repeat: -1, rate: 20 }
    - { name: parser_json, on_error: dead_letter }
`,
    folder,
  )
  await daemon.logged(/cannot write dead letters/)
  const health = await fetch(`http://127.0.0.1:${port}/health`)
  expect(health.status).toBe(503)
  expect(await health.json()).toMatchObject({ reasons: [expect.stringContaining('dead_letters')] })
  daemon.signal('SIGKILL')
  await daemon.exit()
})

test('a signal while the daemon starts ends it as one later would', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'faults.js'), silentFault)
  await writeFile(join(folder, 'slow.yaml'), 'plugins: [./faults.js]\npipelines:\n  b:\n    - { name: input_slow }\n')
  const daemon = new Daemon(['-v', '-c', join(folder, 'slow.yaml')])
  await daemon.logged(/opening 1 pipeline/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

const hangingUp = `
import { appendFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
if (isMainThread) {
  appendFileSync(new URL('feedoo.yaml', import.meta.url), '  late:\\n    - { name: input_dummy, tag: t, data: {}, repeat: -1, rate: 5 }\\n')
  process.kill(process.pid, 'SIGHUP')
}
`

test('SIGHUP while the configuration is read does not end the daemon: it reads the file again once it runs', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'hup.js'), silentFault + hangingUp)
  const daemon = await Daemon.start(
    'plugins: [./hup.js]\npipelines:\n  p:\n    - { name: input_dummy, tag: t, data: {}, repeat: -1, rate: 5 }\n',
    folder,
  )
  await daemon.logged(/reloaded: late added/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
})

/** A port that nothing listens on: any, or one of a range. */
async function freePort(from = 0, to = 0): Promise<number> {
  for (let port = from; port <= to; port++) {
    const server = createServer()
    const bound = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined))
      server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
    })
    await new Promise((resolve) => server.close(resolve))
    if (bound !== undefined) return bound
  }
  throw new Error(`all ports from ${from} to ${to} are taken`)
}
