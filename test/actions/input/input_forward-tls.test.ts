import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls, { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodePing, readHelo } from '../../../src/protocol/handshake.ts'
import { type Certificates, makeCertificates } from '../../helpers/certificates.ts'
import { client, eventually, numbersOf, quiet, receive, request, tlsClient } from '../../helpers/forward-input.ts'
import { hasOpenssl } from '../../helpers/openssl.ts'

describe.skipIf(!hasOpenssl)('input_forward with TLS (needs openssl for its certificates)', () => {
  let certificates: Certificates
  beforeAll(() => {
    certificates = makeCertificates()
  })
  afterAll(() => certificates.remove())

  const server = () => ({ tls_enable: true, crt_file: certificates.server.crt, key_file: certificates.server.key })
  const ca = () => readFileSync(certificates.ca)
  const pair = ({ crt, key }: { crt: string; key: string }) => ({ cert: readFileSync(crt), key: readFileSync(key) })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('takes requests over %s and acknowledges them', async (version) => {
    const input = await receive(server())
    const sender = await tlsClient(input.port, { ca: ca(), minVersion: version, maxVersion: version })
    sender.socket.end(request('app', [1, 2], 'a'))
    await sender.closed
    expect(sender.acks()).toEqual(['a'])
    expect(numbersOf(input.out)).toEqual([1, 2])
  })

  it('refuses TLS 1.1', async () => {
    // Without it, OpenSSL would refuse it by its own level of security, whatever version is asked for.
    const { DEFAULT_CIPHERS } = tls
    tls.DEFAULT_CIPHERS = 'DEFAULT@SECLEVEL=0'
    onTestFinished(() => {
      tls.DEFAULT_CIPHERS = DEFAULT_CIPHERS
    })
    const input = await receive(server())
    const sender = await tlsClient(input.port, {
      ca: ca(),
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    await sender.closed
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind: 'tls_failed', total: 1 }])
  })

  it.each([
    ['a request', request('app', [1], 'a')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('refuses %s without TLS, with one clear line, and good senders go on', async (_, bytes) => {
    const input = await receive(server())
    const good = await tlsClient(input.port, { ca: ca() })
    const plain = await client(input.port)
    plain.socket.write(bytes)
    await plain.closed
    good.socket.write(request('good', [1], 'g'))
    await eventually(() => expect(good.acks()).toEqual(['g']))
    expect(input.out.map(({ tag }) => tag)).toEqual(['good'])
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { kind: 'not_tls', msg: 'closed a connection: a client that speaks no TLS on a port with TLS' },
    ])
  })

  it('says nothing of who only looks whether the port is open, and warns of a client that does not trust it', async () => {
    const input = await receive(server())
    const looking = await client(input.port)
    looking.socket.end()
    await looking.closed
    await eventually(() => expect(input.lines.filter(({ kind }) => kind === 'broken')).toHaveLength(1))
    expect(input.lines.filter(({ level }) => level === 'warn')).toEqual([])
    const trust = ['-verify_return_error', '-CAfile', certificates.stranger.crt]
    execFile('openssl', ['s_client', '-connect', `127.0.0.1:${input.port}`, ...trust], () => {})
    await eventually(() => expect(input.refusals('tls_failed')).toBe(1))
  })

  it('closes a connection for bytes that are no TLS, in the middle of it', async () => {
    const input = await receive(server())
    const line = connect(input.port, '127.0.0.1')
    await once(line, 'connect')
    const sender = await tlsClient(input.port, { socket: line, ca: ca() })
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.acks()).toEqual(['a']))
    line.write('this is no TLS')
    await sender.closed
    expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind: 'tls_failed' }])
  })

  it('closes a connection whose TLS handshake ends when the daemon is stopping', async () => {
    let release = () => {}
    const stall = new Promise<void>((resolve) => {
      release = resolve
    })
    const input = await receive(server(), { output: { write: () => stall } })
    const line = connect(input.port, '127.0.0.1')
    await once(line, 'connect')
    // Accepted behind the other one.
    const before = await tlsClient(input.port, { ca: ca() })
    before.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(numbersOf(input.out)).toEqual([1]))
    const stopped = input.stop()
    await quiet()
    const late = await tlsClient(input.port, { socket: line, ca: ca() })
    late.socket.write(request('app', [2], 'b'))
    await late.closed
    expect(before.acks()).toEqual([])
    release()
    await stopped
    expect(before.acks()).toEqual(['a'])
    expect(numbersOf(input.out)).toEqual([1])
  })

  it('shakes hands inside of TLS', async () => {
    const input = await receive({ ...server(), shared_key: 'k' })
    const sender = await tlsClient(input.port, { ca: ca() })
    await eventually(() => expect(sender.chunks).not.toEqual([]))
    const helo = readHelo(Buffer.concat(sender.chunks))
    const { ping } = encodePing(helo, { sharedKey: 'k', hostname: 'c' })
    sender.socket.write(Buffer.concat([ping, request('app', [1], 'a')]))
    await eventually(() => expect(sender.acks().at(-1)).toBe('a'))
  })

  it('closes connections whose TLS handshake takes longer than handshake_timeout', async () => {
    const input = await receive({ ...server(), handshake_timeout: 0.3 })
    const silent = connect(input.port, '127.0.0.1')
    const slow = connect(input.port, '127.0.0.1')
    const closed = [silent, slow].map(
      (socket) =>
        new Promise((resolve) =>
          socket
            .on('close', resolve)
            .on('error', () => {})
            .resume(),
        ),
    )
    // The first bytes of a handshake that goes on for ever.
    const hello = Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), Buffer.alloc(400)])
    let at = 0
    const timer = setInterval(() => slow.write(hello.subarray(at, ++at)), 20)
    await Promise.all(closed)
    clearInterval(timer)
    expect(input.refusals('handshake_timeout')).toBeGreaterThan(0)
    expect(input.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  describe('that is mutual', () => {
    const mutual = () => ({ ...server(), ca_file: certificates.ca })

    it('takes a client whose certificate the authority has signed', async () => {
      const input = await receive(mutual())
      const sender = await tlsClient(input.port, { ca: ca(), ...pair(certificates.client) })
      sender.socket.write(request('app', [1], 'a'))
      await eventually(() => expect(sender.acks()).toEqual(['a']))
    })

    it.each([
      ['no certificate', () => ({})],
      ['a certificate of somebody else', () => pair(certificates.stranger)],
    ])('refuses a client with %s', async (_, theirs) => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const input = await receive(mutual())
        const sender = await tlsClient(input.port, { ca: ca(), maxVersion: version, ...theirs() })
        sender.socket.write(request('app', [1], 'a'))
        await sender.closed
        await eventually(() =>
          expect(input.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ kind: 'tls_failed', total: 1 }]),
        )
        expect(input.out).toEqual([])
      }
    })
  })

  describe('whose files change', () => {
    function copied() {
      const dir = mkdtempSync(join(tmpdir(), 'feedoo-tls-'))
      onTestFinished(() => rmSync(dir, { recursive: true }))
      const files = { crt_file: join(dir, 'crt'), key_file: join(dir, 'key') }
      const put = ({ crt, key }: { crt: string; key: string }) => {
        copyFileSync(crt, files.crt_file)
        copyFileSync(key, files.key_file)
      }
      put(certificates.server)
      return { files, put }
    }

    async function subjectSeen(port: number): Promise<unknown> {
      const { socket } = await tlsClient(port, { rejectUnauthorized: false })
      const subject = socket instanceof TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined
      socket.destroy()
      return subject
    }

    it('serves the new certificate at the next connection, and keeps the old connections', async () => {
      const { files, put } = copied()
      const input = await receive({ tls_enable: true, ...files })
      const before = await tlsClient(input.port, { ca: ca() })
      expect(await subjectSeen(input.port)).toBe('server')
      put(certificates.stranger)
      expect(await subjectSeen(input.port)).toBe('localhost')
      before.socket.write(request('app', [1], 'a'))
      await eventually(() => expect(before.acks()).toEqual(['a']))
    })

    it('goes on with the old certificate while the new files do not fit, and says so once', async () => {
      const { files, put } = copied()
      const input = await receive({ tls_enable: true, ...files })
      copyFileSync(certificates.stranger.key, files.key_file)
      expect(await subjectSeen(input.port)).toBe('server')
      expect(await subjectSeen(input.port)).toBe('server')
      expect(input.lines.filter(({ level }) => level === 'error')).toMatchObject([
        { msg: expect.stringContaining('does not belong to the certificate') },
      ])
      rmSync(files.crt_file)
      expect(await subjectSeen(input.port)).toBe('server')
      put(certificates.stranger)
      expect(await subjectSeen(input.port)).toBe('localhost')
    })
  })

  it.each<[string, (files: Record<string, unknown>, dir: string) => Record<string, unknown>, RegExp]>([
    [
      'a key of another certificate',
      (files) => ({ ...files, key_file: certificates.client.key }),
      /key_file: .*does not belong to the certificate in crt_file/,
    ],
    [
      'no key file',
      (files) => ({ ...files, key_file: '/nowhere/key' }),
      /key_file: cannot read \/nowhere\/key: there is no such file/,
    ],
    [
      'no certificate file',
      (files) => ({ ...files, crt_file: '/nowhere/crt' }),
      /crt_file: cannot read \/nowhere\/crt/,
    ],
    [
      'a key in place of the certificate',
      (files) => ({ ...files, crt_file: certificates.server.key }),
      /crt_file: .*holds no certificate in PEM form/,
    ],
    [
      'a certificate in place of the key',
      (files) => ({ ...files, key_file: certificates.server.crt }),
      /key_file: .*holds no private key/,
    ],
    [
      'a CA that is no certificate',
      (files, dir) => ({ ...files, ca_file: join(dir, 'text') }),
      /ca_file: .*holds no certificate/,
    ],
  ])('does not start with %s: CONFIG_INVALID', async (_, change, message) => {
    const dir = mkdtempSync(join(tmpdir(), 'feedoo-tls-'))
    onTestFinished(() => rmSync(dir, { recursive: true }))
    writeFileSync(join(dir, 'text'), 'hello')
    await expect(receive(change(server(), dir))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    })
  })
})
