import { createServer } from 'node:net'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test, vi } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const patience = { timeout: 20_000, interval: 50 }

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function ask(port: number, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  return { status: response.status, text: await response.text() }
}

/** The value of a metric, by its name and the beginning of its labels. */
async function metric(port: number, name: string): Promise<number> {
  const { text } = await ask(port, '/metrics')
  const line = text.split('\n').find((one) => one.startsWith(name))
  return Number(line?.slice(line.lastIndexOf(' ')))
}

test('a state that cannot be written shows in health and metrics, and no more once it can', async () => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(
    `states: { port: ${port} }
state_dir: "{dir}/state"
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { a: 1 }, repeat: -1, rate: 100 }
    - { name: output_archive, path_template: "{dir}/out/all" }
`,
    folder,
  )
  await daemon.logged(/runs p/)
  await vi.waitFor(async () => expect(await metric(port, 'feedoo_commits_total{')).toBeGreaterThan(3), patience)
  expect(await ask(port, '/health')).toMatchObject({ status: 200 })
  expect(await metric(port, 'feedoo_state_waiting{')).toBe(0)
  expect(await metric(port, 'feedoo_last_commit_age_seconds{')).toBeLessThan(5)
  // That of its thread: what the process says of itself holds the main thread alone.
  expect(await metric(port, 'feedoo_heap_bytes{pipeline="p"}')).toBeGreaterThan(1_000_000)
  // As a disk that is full, but without one.
  const database = new Database(join(folder, 'state', 'p.sqlite'))
  database.exec('BEGIN IMMEDIATE')
  await vi.waitFor(async () => {
    const { status, text } = await ask(port, '/health')
    expect(text).toContain('pipeline p: its commits wait: cannot write the state file')
    expect(status).toBe(503)
  }, patience)
  await vi.waitFor(async () => expect(await metric(port, 'feedoo_state_waiting{')).toBe(1), patience)
  await vi.waitFor(
    async () => expect(await metric(port, 'feedoo_last_commit_age_seconds{')).toBeGreaterThan(1),
    patience,
  )
  database.exec('ROLLBACK')
  database.close()
  await vi.waitFor(async () => expect(await ask(port, '/health')).toMatchObject({ status: 200 }), patience)
  expect(await metric(port, 'feedoo_state_waiting{')).toBe(0)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
  expect(daemon.logs().filter(({ level }) => level === 'warn')).toHaveLength(1)
  const sent = new Database(join(folder, 'state', 'p.sqlite'), { readonly: true })
  expect(await linesIn(join(folder, 'out'))).toHaveLength(
    Number(sent.prepare("SELECT json FROM positions WHERE key = 'sent'").pluck().get()),
  )
  sent.close()
})

test('what waits for a target that is away, and what was dropped for it, shows in the metrics', async () => {
  const folder = await scratchFolder()
  const [port, nobody] = [await freePort(), await freePort()]
  const daemon = await Daemon.start(
    `states: { port: ${port} }
state_dir: "{dir}/state"
shutdown_timeout: 1
pipelines:
  p:
    - { name: input_dummy, tag: t, data: { text: ${'x'.repeat(1000)} }, repeat: -1, rate: 500 }
    - { name: output_forward, host: 127.0.0.1, port: ${nobody}, buffer_limit: 300000, buffer_size: 10, when_full: drop_oldest }
`,
    folder,
  )
  await daemon.logged(/runs p/)
  const labels = '{pipeline="p",action="output_forward"'
  await vi.waitFor(async () => expect(await metric(port, `feedoo_buffer_bytes${labels}`)).toBeGreaterThan(0), patience)
  const dropped = `feedoo_action_count_total${labels},index="1",kind="output",count="dropped_oldest"`
  await vi.waitFor(async () => expect(await metric(port, dropped)).toBeGreaterThan(0), patience)
  expect(await metric(port, `feedoo_buffer_bytes${labels}`)).toBeLessThan(400_000)
  daemon.signal('SIGTERM')
  await daemon.exit()
})
