// Well-formed values in places where something else belongs: refused by a ProtocolError, or taken, and nothing else.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { decodeForward } from '../../src/protocol/forward.ts'
import { readAck } from '../../src/protocol/forward-writer.ts'
import { newHelo, readHelo, verifyPing, verifyPong } from '../../src/protocol/handshake.ts'
import { decodeJsonForward } from '../../src/protocol/json-frames.ts'
import { encodeMsgpack } from '../../src/protocol/msgpack-writer.ts'

const security = { sharedKey: 'secret', hostname: 'server', users: new Map([['ann', 'pass']]) }
const helo = newHelo(security)

/** Keys that mean something to the protocol, or to every JavaScript object. */
const key = fc.constantFrom(
  ...['chunk', 'size', 'compressed', 'fluent_signal', 'metadata', 'ack', 'nonce', 'auth', 'keepalive'],
  ...['toString', 'valueOf', 'toJSON', 'constructor', '__proto__', 'length', 'then', '0', ''],
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(
      fc.constantFrom<unknown>(
        null,
        true,
        0,
        1,
        -1,
        2 ** 53,
        2n ** 64n - 1n,
        0xffffffff,
        Number.NaN,
        Infinity,
        'app',
        '',
      ),
      fc.constantFrom<unknown>('HELO', 'PING', 'PONG', 'gzip', 'zstd', 'a'.repeat(128), Buffer.from([0x1f, 0x8b])),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    ),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
  ),
}))

const readers: [string, (bytes: Buffer) => unknown][] = [
  ['decodeForward', (bytes) => decodeForward(bytes)],
  ['verifyPing', (bytes) => verifyPing(bytes, helo, security)],
  ['verifyPong', (bytes) => verifyPong(bytes, helo, Buffer.alloc(16), { sharedKey: 'secret', hostname: 'client' })],
  ['readHelo', readHelo],
  ['readAck', readAck],
]

it.each(readers)('%s', (_, read) => {
  const shaped = fc.oneof(
    value,
    fc.tuple(fc.constant('app'), value, value),
    fc.tuple(fc.constant('app'), fc.constant([]), value),
    fc.tuple(fc.constant('app'), fc.constant(1), value, value),
    fc.tuple(fc.constantFrom('PING', 'PONG', 'HELO'), value, value, value, value, value),
    fc.tuple(fc.constant('PONG'), fc.constant(true), value, value, value),
    fc.tuple(fc.constant('HELO'), value),
  )
  fc.assert(
    fc.property(shaped, (document) => {
      try {
        read(encodeMsgpack(document))
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 2000 },
  )
})

it('decodeJsonForward', () => {
  const shaped = fc.oneof(
    fc.jsonValue(),
    fc.tuple(fc.constant('app'), fc.jsonValue(), fc.jsonValue(), fc.jsonValue()),
    fc.tuple(fc.constant('app'), fc.constant([]), fc.dictionary(key, fc.dictionary(key, fc.jsonValue()))),
  )
  fc.assert(
    fc.property(shaped, (document) => {
      try {
        decodeJsonForward(Buffer.from(JSON.stringify(document)))
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 2000 },
  )
})
