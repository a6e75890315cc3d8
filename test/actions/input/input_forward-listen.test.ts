import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Client, client, eventually, numbersOf, quiet, receive, request } from '../../helpers/forward-input.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'feedoo-unix-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function occupied(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const server = createServer().on('error', () => resolve(false))
  server.listen(0, '::1', () => server.close(() => resolve(true)))
})

describe('input_forward on TCP', () => {
  it('fails to start when the port is in use, with a sentence', async () => {
    const port = await occupied('127.0.0.1')
    await expect(receive({ port })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringContaining(`cannot listen on 127.0.0.1:${port}: something listens there already`),
    })
  })

  it.skipIf(!hasIpv6)(
    'fails to start when localhost is free on 127.0.0.1 alone, and lets go of that (needs IPv6)',
    async () => {
      const port = await occupied('::1')
      await expect(receive({ host: 'localhost', port })).rejects.toMatchObject({
        code: 'LISTEN_FAILED',
        message: expect.stringContaining(`[::1]:${port}`),
      })
      await expect(client(port)).rejects.toThrow('ECONNREFUSED')
    },
  )

  it.each([
    ['a name that nobody has', 'no-such-host.invalid', /no machine has that name|cannot be looked up/],
    ['an address of another machine', '192.0.2.1', /this machine has no such address/],
  ])('fails to start on %s', async (_, host, message) => {
    await expect(receive({ host })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(message),
    })
  })

  it('lets go of its port when it stops, so that the next one can take it', async () => {
    const first = await receive()
    const sender = await client(first.port)
    await first.stop()
    await sender.closed
    const second = await receive({ port: first.port })
    expect(second.port).toBe(first.port)
  })

  it('takes what was sent when the port was open and the pipeline did not run yet', async () => {
    let sender: Client | undefined
    const beforeRun = async (port: number) => {
      sender = await client(port)
      sender.socket.end(request('app', [1], 'a'))
      // One that gives up before anybody has looked at it.
      const gone = await client(port)
      gone.socket.resetAndDestroy()
      await quiet()
    }
    const input = await receive({}, { beforeRun })
    await eventually(() => expect(sender?.acks()).toEqual(['a']))
    expect(numbersOf(input.out)).toEqual([1])
  })
})

describe('input_forward on a Unix socket', () => {
  it('takes requests, lets those connect whom unix_perm says, and removes the socket at the end', async () => {
    const unix_path = join(folder(), 'forward.sock')
    // More than the limit of an address, which does not hold here.
    const input = await receive({ unix_path, unix_perm: '620', max_connections_per_address: 1 })
    expect(statSync(unix_path).mode & 0o777).toBe(0o620)
    const senders = [await client({ path: unix_path }), await client({ path: unix_path })]
    for (const [i, { socket }] of senders.entries()) socket.write(request('app', [i], String(i)))
    await eventually(() => expect(senders.map((sender) => sender.acks())).toEqual([['0'], ['1']]))
    await input.stop()
    expect(() => statSync(unix_path)).toThrow('ENOENT')
  })

  it('replaces a socket that a process left behind when it was killed', async () => {
    const unix_path = join(folder(), 'forward.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(unix_path)}, () => process.kill(process.pid, 'SIGKILL'))`
    expect(() => execFileSync(process.execPath, ['-e', script])).toThrow()
    expect(statSync(unix_path).isSocket()).toBe(true)
    const input = await receive({ unix_path })
    const sender = await client({ path: unix_path })
    sender.socket.write(request('app', [1]))
    await eventually(() => expect(numbersOf(input.out)).toEqual([1]))
  })

  it('does not take the socket of another process, nor a file, nor what a link leads to', async () => {
    const dir = folder()
    await receive({ unix_path: join(dir, 'taken.sock') })
    writeFileSync(join(dir, 'file'), 'precious')
    symlinkSync(join(dir, 'file'), join(dir, 'link'))
    const failure = (name: string) => receive({ unix_path: join(dir, name) })
    await expect(failure('taken.sock')).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    await expect(failure('file')).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    await expect(failure('link')).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    await expect(failure('nowhere/x.sock')).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringContaining('there is no such folder'),
    })
    expect(statSync(join(dir, 'file')).size).toBe(8)
    const socket = connect(join(dir, 'taken.sock'))
    await once(socket, 'connect')
    socket.destroy()
  })
})
