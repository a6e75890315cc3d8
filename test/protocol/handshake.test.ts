// The handshake from both sides, and what a PING must not get away with.
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type ClientSecurity,
  encodeHelo,
  encodePing,
  type Helo,
  newHelo,
  readHelo,
  type ServerSecurity,
  verifyPing,
  verifyPong,
} from '../../src/protocol/handshake.ts'
import { decodeMsgpack } from '../../src/protocol/msgpack-decoder.ts'
import { hex, list, raw } from './traffic.ts'

const plain: ServerSecurity = { sharedKey: 'secret', hostname: 'server' }
const withUsers: ServerSecurity = { ...plain, users: new Map([['ann', 'pass']]) }
const client: ClientSecurity = { sharedKey: 'secret', hostname: 'client' }
const sha512 = (...parts: (string | Buffer)[]): string => {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
const refused = (reason: string) => ({ reason, pong: list('PONG', false, reason, '', '') })

describe('a server and a client that share a key', () => {
  it.each([
    ['without users', plain, client],
    ['with a user', withUsers, { ...client, username: 'ann', password: 'pass' }],
    ['with a user that the server does not ask for', plain, { ...client, username: 'ann', password: 'pass' }],
  ])('shake hands %s', (_, server, peer) => {
    const helo = newHelo(server)
    const seen = readHelo(encodeHelo(helo))
    expect(seen).toEqual(helo)
    const { ping, salt } = encodePing(seen, peer)
    const verdict = verifyPing(ping, helo, server)
    expect(verdict.reason).toBeUndefined()
    expect(verdict).toMatchObject({ hostname: 'client' })
    expect(verifyPong(verdict.pong, seen, salt, client)).toBe('server')
  })

  it('never use a nonce twice', () => {
    expect(newHelo(plain).nonce).not.toEqual(newHelo(plain).nonce)
    expect(newHelo(plain)).toMatchObject({ auth: Buffer.alloc(0), keepalive: true })
    expect(newHelo(withUsers).auth).toHaveLength(16)
  })
})

describe("Fluent Bit's PING", () => {
  const helo: Helo = { nonce: hex('00112233445566778899aabbccddeeff'), auth: Buffer.alloc(0), keepalive: true }
  const salt = hex('fffe80c3284142430102030405060708')

  it('has a salt in a str that is no UTF-8: it is hashed as the bytes it is', () => {
    const digest = sha512(salt, 'agent', helo.nonce, 'secret')
    const ping = list('PING', 'agent', raw(Buffer.concat([hex('b0'), salt])), digest, '', '')
    const verdict = verifyPing(ping, helo, plain)
    expect(verdict.reason).toBeUndefined()
    expect(decodeMsgpack(verdict.pong)).toEqual([
      'PONG',
      true,
      '',
      'server',
      sha512(salt, 'server', helo.nonce, 'secret'),
    ])
  })

  it('may have its strings as bin, and its digest in capital letters', () => {
    const digest = sha512(salt, 'agent', helo.nonce, 'secret').toUpperCase()
    const ping = list(...['PING', 'agent', salt, digest, '', ''].map((part) => Buffer.from(part)))
    expect(verifyPing(ping, helo, plain).reason).toBeUndefined()
  })
})

describe('a PING is refused with a PONG', () => {
  const helo = newHelo(withUsers)
  const { ping, salt } = encodePing(helo, { ...client, username: 'ann', password: 'pass' })
  const [, , , digest, , password] = Object.values(Object(decodeMsgpack(ping))).map(String)
  const good = ['PING', 'client', salt, digest, 'ann', password]
  const with_ = (index: number, part: string | Buffer | undefined): Buffer => list(...good.with(index, part))

  it('but not when all is good', () => {
    expect(verifyPing(list(...good), helo, withUsers).reason).toBeUndefined()
  })

  it.each([
    ['another key', encodePing(helo, { ...client, sharedKey: 'guess', username: 'ann', password: 'pass' }).ping],
    ['another hostname', with_(1, 'other')],
    ['another salt', with_(2, Buffer.alloc(16))],
    ['an empty digest', with_(3, '')],
    ['a digest of 127 characters', with_(3, digest?.slice(1))],
    ['a digest of 129 characters', with_(3, `${digest}0`)],
    ['a digest with a character that is no hex', with_(3, `${digest?.slice(1)}g`)],
    ['a digest of another nonce', encodePing({ ...helo, nonce: Buffer.alloc(16) }, client).ping],
  ])('for %s', (_, bytes) => {
    expect(verifyPing(bytes, helo, withUsers)).toMatchObject(refused('shared_key mismatch'))
  })

  it.each([
    ['no user (CVE-2025-12969)', list(...good.with(4, '').with(5, ''))],
    ['an unknown user', encodePing(helo, { ...client, username: 'bob', password: 'pass' }).ping],
    ['an unknown user with an empty password', encodePing(helo, { ...client, username: 'bob', password: '' }).ping],
    ['a user that every object has', encodePing(helo, { ...client, username: '__proto__', password: '' }).ping],
    ['a wrong password', encodePing(helo, { ...client, username: 'ann', password: 'guess' }).ping],
    ['a password digest that is cut', with_(5, password?.slice(2))],
  ])('for %s', (_, bytes) => {
    expect(verifyPing(bytes, helo, withUsers)).toMatchObject(refused('username/password mismatch'))
  })
})

describe('what is no PING at all ends the connection', () => {
  const helo = newHelo(plain)
  const digest = 'a'.repeat(128)
  it.each([
    ['a request', list('app', [[5, { log: 'data before PING' }]])],
    ['five values', list('PING', 'client', 'salt', digest, '')],
    ['seven values', list('PING', 'client', 'salt', digest, '', '', '')],
    ['another type', list('PONG', 'client', 'salt', digest, '', '')],
    ['a hostname that is a number', list('PING', 7, 'salt', digest, '', '')],
    ['a salt that is a map', list('PING', 'client', {}, digest, '', '')],
    ['an empty salt', list('PING', 'client', '', digest, '', '')],
    ['a digest that is nil', list('PING', 'client', 'salt', null, '', '')],
    ['a user that is a list', list('PING', 'client', 'salt', digest, [], '')],
    ['a map', list({}).subarray(1)],
    ['nil', hex('c0')],
  ])('%s', (_, bytes) => {
    expect(() => verifyPing(bytes, helo, plain)).toThrow(expect.objectContaining({ code: 'bad_handshake' }))
  })

  it('an empty key is no key', () => {
    expect(() => newHelo({ ...withUsers, sharedKey: '' })).toThrow(expect.objectContaining({ code: 'bad_handshake' }))
  })
})

describe('a client refuses', () => {
  const helo = newHelo(plain)
  const { salt } = encodePing(helo, client)
  const proof = sha512(salt, 'server', helo.nonce, 'secret')
  it.each([
    ['a server that refuses', list('PONG', false, 'no\nway', '', '')],
    ['a server that does not know the key', list('PONG', true, '', 'server', sha512(salt, 'server', helo.nonce, 'x'))],
    ['a server that answers with no digest', list('PONG', true, '', 'server', '')],
    ['a PONG of four values', list('PONG', true, '', 'server')],
    ['a PONG whose digest is a list', list('PONG', true, '', 'server', [proof])],
    [
      "the client's own name and digest, sent back",
      list('PONG', true, '', 'client', sha512(salt, 'client', helo.nonce, 'secret')),
    ],
    ['an ack in its place', list({ ack: 'id' }).subarray(1)],
  ])('%s', (_, bytes) => {
    expect(() => verifyPong(bytes, helo, salt, client)).toThrow(expect.objectContaining({ code: 'bad_handshake' }))
  })

  it.each([
    ['without a nonce', list('HELO', { auth: '', keepalive: true })],
    ['without a map', list('HELO', null)],
    ['of another type', list('EHLO', { nonce: 'a', auth: '', keepalive: true })],
    ['whose nonce is a number', list('HELO', { nonce: 5, auth: '', keepalive: true })],
  ])('a HELO %s', (_, bytes) => {
    expect(() => readHelo(bytes)).toThrow(expect.objectContaining({ code: 'bad_handshake' }))
  })

  it('but takes a HELO with keys it does not know', () => {
    const bytes = list('HELO', { options: { a: [1] }, nonce: 'n', auth: '', keepalive: false })
    expect(readHelo(bytes)).toEqual({ nonce: Buffer.from('n'), auth: Buffer.alloc(0), keepalive: false })
    expect(verifyPong(list('PONG', true, '', 'server', proof), helo, salt, client)).toBe('server')
  })
})
