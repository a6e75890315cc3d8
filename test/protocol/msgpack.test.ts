// The reader and the writer of MessagePack against two others that share no code with them, on random documents.
import * as reference from '@msgpack/msgpack'
import fc from 'fast-check'
import * as lite from 'msgpack-lite'
import { describe, expect, it } from 'vitest'
import { EventTime } from '../../src/protocol/event-time.ts'
import { decodeMsgpack } from '../../src/protocol/msgpack-decoder.ts'
import { MsgpackScanner } from '../../src/protocol/msgpack-scanner.ts'
import { encodeMsgpack, MsgpackWriter } from '../../src/protocol/msgpack-writer.ts'
import { hex } from './traffic.ts'

/** msgpack-lite lets a `__proto__` key replace the prototype, and -0 is 0 for the writer. */
const key = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => text !== '__proto__')
const number = fc
  .oneof(fc.integer(), fc.maxSafeInteger(), fc.double(), fc.integer({ min: -300, max: 70_000 }))
  .map((value) => (value === 0 ? 0 : value))
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), number, fc.string({ unit: 'grapheme', maxLength: 300 })),
    fc.array(tie('document'), { maxLength: 20 }),
    fc.dictionary(key, tie('document'), { maxKeys: 20, noNullPrototype: true }),
  ),
}))

describe('random documents', () => {
  it('come back from the writer as they were', () => {
    fc.assert(
      fc.property(document, (value) => {
        expect(decodeMsgpack(encodeMsgpack(value))).toStrictEqual(value)
      }),
    )
  })

  it('of @msgpack/msgpack and msgpack-lite are read as they were written', () => {
    fc.assert(
      fc.property(document, (value) => {
        expect(decodeMsgpack(Buffer.from(reference.encode(value)))).toStrictEqual(value)
        expect(decodeMsgpack(lite.encode(value))).toStrictEqual(value)
      }),
    )
  })

  it('are read by @msgpack/msgpack and msgpack-lite as they were', () => {
    fc.assert(
      fc.property(document, (value) => {
        const bytes = encodeMsgpack(value)
        expect(reference.decode(bytes)).toStrictEqual(value)
        expect(lite.decode(bytes)).toStrictEqual(value)
      }),
    )
  })

  it('are found complete at their last byte and not before, however they are cut', () => {
    fc.assert(
      fc.property(document, fc.nat(), (value, at) => {
        const bytes = encodeMsgpack(value)
        const cut = at % bytes.length
        const scanner = new MsgpackScanner()
        expect(scanner.scan(bytes, 0, cut)).toBe(-1)
        expect(scanner.scan(bytes, 0, bytes.length)).toBe(bytes.length)
      }),
    )
  })
})

describe('random bytes', () => {
  it('are read as @msgpack/msgpack reads them, wherever both do', () => {
    const decoder = new reference.Decoder({ useBigInt64: true, mapKeyConverter: String, rawStrings: false })
    let taken = 0
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 24 }), (array) => {
        const bytes = Buffer.from(array)
        let mine: unknown
        try {
          mine = decodeMsgpack(bytes)
        } catch {
          return
        }
        taken++
        // What it cannot compare: its own timestamps, 64-bit integers always as BigInt, keys that are no strings.
        if (array.some((byte) => (byte >= 0xc4 && byte <= 0xc9) || byte === 0xcf || byte >= 0xd3)) return
        let theirs: unknown
        try {
          theirs = decoder.decode(bytes)
        } catch {
          return
        }
        // Its own UTF-8 decoder lets invalid bytes through.
        const text = JSON.stringify(mine)
        if (!text.includes('\ufffd')) expect(text).toBe(JSON.stringify(theirs))
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(100)
  })
})

describe('values of one form', () => {
  it.each([
    ['00', 0],
    ['7f', 127],
    ['cc80', 128],
    ['ccff', 255],
    ['cd0100', 256],
    ['cdffff', 65535],
    ['ce00010000', 65536],
    ['ceffffffff', 4294967295],
    ['cf0000000100000000', 4294967296],
    ['cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['cf0020000000000001', 9007199254740993n],
    ['cfffffffffffffffff', 2n ** 64n - 1n],
    ['ff', -1],
    ['e0', -32],
    ['d0df', -33],
    ['d080', -128],
    ['d1ff7f', -129],
    ['d18000', -32768],
    ['d2ffff7fff', -32769],
    ['d280000000', -2147483648],
    ['d3ffffffff7fffffff', -2147483649],
    ['d3ffe0000000000001', -Number.MAX_SAFE_INTEGER],
    ['d38000000000000000', -(2n ** 63n)],
    ['cb3ff8000000000000', 1.5],
    ['cb7ff0000000000000', Infinity],
    ['c403010203', hex('010203')],
    ['d70065536f0000000001', new EventTime(0x65536f00, 1)],
  ])('%s is written for, and read as, its value', (bytes, value) => {
    expect(encodeMsgpack(value).toString('hex')).toBe(bytes)
    expect(decodeMsgpack(hex(bytes))).toStrictEqual(value)
  })

  it.each([31, 32, 255, 256, 65535, 65536])('texts and bytes of length %i have the header that fits', (length) => {
    for (const value of ['a'.repeat(length), 'é'.repeat(length), Buffer.alloc(length, 7)]) {
      expect(decodeMsgpack(encodeMsgpack(value))).toStrictEqual(value)
      expect(decodeMsgpack(Buffer.from(reference.encode(value)))).toStrictEqual(value)
    }
  })

  it.each([15, 16, 65535, 65536])('lists and maps of %i have the header that fits', (length) => {
    const list = new Array(length).fill(7)
    const map = Object.fromEntries(list.map((value, index) => [`k${index}`, value]))
    expect(encodeMsgpack(list).equals(reference.encode(list))).toBe(true)
    expect(encodeMsgpack(map).equals(reference.encode(map))).toBe(true)
    expect(decodeMsgpack(encodeMsgpack([list, map]))).toStrictEqual([list, map])
  })

  it('short texts that differ in one letter never stand for each other', () => {
    for (let i = 0; i < 20_000; i++) {
      const text = `k${(i * 2654435761) % 99991}`
      expect(decodeMsgpack(encodeMsgpack(text))).toBe(text)
    }
  })

  it.each([
    ['an integer of 65 bits', 2n ** 64n],
    ['a negative integer of 65 bits', -(2n ** 63n) - 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
  ])('%s cannot be written', (_, value) => {
    expect(() => encodeMsgpack({ value })).toThrow(expect.objectContaining({ code: 'unwritable' }))
  })

  it('a value that holds itself cannot be written', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(() => encodeMsgpack(loop)).toThrow(expect.objectContaining({ code: 'unwritable' }))
  })

  it('undefined is nil, a date its JSON text, a lone surrogate a replacement character, __proto__ a key', () => {
    const record: unknown = JSON.parse('{"__proto__":{"a":1}}')
    expect(decodeMsgpack(encodeMsgpack([undefined, new Date(0), 'a\ud800']))).toEqual([
      null,
      '1970-01-01T00:00:00.000Z',
      'a\ufffd',
    ])
    expect(Object.keys(Object(decodeMsgpack(encodeMsgpack(record))))).toEqual(['__proto__'])
  })
})

describe('the writer', () => {
  it('takes back what cannot be written to its end', () => {
    const writer = new MsgpackWriter(16, 2).value({ a: 1 })
    const { length } = writer
    expect(() => writer.value([[[[]]]])).toThrow('deeper than 2 levels')
    writer.truncate(length)
    writer.truncate(1000)
    expect(decodeMsgpack(writer.take())).toEqual({ a: 1 })
    expect(decodeMsgpack(writer.value([[[]]]).take())).toEqual([[[]]])
  })
})

describe('EventTime', () => {
  it.each([
    [1700000000.25, 1700000000, 250_000_000],
    [1.9999999999, 2, 0],
    [0, 0, 0],
    [-5, 0, 0],
    [Number.NaN, 0, 0],
    [1e12, 0xfffffffd, 999_999_999],
  ])('of %d seconds', (timestamp, seconds, nanoseconds) => {
    expect(EventTime.from(timestamp)).toEqual(new EventTime(seconds, nanoseconds))
  })

  it('is a number in JSON', () => {
    expect(JSON.stringify({ t: new EventTime(5, 500_000_000) })).toBe('{"t":5.5}')
  })
})
