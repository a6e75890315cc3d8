import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readAck } from '../../src/protocol/forward-writer.ts'
import { makeCertificates } from '../helpers/certificates.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { request } from '../helpers/forward-input.ts'
import { hasOpenssl } from '../helpers/openssl.ts'

const pipeline = (parameters: string) => `
pipelines:
  agents:
    - { name: input_forward, host: 127.0.0.1, ${parameters} }
    - { name: output_archive, path_template: "{dir}/events.log" }
`

test('a port in use is one clear line and exit code 1', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const at = server.address()
  const port = typeof at === 'object' && at !== null ? at.port : 0
  const daemon = await Daemon.start(pipeline(`port: ${port}`), await scratchFolder())
  expect(await daemon.exit()).toBe(1)
  expect(daemon.logs()).toMatchObject([{ level: 'fatal', code: 'LISTEN_FAILED' }])
  expect(daemon.stderr).toContain(`127.0.0.1:${port}: something listens there already`)
  server.close()
})

test('users without a shared key are pointed at, with exit code 2', async () => {
  const daemon = await Daemon.start(pipeline('port: 0, users: { a: b }'), await scratchFolder())
  expect(await daemon.exit()).toBe(2)
  expect(daemon.stderr).toContain('`users`: they protect nothing without `shared_key`')
})

test.skipIf(!hasOpenssl)(
  'a key of another certificate is pointed at, by start, check and reload (needs openssl)',
  async () => {
    const certificates = makeCertificates()
    onTestFinished(() => certificates.remove())
    const { crt, key } = certificates.server
    const folder = await scratchFolder()
    const file = join(folder, 'feedoo.yaml')
    const yaml = (key: string) => pipeline(`port: 0, tls_enable: true, crt_file: "${crt}", key_file: "${key}"`)
    const column = (yaml('').split('\n')[3] ?? '').indexOf('key_file: ') + 'key_file: '.length + 1
    const error = `feedoo.yaml:4:${column}: error: \`key_file\`: ${certificates.client.key} does not belong to the certificate`

    const start = await Daemon.start(yaml(certificates.client.key), folder)
    expect(await start.exit()).toBe(2)
    expect(start.stderr).toContain(error)
    const check = new Daemon(['check', '-c', file])
    expect(await check.exit()).toBe(2)
    expect(check.stderr).toContain(error)

    const running = await Daemon.start(yaml(key), folder)
    const { port } = await running.logged(/^listens$/)
    await running.logged(/runs agents/)
    await writeFile(file, yaml(certificates.client.key).replaceAll('{dir}', folder))
    running.signal('SIGHUP')
    expect((await running.logged(/does not belong/)).msg).toContain(error)
    // The port is still there.
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
  },
)

test('SIGTERM answers what was taken, ends the connections and exits with 0; the port is free for the next one', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'events.log'), '')
  const daemon = await Daemon.start(pipeline('port: 0'), folder)
  const { port } = await daemon.logged(/^listens$/)
  await daemon.logged(/runs agents/)
  const socket = connect(Number(port), '127.0.0.1')
  // Its end may come as a reset: the daemon is gone by then.
  socket.on('error', () => {})
  socket.write(request('app', [1, 2], 'a'))
  const [ack] = await once(socket, 'data')
  expect(readAck(ack)).toBe('a')
  // Acknowledged is written: nothing has to be flushed first.
  expect(await readFile(join(folder, 'events.log'), 'utf8')).toBe('{"n":1}\n{"n":2}\n')
  daemon.signal('SIGTERM')
  await once(socket, 'close')
  expect(await daemon.exit()).toBe(0)
  const next = await Daemon.start(pipeline(`port: ${port}`), folder)
  await next.logged(/runs agents/)
  next.signal('SIGTERM')
  expect(await next.exit()).toBe(0)
})
