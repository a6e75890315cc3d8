import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { inputForward } from '../../../src/actions/input/input_forward.ts'
import { encodePing, type Helo, readHelo, verifyPong } from '../../../src/protocol/handshake.ts'
import { client, eventually, numbersOf, quiet, receive, request } from '../../helpers/forward-input.ts'
import { hex, list, raw } from '../../protocol/traffic.ts'

const sharedKey = 'secret'
const secured = { shared_key: sharedKey, server_hostname: 'feedoo.test' }
const withUsers = { ...secured, users: { alice: 'wonder', bob: 'builder' } }
const me = { sharedKey, hostname: 'client.test' }

async function greeted(port: number) {
  const sender = await client(port)
  await eventually(() => expect(sender.chunks.length).toBeGreaterThan(0))
  return { sender, helo: readHelo(Buffer.concat(sender.chunks)) }
}

const sha512 = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

describe('the handshake of input_forward', () => {
  it('is not offered without a key', async () => {
    const input = await receive()
    const sender = await client(input.port)
    await quiet()
    expect(sender.chunks).toEqual([])
  })

  it('sends HELO and PONG in one write each, and takes what comes after', async () => {
    const input = await receive(secured)
    const { sender, helo } = await greeted(input.port)
    expect(sender.chunks).toHaveLength(1)
    expect(helo).toMatchObject({ auth: Buffer.alloc(0), keepalive: true })
    const { ping, salt } = encodePing(helo, me)
    sender.socket.write(ping)
    await eventually(() => expect(sender.chunks).toHaveLength(2))
    expect(verifyPong(sender.chunks[1] ?? Buffer.alloc(0), helo, salt, me)).toBe('feedoo.test')
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.chunks).toHaveLength(3))
    expect(sender.acks().at(-1)).toBe('a')
  })

  it('takes a PING in pieces, with requests behind it in the same segment', async () => {
    const input = await receive(secured)
    const { sender, helo } = await greeted(input.port)
    const { ping } = encodePing(helo, me)
    const next = request('app', [1], 'a')
    sender.socket.setNoDelay(true)
    for (let at = 0; at < ping.length - 3; at += 40) {
      sender.socket.write(ping.subarray(at, Math.min(at + 40, ping.length - 3)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    sender.socket.write(Buffer.concat([ping.subarray(-3), next, next.subarray(0, 5)]))
    await eventually(() => expect(sender.acks()).toEqual([undefined, undefined, 'a']))
    sender.socket.write(next.subarray(5))
    await eventually(() => expect(sender.acks().at(-1)).toBe('a'))
    expect(numbersOf(input.out)).toEqual([1])
  })

  it("takes Fluent Bit's salt, a str that is no UTF-8", async () => {
    const input = await receive(secured)
    const { sender, helo } = await greeted(input.port)
    const salt = Buffer.from('ff00c3289f928081fffefdfc00010203', 'hex')
    const rawSalt = raw(Buffer.concat([Buffer.from([0xa0 + salt.length]), salt]))
    sender.socket.write(list('PING', 'fb', rawSalt, sha512(salt, 'fb', helo.nonce, sharedKey), '', ''))
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.acks().at(-1)).toBe('a'))
  })

  it('names a user that is refused with 100 characters at most, none of which does anything', async () => {
    const input = await receive(withUsers)
    const { sender, helo } = await greeted(input.port)
    const username = `\u001b[2Jx\u202ey\n${'z'.repeat(5000)}`
    sender.socket.write(encodePing(helo, { ...me, username, password: 'p' }).ping)
    await sender.closed
    const [line] = input.lines.filter(({ kind }) => kind === 'auth')
    const shown = `"\\u001b[2Jx\\u{202e}y\\n${'z'.repeat(92)}..."`
    expect(line?.msg).toBe(`closed a connection: username/password mismatch, user ${shown}`)
  })

  it('goes on while no events are taken', async () => {
    let release = () => {}
    const stall = new Promise<void>((resolve) => {
      release = resolve
    })
    const input = await receive({ ...secured, queue_size: 1 }, { output: { write: () => stall } })
    const first = await greeted(input.port)
    first.sender.socket.write(encodePing(first.helo, me).ping)
    first.sender.socket.write(request('app', [1]))
    await eventually(() => expect(input.out).toHaveLength(1))
    const second = await greeted(input.port)
    second.sender.socket.write(encodePing(second.helo, me).ping)
    second.sender.socket.write(request('app', [2], 'a'))
    await eventually(() => expect(second.sender.chunks).toHaveLength(2))
    expect(input.out).toHaveLength(1)
    release()
    await eventually(() => expect(second.sender.acks().at(-1)).toBe('a'))
  })

  it.each([
    ['alice', 'wonder'],
    ['bob', 'builder'],
  ])('takes the user %s', async (username, password) => {
    const input = await receive(withUsers)
    const { sender, helo } = await greeted(input.port)
    sender.socket.write(encodePing(helo, { ...me, username, password }).ping)
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.acks().at(-1)).toBe('a'))
  })

  const wrong: [string, Record<string, unknown>, (helo: Helo) => Buffer][] = [
    ['another key', secured, (helo) => encodePing(helo, { ...me, sharedKey: 'guess' }).ping],
    ['an empty key', secured, (helo) => encodePing(helo, { ...me, sharedKey: '' }).ping],
    ['no user', withUsers, (helo) => encodePing(helo, me).ping],
    ['an unknown user', withUsers, (helo) => encodePing(helo, { ...me, username: 'eve', password: '' }).ping],
    [
      'a user that is a key of every object',
      withUsers,
      (helo) => encodePing(helo, { ...me, username: '__proto__' }).ping,
    ],
    [
      "another user's password",
      withUsers,
      (helo) => encodePing(helo, { ...me, username: 'bob', password: 'wonder' }).ping,
    ],
    [
      'a good user and another key',
      withUsers,
      (helo) => encodePing(helo, { sharedKey: 'x', hostname: 'a', username: 'bob', password: 'builder' }).ping,
    ],
    [
      'half a digest',
      secured,
      (helo) => list('PING', 'c', 's', sha512('s', 'c', helo.nonce, sharedKey).slice(0, 64), '', ''),
    ],
    ['the PING of another connection', secured, (helo) => encodePing({ ...helo, nonce: Buffer.alloc(16) }, me).ping],
  ]
  it.each(wrong)('refuses %s by a PONG that says so, and closes', async (_, params, ping) => {
    const input = await receive(params)
    const { sender, helo } = await greeted(input.port)
    // A request behind it, as if it were good.
    sender.socket.write(Buffer.concat([ping(helo), request('app', [1], 'a')]))
    await sender.closed
    expect(sender.chunks).toHaveLength(2)
    expect(sender.values()[1]).toEqual(['PONG', false, expect.stringContaining('mismatch'), '', ''])
    expect(input.out).toEqual([])
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind: 'auth', total: 1 }])
  })

  it.each<[string, Buffer, string]>([
    ['data before PING', request('app', [1], 'a'), 'bad_handshake'],
    ['a PING of five values', list('PING', 'c', 's', 'd', ''), 'bad_handshake'],
    ['a PING whose digest is a number', list('PING', 'c', 's', 5, '', ''), 'bad_handshake'],
    ['a HELO', list('HELO', {}), 'bad_handshake'],
    ['a PING of 1 GB', hex('96 a4 50494e47 db 40000000'), 'too_large'],
    ['JSON', Buffer.from('["app", 1, {}]'), 'bad_handshake'],
    ['TLS on the plain port', hex('16 03 01 02 00 01 00'), 'tls'],
  ])('closes without a PONG for %s', async (_, bytes, kind) => {
    const input = await receive(secured)
    const { sender } = await greeted(input.port)
    sender.socket.write(bytes)
    await sender.closed
    expect(sender.chunks).toHaveLength(1)
    expect(input.out).toEqual([])
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind, total: 1 }])
  })

  it('is over for a sender that says nothing, or a byte at a time, for handshake_timeout', async () => {
    const input = await receive({ ...secured, handshake_timeout: 0.3 })
    const silent = await greeted(input.port)
    const slow = await greeted(input.port)
    const { ping } = encodePing(slow.helo, me)
    let at = 0
    const timer = setInterval(() => slow.sender.socket.write(ping.subarray(at, ++at)), 20)
    await Promise.all([silent.sender.closed, slow.sender.closed])
    clearInterval(timer)
    expect(silent.sender.chunks).toHaveLength(1)
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind: 'handshake_timeout' }])
  })
})

describe('the configuration of the handshake', () => {
  it.each<[string, Record<string, unknown>, string]>([
    [
      'CVE-2025-12969: users without a shared key',
      { users: { a: 'b' } },
      'users: they protect nothing without `shared_key`',
    ],
    ['CVE-2025-12969: users with an empty shared key', { users: { a: 'b' }, shared_key: '' }, 'empty shared key'],
    ['an empty shared key', { shared_key: '' }, 'empty shared key'],
    ['no users', { users: {}, shared_key: 'k' }, 'name a user'],
    [
      'a user twice',
      {
        users: [
          { username: 'a', password: 'b' },
          { username: 'a', password: 'c' },
        ],
        shared_key: 'k',
      },
      'users.1.username: this user is named a second time',
    ],
    ['an empty password', { users: { a: '' }, shared_key: 'k' }, 'users'],
    ['tls_enable without files', { tls_enable: true }, '`crt_file`'],
    ['a certificate without tls_enable', { crt_file: 'a' }, '`tls_enable: true`'],
    ['a CA without tls_enable', { ca_file: 'a' }, '`tls_enable: true`'],
    ['TLS on a Unix socket', { tls_enable: true, crt_file: 'a', key_file: 'a', unix_path: 'a' }, 'no TLS on a Unix'],
  ])('is refused with %s', (_, params, message) => {
    const result = inputForward.params.safeParse(params)
    expect(result.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n')).toContain(
      message,
    )
  })

  it('takes users as a list as well', async () => {
    const input = await receive({ ...secured, users: [{ username: 'alice', password: 'wonder' }] })
    const { sender, helo } = await greeted(input.port)
    sender.socket.write(encodePing(helo, { ...me, username: 'alice', password: 'wonder' }).ping)
    await eventually(() => expect(sender.values()[1]).toEqual(expect.arrayContaining(['PONG', true])))
  })

  it('warns of a port that is open to everyone, but not of one that is not', () => {
    const lints = (params: Record<string, unknown>) => inputForward.lint(params).map(({ path }) => path)
    expect(lints({ host: '0.0.0.0' })).toEqual([['host']])
    expect(lints({})).toEqual([])
    expect(lints({ host: '0.0.0.0', shared_key: 'k' })).toEqual([])
    expect(lints({ host: '0.0.0.0', unix_path: '/run/x' })).toEqual([])
  })
})
