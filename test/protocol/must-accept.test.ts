// "Must accept" of the protocol's reference, as far as bytes are concerned: one test a line.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodeForward } from '../../src/protocol/forward.ts'
import type { ForwardFrame } from '../../src/protocol/forward-frame.ts'
import { encodeMsgpack } from '../../src/protocol/msgpack-writer.ts'
import { hex, list, Raw, raw, readAll, recording, zstdFixture } from './traffic.ts'

function decode(bytes: Buffer): ForwardFrame {
  const [frame] = readAll([bytes])
  if (frame === undefined) throw new Error('no frame')
  return frame
}

const record = { log: 'hello' }
const entry = list(1700000000, record)
const two = Buffer.concat([entry, list(1700000001, record)])
const entryAtOne = list(1, record)
const expectTwo = (frame: ForwardFrame): void => {
  expect(frame.entries).toEqual([
    { tag: 'app', timestamp: 1700000000, record },
    { tag: 'app', timestamp: 1700000001, record },
  ])
}

describe('the four modes', () => {
  it.each([
    ['message', list('app', 1700000000, record), 1],
    ['message with option', list('app', 1700000000, record, { size: 1 }), 1],
    ['forward', list('app', [[1700000000, record]]), 1],
    ['forward with option', list('app', [[1700000000, record]], { size: 1 }), 1],
    ['packed', list('app', entry), 1],
    ['packed with option', list('app', two, { size: 2 }), 2],
    ['compressed', list('app', gzipSync(two), { compressed: 'gzip' }), 2],
  ])('%s', (mode, bytes, count) => {
    const frame = decode(bytes)
    expect(frame.mode).toBe(mode.split(' ')[0])
    expect(frame.entries).toHaveLength(count)
    expect(frame.entries[0]).toEqual({ tag: 'app', timestamp: 1700000000, record })
    expect(frame.mislabelled).toBe(false)
  })
})

describe('the option', () => {
  it.each([
    ['missing', list('app', [[1, record]])],
    ['nil', list('app', [[1, record]], null)],
    ['an empty map', list('app', [[1, record]], {})],
    ['an empty map of 32 bits', list('app', [[1, record]], raw('df 00000000'))],
    ['nil in Message mode', list('app', 1, record, null)],
    ['with nils', list('app', entryAtOne, { compressed: null, size: null, fluent_signal: null, metadata: null })],
    ['with a signal that is no integer', list('app', entryAtOne, { fluent_signal: Number.NaN })],
    ['with unknown keys', list('app', [[1, record]], { colour: ['red'], 7: null, size: 'many', fluent_signal: 'x' })],
  ])('can be %s', (_, bytes) => {
    expect(decode(bytes)).toMatchObject({ entries: [{ timestamp: 1, record }], option: { signal: 0 } })
    expect(decode(bytes).option).not.toHaveProperty('chunk')
    expect(decode(bytes).mislabelled).toBe(false)
  })

  it('keeps the bytes of the chunk id, a newline or no UTF-8 included', () => {
    const fluentd = 'Y2h1bmsgaWQgb2YgRmx1ZW50ZA==\n'
    expect(decode(list('app', [], { chunk: fluentd })).option.chunk).toEqual(Buffer.from(fluentd))
    const bytes = list('app', [], raw('81 a5 6368756e6b a3 fffe80'))
    expect(decode(bytes).option.chunk).toEqual(hex('fffe80'))
  })
})

describe('times', () => {
  it.each([
    ['fixext 8', 'd700 6553f100 1dcd6500', 1700000000.5],
    ['ext 8', 'c70800 6553f100 1dcd6500', 1700000000.5],
    ['a seconds count beyond 2^31', 'd700 f0000000 00000000', 0xf0000000],
    ['uint 32', 'ce 6553f100', 1700000000],
    ['int 32', 'd2 6553f100', 1700000000],
    ['uint 64', 'cf 000000006553f100', 1700000000],
    ['int 64', 'd3 000000006553f100', 1700000000],
    ['float 64', 'cb 41d954fc40200000', 1700000000.5],
    ['float 32', 'ca 4e000000', 536870912],
    ['a float of zero, which is 1970', 'cb 0000000000000000', 0],
  ])('as %s', (_, time, timestamp) => {
    const frame = decode(list('app', raw(list(raw(list(raw(time), record))))))
    expect(frame.entries).toEqual([{ tag: 'app', timestamp, record }])
    expect(frame.untimed).toEqual([])
    expect(decode(list('app', raw(time), record)).entries).toEqual(frame.entries)
  })

  it.each([['00'], ['cf 0000000000000000'], ['c0']])('%s is now: the caller sets it', (time) => {
    const frame = decode(list('app', raw(list(raw(list(raw(time), record)), raw(list(5, record))))))
    expect(frame.entries.map((each) => each.timestamp)).toEqual([0, 5])
    expect(frame.untimed).toEqual([frame.entries[0]])
    expect(frame.untimed[0]).toBe(frame.entries[0])
  })
})

describe('entries', () => {
  it('of version 1.5, without and with metadata', () => {
    const frame = decode(
      list('app', [
        [[5, {}], record],
        [[6, { a: 1 }], record],
        [[7, null], record],
      ]),
    )
    expect(frame.entries).toEqual([
      { tag: 'app', timestamp: 5, record },
      { tag: 'app', timestamp: 6, record, metadata: { a: 1 } },
      { tag: 'app', timestamp: 7, record },
    ])
  })

  it('in Message mode, with metadata in the option', () => {
    const [event] = decode(list('app', 5, record, { metadata: { a: 1 } })).entries
    expect(event).toEqual({ tag: 'app', timestamp: 5, record, metadata: { a: 1 } })
  })

  it('with group markers, which are no events', () => {
    const start = list(raw(list(raw('d700 ffffffff 00000000'), { group: 1 })), {})
    const end = list(raw(list(raw('d700 fffffffe 00000000'), {})), {})
    const bytes = list('app', raw(list(raw(start), [5, record], raw(end), [0xffffffff, {}])), { size: 4 })
    expect(decode(bytes)).toMatchObject({ groupMarkers: 3, entries: [{ timestamp: 5 }], option: { size: 4 } })
  })

  it.each([
    ['bin', list('app', two)],
    ['str', list('app', raw(Buffer.concat([Buffer.from([0xd9, two.length]), two])))],
    ['str 32', list('app', raw(Buffer.concat([Buffer.from([0xdb, 0, 0, 0, two.length]), two])))],
    ['bin 32', list('app', raw(Buffer.concat([Buffer.from([0xc6, 0, 0, 0, two.length]), two])))],
  ])('as %s', (_, bytes) => expectTwo(decode(bytes)))

  it.each([
    ['forward', list('app', [])],
    ['forward, with an array of 32 bits', list('app', raw('dd 00000000'))],
    ['packed', list('app', Buffer.alloc(0))],
    ['packed as str', list('app', '')],
    ['gzip', list('app', gzipSync(''), { compressed: 'gzip' })],
    ['zstd', list('app', zstdFixture('empty.zst'), { compressed: 'zstd' })],
  ])('none at all: %s', (_, bytes) => {
    expect(decode(bytes).entries).toEqual([])
  })

  it('under wide headers with small counts', () => {
    const wide = hex(
      'dd 00000002 da 0003 617070 dc 0001 dd 00000002 cf 0000000000000005 df 00000001 db 00000001 61 de 0000',
    )
    expect(decode(wide).entries).toEqual([{ tag: 'app', timestamp: 5, record: { a: {} } }])
  })
})

describe('compression', () => {
  const member = (bytes: Buffer): Buffer => gzipSync(bytes)
  it.each([
    ['gzip', gzipSync(two), 'gzip'],
    ['gzip of several members', Buffer.concat([member(entry), member(two.subarray(entry.length))]), 'gzip'],
    [
      'gzip of members cut inside of an entry',
      Buffer.concat([member(two.subarray(0, 3)), member(two.subarray(3))]),
      'gzip',
    ],
    ['text', two, 'text'],
  ])('%s', (_, bytes, compressed) => {
    const frame = decode(list('app', bytes, { compressed }))
    expectTwo(frame)
    expect(frame.mislabelled).toBe(false)
  })

  it.each(['entries-level1.zst', 'entries-level19.zst', 'entries-no-checksum.zst', 'entries-fast.zst'])(
    'zstd: %s',
    (name) => {
      const frame = decode(list('app.auth', zstdFixture(name), { compressed: 'zstd' }))
      expect(frame.entries).toEqual(readAll([recording('forward-integer-time')]).flatMap((each) => each.entries))
      expect(frame.mislabelled).toBe(false)
    },
  )

  it.each([
    ['gzip without a label', gzipSync(two), undefined],
    ['gzip labelled text', gzipSync(two), 'text'],
    ['gzip labelled zstd', gzipSync(two), 'zstd'],
    ['plain labelled gzip', two, 'gzip'],
    ['plain under a label that is no string', two, 7],
  ])('under a wrong label, with a warning: %s', (_, bytes, compressed) => {
    const frame = decode(list('app', bytes, { compressed }))
    if (compressed === undefined) delete frame.option.compressed
    expectTwo(frame)
    expect(frame.mislabelled).toBe(true)
  })
})

describe('a stream', () => {
  it('of several requests in one segment, with keep-alives between them', () => {
    const nil = Buffer.from([0xc0])
    const one = list('app', 5, record)
    expect(readAll([Buffer.concat([nil, one, nil, nil, list('app', two), one])])).toHaveLength(3)
  })

  it('whose keep-alive is a nil', () => {
    expect(decodeForward(encodeMsgpack(null))).toBeUndefined()
  })

  it.each([
    [1, list('app', [[1, record]], { fluent_signal: 1, chunk: 'id' })],
    [1, list('app', gzipSync('no entries'), { fluent_signal: 1, chunk: 'id', compressed: 'gzip' })],
    [2, list('app', Buffer.from('no entries'), { fluent_signal: 2, chunk: 'id' })],
    [2, list('app', [{ no: 'entry' }, 7], { fluent_signal: 2, chunk: 'id' })],
    [1, list('app', 1, record, { fluent_signal: 1, chunk: 'id' })],
  ])('of metrics and traces (signal %i), which are no events and are acknowledged', (signal, bytes) => {
    expect(decode(bytes)).toMatchObject({ entries: [], option: { signal, chunk: Buffer.from('id') } })
  })
})

describe('records', () => {
  const decodeRecord = (bytes: Buffer | string): Record<string, unknown> | undefined =>
    decode(list('app', 5, raw(bytes))).entries[0]?.record

  it.each([
    ['a uint 64 beyond 2^53', '81 a161 cf ffffffffffffffff', { a: 18446744073709551615n }],
    ['an int 64 beyond 2^53', '81 a161 d3 8000000000000000', { a: -9223372036854775808n }],
    ['a uint 64 up to 2^53 - 1', '81 a161 cf 001fffffffffffff', { a: Number.MAX_SAFE_INTEGER }],
    ['an int 64 of small value', '81 a161 d3 ffffffffffffffff', { a: -1 }],
    ['a bin', '81 a161 c4 02 ff00', { a: hex('ff00') }],
    ['NaN', '81 a161 cb 7ff8000000000000', { a: Number.NaN }],
    ['infinities', '82 a161 cb 7ff0000000000000 a162 ca ff800000', { a: Infinity, b: -Infinity }],
    ['invalid UTF-8', '81 a1ff a3 61ff62', { '\ufffd': 'a\ufffdb' }],
    ['duplicate keys: the last wins', '82 a161 01 a161 02', { a: 2 }],
    ['constructor as a key', '81 ab 636f6e7374727563746f72 01', { constructor: 1 }],
    [
      'an integer as a key',
      '83 01 02 ff 03 cf ffffffffffffffff 04',
      Object.fromEntries([
        ['1', 2],
        ['-1', 3],
        ['18446744073709551615', 4],
      ]),
    ],
    [
      'nil, booleans and floats as keys',
      '84 c0 01 c2 02 c3 03 cb 3ff8000000000000 04',
      { null: 1, false: 2, true: 3, 1.5: 4 },
    ],
    [
      'bin and lists as keys',
      '82 c4 02 6869 01 92 01 cf ffffffffffffffff 02',
      { hi: 1, '[1,18446744073709551615]': 2 },
    ],
    ['a map of 16 bits', 'de 0001 a161 de 0000', { a: {} }],
  ])('with %s', (_, bytes, expected) => {
    expect(decodeRecord(bytes)).toStrictEqual(expected)
  })

  it('with __proto__ as a key like any other', () => {
    const found = decodeRecord('82 a9 5f5f70726f746f5f5f 81 a161 01 a162 02') ?? {}
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
    expect(Object.keys(found)).toEqual(['__proto__', 'b'])
    expect(Object.getOwnPropertyDescriptor(found, '__proto__')).toMatchObject({ value: { a: 1 }, writable: true })
    expect('a' in found).toBe(false)
  })

  it('whose values do not change when the bytes on the wire are used again', () => {
    const bytes = list('app', 5, raw('82 a161 c4 02 aabb a162 a2 6869'), { chunk: 'id' })
    const frame = decode(bytes)
    bytes.fill(0)
    expect(frame.entries[0]?.record).toEqual({ a: hex('aabb'), b: 'hi' })
    expect(frame.option.chunk).toEqual(Buffer.from('id'))
  })
})

it('a tag may be long, hold slashes and any letters', () => {
  for (const tag of ['a', 'a'.repeat(1024), '../../etc/passwd', 'é日本', 'a b']) {
    expect(decode(list(tag, [[1, record]])).entries[0]?.tag).toBe(tag)
  }
  expect(raw('c0')).toBeInstanceOf(Raw)
})
