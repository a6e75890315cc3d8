// What output sends is what input reads.
import { gunzipSync } from 'node:zlib'
import * as reference from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeAck, encodeForward, readAck } from '../../src/protocol/forward-writer.ts'
import { hex, list, readAll } from './traffic.ts'

const events = [
  { timestamp: 1700000000.25, record: { log: 'one', n: 1 } },
  { timestamp: 1700000001, record: { log: 'two', big: 9007199254740993n }, metadata: { from: 'é' } },
]

describe('requests that are written', () => {
  it.each(['forward', 'packed', 'gzip'] as const)('are read as they were: %s', (mode) => {
    const [frame] = readAll([encodeForward('app', events, mode, 'id\n')])
    expect(frame?.entries).toEqual(events.map((event) => ({ tag: 'app', ...event })))
    expect(frame).toMatchObject({ mode: mode === 'gzip' ? 'compressed' : mode, mislabelled: false })
    expect(frame?.option).toMatchObject({ chunk: Buffer.from('id\n'), size: 2 })
  })

  it('are read as they were: message', () => {
    for (const event of events) {
      const [frame] = readAll([encodeForward('app', [event], 'message', 'id')])
      expect(frame?.entries).toEqual([{ tag: 'app', ...event }])
      expect(frame?.option.chunk).toEqual(Buffer.from('id'))
    }
    expect(() => encodeForward('app', events, 'message')).toThrow(expect.objectContaining({ code: 'unwritable' }))
  })

  it('have the form of the protocol for another reader', () => {
    const extensionCodec = new reference.ExtensionCodec()
    extensionCodec.register({ type: 0, encode: () => null, decode: (data) => Buffer.from(data).toString('hex') })
    const decode = (bytes: Buffer): unknown => reference.decode(bytes, { extensionCodec })
    const first = events.slice(0, 1)
    const entry = ['6553f1000ee6b280', { log: 'one', n: 1 }]
    expect(decode(encodeForward('app', first, 'forward'))).toEqual(['app', [entry], { size: 1 }])
    const packed = Object(decode(encodeForward('app', first, 'gzip', 'id')))
    expect(packed[2]).toEqual({ size: 1, chunk: 'id', compressed: 'gzip' })
    expect(decode(gunzipSync(packed[1]))).toEqual(entry)
  })

  it('keep any time: what EventTime cannot hold is a float', () => {
    const time = fc.oneof(fc.double({ min: -1e10, max: 1e10, noNaN: true }), fc.integer({ min: 0, max: 2 ** 33 }))
    fc.assert(
      fc.property(time, (timestamp) => {
        const [frame] = readAll([encodeForward('app', [{ timestamp, record: {} }], 'forward')])
        expect(frame?.entries).toHaveLength(1)
        expect(Math.abs((frame?.entries[0]?.timestamp ?? 0) - timestamp)).toBeLessThan(1e-6)
      }),
    )
  })

  it('shrink no further than a receiver believes', () => {
    const zeros = [{ timestamp: 1, record: { log: '0'.repeat(3 * 1024 * 1024) } }]
    const bytes = encodeForward('app', zeros, 'gzip')
    expect(bytes.length).toBeGreaterThan(3 * 1024 * 1024)
    expect(readAll([bytes])[0]).toMatchObject({ mode: 'packed', mislabelled: false, entries: zeros })
  })

  it('hold no events when there are none', () => {
    for (const mode of ['forward', 'packed', 'gzip'] as const) {
      expect(readAll([encodeForward('app', [], mode, 'id')])[0]).toMatchObject({ entries: [], option: { size: 0 } })
    }
  })
})

describe('acknowledgements', () => {
  it.each([['c2h1bms='], ['a\n'], [''], ['é'], ['a'.repeat(1024)]])('of %j come back', (chunk) => {
    expect(readAck(encodeAck(Buffer.from(chunk)))).toBe(chunk)
  })

  it('echo bytes that are no UTF-8', () => {
    expect(encodeAck(hex('fffe')).toString('hex')).toBe('81a361636ba2fffe')
  })

  it.each([[{}], [{ ack: 5 }], [{ nack: 'id' }], ['ack'], [['ack', 'id']]])('are not %j', (value) => {
    expect(() => readAck(list(value).subarray(1))).toThrow(expect.objectContaining({ code: 'bad_frame' }))
  })

  it('may have other keys before', () => {
    expect(readAck(list({ other: [1], ack: 'id' }).subarray(1))).toBe('id')
  })
})
