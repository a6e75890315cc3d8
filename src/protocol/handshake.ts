// The forward protocol's handshake: HELO, PING and PONG as bytes, and the digests that prove the shared key.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { ProtocolError } from './errors.ts'
import { MsgpackDecoder } from './msgpack-decoder.ts'
import type { MsgpackLimits } from './msgpack-scanner.ts'
import { MsgpackWriter } from './msgpack-writer.ts'

/*
 * server  ["HELO", {nonce: bytes, auth: bytes, keepalive: bool}]
 * client  ["PING", hostname, salt, hex(sha512(salt + hostname + nonce + key)), username, hex(sha512(auth + username + password))]
 * server  ["PONG", ok, reason, hostname, hex(sha512(salt + hostname + nonce + key))]
 *
 * Every string may come as str or bin, and is hashed as the bytes it is: Fluent Bit's salt is no UTF-8. Without users,
 * auth is empty, and so may be the username and its digest.
 */

/** For the reader of a connection that has not shaken hands yet: nobody unknown may send more. */
export const handshakeLimits: MsgpackLimits = { maxBytes: 16 * 1024, maxDepth: 4, maxValues: 64 }

export interface ServerSecurity {
  sharedKey: string
  /** What the server calls itself in PONG. */
  hostname: string
  /** Password by username. When there are any, a client must be one of them. */
  users?: ReadonlyMap<string, string>
}

export interface Helo {
  nonce: Buffer
  /** Empty when the server asks for no user. */
  auth: Buffer
  keepalive: boolean
}

/** What PING came to. `pong` is to be sent either way; when `reason` is there, the connection is then to be closed. */
export interface PingVerdict {
  pong: Buffer
  /** Why the client is refused: for the log. PONG does not say whether it was the user or the password. */
  reason?: string
  /** The client's own name and user, unproven when refused. */
  hostname: string
  username: string
}

/** A new challenge. Throws a ProtocolError for an empty key: users without a key are no protection. */
export function newHelo(security: ServerSecurity, keepalive = true): Helo {
  if (security.sharedKey === '') throw new ProtocolError('bad_handshake', 'The shared key is empty')
  return { nonce: randomBytes(16), auth: security.users === undefined ? EMPTY : randomBytes(16), keepalive }
}

export function encodeHelo(helo: Helo): Buffer {
  const writer = new MsgpackWriter(128).arrayHeader(2).str('HELO').mapHeader(3)
  writer.str('nonce').bin(helo.nonce).str('auth').bin(helo.auth)
  return writer.str('keepalive').value(helo.keepalive).take()
}

/**
 * Reads a PING (the bytes of one whole value) and compares it, in constant time, with what the HELO sent asks for.
 * Throws a ProtocolError (bad_handshake) for what is no PING at all: close without a PONG.
 */
export function verifyPing(bytes: Buffer, helo: Helo, security: ServerSecurity): PingVerdict {
  const decoder = new MsgpackDecoder(bytes)
  if (decoder.arrayHeader() !== 6 || readBytes(decoder, 'its type').toString('latin1') !== 'PING') {
    throw new ProtocolError('bad_handshake', 'The first message is no PING of 6 values')
  }
  const hostname = readBytes(decoder, 'the hostname')
  const salt = readBytes(decoder, 'the salt')
  const digest = readBytes(decoder, 'the digest')
  const username = readBytes(decoder, 'the username')
  const passwordDigest = readBytes(decoder, 'the password digest')
  if (salt.length === 0) throw new ProtocolError('bad_handshake', 'The PING has no salt')
  const verdict = { hostname: hostname.toString(), username: username.toString() }
  const keyIsGood = isDigest(digest, sha512(salt, hostname, helo.nonce, security.sharedKey))
  const password = security.users?.get(verdict.username)
  // Hashed for a user that is not known, too: the time tells nothing.
  const userIsGood = isDigest(passwordDigest, sha512(helo.auth, username, password ?? '')) && password !== undefined
  const reason = refusal(keyIsGood, security.users === undefined || userIsGood)
  if (reason !== undefined) return { ...verdict, reason, pong: encodePong(false, reason, '', EMPTY) }
  const proof = sha512(salt, security.hostname, helo.nonce, security.sharedKey)
  return { ...verdict, pong: encodePong(true, '', security.hostname, proof) }
}

export interface ClientSecurity {
  sharedKey: string
  /** What the client calls itself. */
  hostname: string
  username?: string
  password?: string
}

/** Reads a HELO (the bytes of one whole value). Throws a ProtocolError (bad_handshake). */
export function readHelo(bytes: Buffer): Helo {
  const decoder = new MsgpackDecoder(bytes)
  if (decoder.arrayHeader() !== 2 || readBytes(decoder, 'its type').toString('latin1') !== 'HELO') {
    throw new ProtocolError('bad_handshake', 'The first message is no HELO of 2 values')
  }
  const helo: Helo = { nonce: EMPTY, auth: EMPTY, keepalive: true }
  const pairs = decoder.mapHeader()
  if (pairs < 0) throw new ProtocolError('bad_handshake', 'The HELO has no map')
  for (let i = 0; i < pairs; i++) {
    const key = decoder.key()
    if (key === 'nonce') helo.nonce = Buffer.from(readBytes(decoder, 'the nonce'))
    else if (key === 'auth') helo.auth = Buffer.from(readBytes(decoder, 'the auth salt'))
    else if (key === 'keepalive') helo.keepalive = decoder.value() === true
    else decoder.skip()
  }
  if (helo.nonce.length === 0) throw new ProtocolError('bad_handshake', 'The HELO has no nonce')
  return helo
}

/**
 * The answer to a HELO, and the salt that the server's PONG is to be compared with. The salt is a str of ASCII: Fluent Bit
 * refuses one that is bin, and peers that read a str as text would hash other bytes than those of a salt that is no UTF-8.
 */
export function encodePing(
  helo: Helo,
  security: ClientSecurity,
  salt = Buffer.from(randomBytes(16).toString('hex')),
): { ping: Buffer; salt: Buffer } {
  const { hostname, sharedKey, username = '', password = '' } = security
  const writer = new MsgpackWriter(512).arrayHeader(6).str('PING').str(hostname).rawStr(salt)
  writer.str(sha512(salt, hostname, helo.nonce, sharedKey).toString('hex'))
  if (helo.auth.length === 0) writer.str('').str('')
  else writer.str(username).str(sha512(helo.auth, username, password).toString('hex'))
  return { ping: writer.take(), salt }
}

/**
 * Reads a PONG (the bytes of one whole value). Returns the server's name; throws a ProtocolError (bad_handshake) with
 * the server's reason, or when the server does not know the key either. A server that bears the client's own name is
 * refused, as Fluentd does: its proof may be the client's, sent back.
 */
export function verifyPong(
  bytes: Buffer,
  helo: Helo,
  salt: Buffer,
  { sharedKey, hostname: own }: ClientSecurity,
): string {
  const decoder = new MsgpackDecoder(bytes)
  if (decoder.arrayHeader() !== 5 || readBytes(decoder, 'its type').toString('latin1') !== 'PONG') {
    throw new ProtocolError('bad_handshake', 'The answer is no PONG of 5 values')
  }
  const isAccepted = decoder.value() === true
  const reason = readBytes(decoder, 'the reason').toString()
  if (!isAccepted) throw new ProtocolError('bad_handshake', `The server refuses: ${JSON.stringify(reason)}`)
  const hostname = readBytes(decoder, 'the hostname')
  const digest = readBytes(decoder, 'the digest')
  if (!isDigest(digest, sha512(salt, hostname, helo.nonce, sharedKey))) {
    throw new ProtocolError('bad_handshake', 'The server does not know the shared key')
  }
  if (hostname.equals(Buffer.from(own))) {
    const name = JSON.stringify(own)
    throw new ProtocolError(
      'bad_handshake',
      `The server has the name of this client, ${name}: give one of them another`,
    )
  }
  return hostname.toString()
}

function encodePong(isAccepted: boolean, reason: string, hostname: string, proof: Buffer): Buffer {
  const writer = new MsgpackWriter(512).arrayHeader(5).str('PONG').value(isAccepted)
  return writer.str(reason).str(hostname).str(proof.toString('hex')).take()
}

function refusal(keyIsGood: boolean, userIsGood: boolean): string | undefined {
  if (!keyIsGood) return 'shared_key mismatch'
  return userIsGood ? undefined : 'username/password mismatch'
}

function readBytes(decoder: MsgpackDecoder, what: string): Buffer {
  const bytes = decoder.str() ?? decoder.bin()
  if (bytes === undefined) throw new ProtocolError('bad_handshake', `In a handshake message, ${what} is no string`)
  return bytes
}

function sha512(...parts: (Buffer | string)[]): Buffer {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** True when `hex` is exactly the 128 hex characters of `digest`, found in constant time. */
function isDigest(hex: Buffer, digest: Buffer): boolean {
  if (hex.length !== 128) return false
  const bytes = Buffer.from(hex.toString('latin1'), 'hex')
  // A character that is no hex digit ends the conversion.
  return bytes.length === digest.length && timingSafeEqual(bytes, digest)
}

const EMPTY = Buffer.alloc(0)
