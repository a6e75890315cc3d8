// "Must refuse" of the protocol's reference, as far as bytes are concerned: one test a line.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { decodeForward } from '../../src/protocol/forward.ts'
import { decodeJsonForward } from '../../src/protocol/json-frames.ts'
import { hex, list, raw, readAll, zstdFixture } from './traffic.ts'

/** The code of the error that bytes are refused with; `waits` if the reader wants more, `taken` if it is content. */
function refusal(bytes: Buffer): string {
  try {
    return readAll([bytes]).length > 0 ? 'taken' : 'waits'
  } catch (error) {
    if (error instanceof ProtocolError) return error.code
    throw error
  }
}

const record = { log: 'hello' }
const entry = list(1700000000, record)
const tag = 'a3 617070'

describe('sizes that are declared', () => {
  it.each([
    ['array32 of 2^32-1', `92 ${tag} dd ffffffff`],
    ['map32 of 2^32-1', `93 ${tag} 05 df ffffffff`],
    ['str32 of 4 GiB', `93 ${tag} 05 81 a161 db ffffffff`],
    ['bin32 of 4 GiB', `92 ${tag} c6 ffffffff`],
    ['ext32 of 4 GiB', `93 ${tag} 05 81 a161 c9 ffffffff 00`],
    ['array32 of 2^32-1 as the whole', 'dd ffffffff'],
    ['bin32 of one byte more than is left', `92 ${tag} c6 01000000`],
    ['map32 of more pairs than bytes could hold', `93 ${tag} 05 df 00800001`],
  ])('%s is refused at its header', (_, bytes) => {
    expect(refusal(hex(bytes))).toMatch(/^(too_large|bad_ext)$/)
  })

  it('a bin of as many bytes as are allowed is waited for, without memory being spent', () => {
    const before = process.memoryUsage().arrayBuffers
    expect(refusal(hex(`92 ${tag} c6 00fffff6`))).toBe('waits')
    expect(refusal(hex(`92 ${tag} c6 00fffff7`))).toBe('too_large')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  })

  it('lists in lists that hold more than fits, each of them small enough by itself', () => {
    expect(refusal(Buffer.alloc(500, hex('dd 00100000')))).toBe('too_large')
  })

  it('many small values, which would take far more memory than bytes', () => {
    const many = Buffer.alloc(5_000_000, 0x80)
    expect(refusal(Buffer.concat([hex(`93 ${tag} 05 81 a161 dd 004c4b40`), many]))).toBe('too_large')
    expect(refusal(list('app', Buffer.alloc(700_000 * 6, hex('92 05 81 a1 61 80'))))).toBe('taken')
    expect(refusal(list('app', Buffer.alloc(1_500_000 * 6, hex('92 05 81 a1 61 80'))))).toBe('too_large')
  })
})

describe('nesting', () => {
  it.each([
    ['lists', 0x91],
    ['maps', 0x81],
  ])('%s 100,000 deep', (_, byte) => {
    expect(refusal(Buffer.concat([hex(`93 ${tag} 05 81 a161`), Buffer.alloc(100_000, byte)]))).toBe('too_deep')
    expect(refusal(list('app', Buffer.concat([hex('92 05 81 a161'), Buffer.alloc(100_000, byte)])))).toBe('too_deep')
  })

  it('one level more than allowed', () => {
    // Two levels are the request's and the record's own.
    const nested = (levels: number): Buffer =>
      Buffer.concat([hex(`93 ${tag} 05 81 a161`), Buffer.alloc(levels, 0x91), hex('05')])
    expect(refusal(nested(62))).toBe('taken')
    expect(refusal(nested(63))).toBe('too_deep')
  })
})

describe('compression', () => {
  const crc = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes)
    copy.writeUInt8(copy.readUInt8(copy.length - 6) ^ 1, copy.length - 6)
    return copy
  }
  const bomb = gzipSync(Buffer.alloc(100_000_000))
  it.each([
    ['a gzip bomb of 1:1000', bomb, 'bomb'],
    ['a gzip bomb in the second member', Buffer.concat([gzipSync(entry), bomb]), 'bomb'],
    ['a zstd bomb', zstdFixture('zeros-100000000.zst'), 'bomb'],
    ['a zstd bomb of many small frames', Buffer.alloc(31 * 300, zstdFixture('zeros-300000.zst')), 'bomb'],
    ['zstd with a giant window', hex('28b52ffd 00 f8 010000'), 'bad_compression'],
    ['zstd with a giant content size', hex('28b52ffd e0 ffffffffffffffff 010000'), 'bomb'],
    ['a bad CRC', crc(gzipSync(entry)), 'bad_compression'],
    ['a bad CRC in the second member', Buffer.concat([gzipSync(entry), crc(gzipSync(entry))]), 'bad_compression'],
    ['a bad zstd checksum', damage(zstdFixture('entries-level1.zst'), -1), 'bad_compression'],
    ['gzip cut short', gzipSync(entry).subarray(0, -4), 'truncated'],
    ['a second member cut short', Buffer.concat([gzipSync(entry), gzipSync(entry).subarray(0, 12)]), 'truncated'],
    ['zstd cut short', zstdFixture('entries-level1.zst').subarray(0, -1), 'truncated'],
    ['garbage after gzip', Buffer.concat([gzipSync(entry), Buffer.from('garbage')]), 'bad_compression'],
    ['garbage after zstd', Buffer.concat([zstdFixture('entries-level1.zst'), Buffer.from('garbage')]), 'garbage'],
    ['text under the label gzip', Buffer.from('hello'), 'bad_entry'],
    ['half an entry inside', gzipSync(entry.subarray(0, -1)), 'truncated'],
  ])('%s', (_, bytes, code) => {
    expect(refusal(list('app', bytes, { compressed: 'gzip' }))).toBe(code)
  })

  it('a zstd block whose matches would take minutes to write over its end', () => {
    // Sequences of 65,539 bytes each from tables of one symbol: 98,047 of them in nine bytes.
    const block = hex('4d0000 00 ffffff 54 000034 01')
    const start = performance.now()
    expect(refusal(list('app', Buffer.concat([hex('28b52ffd 00 38'), block])))).toBe('bad_compression')
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('requests', () => {
  it.each([
    ['a tag that is a bin', list(Buffer.from('app'), [[1, record]]), 'bad_tag'],
    ['a tag that is a number', list(7, [[1, record]]), 'bad_tag'],
    ['a tag that is nil', list(null, [[1, record]]), 'bad_tag'],
    ['an empty tag', list('', [[1, record]]), 'bad_tag'],
    ['a tag with a newline', list('app\n', [[1, record]]), 'bad_tag'],
    ['a tag with a NUL', list('app\0', [[1, record]]), 'bad_tag'],
    ['a tag with a C1 control character', list('app\u0085', [[1, record]]), 'bad_tag'],
    ['a tag of 1025 bytes', list('a'.repeat(1025), [[1, record]]), 'bad_tag'],
    ['a tag of 1026 bytes in 513 letters', list('é'.repeat(513), [[1, record]]), 'bad_tag'],
    ['a chunk that is a number', list('app', [[1, record]], { chunk: 7 }), 'bad_chunk'],
    ['a chunk that is a bin', list('app', [[1, record]], { chunk: Buffer.from('id') }), 'bad_chunk'],
    ['a chunk that is nil', list('app', [[1, record]], { chunk: null }), 'bad_chunk'],
    ['a chunk of 1025 bytes', list('app', [[1, record]], { chunk: 'a'.repeat(1025) }), 'bad_chunk'],
    ['an option that is a list', list('app', [[1, record]], []), 'bad_option'],
    ['an option that is a string', list('app', entry, 'gzip'), 'bad_option'],
    ['an option that is a number', list('app', 1, record, 7), 'bad_option'],
    ['garbage after the entries', list('app', Buffer.concat([entry, hex('05')])), 'bad_entry'],
    ['a byte that is no MessagePack', list('app', Buffer.concat([entry, hex('c1')])), 'bad_type'],
    ['half an entry at the end', list('app', Buffer.concat([entry, entry.subarray(0, 5)])), 'truncated'],
    ['ext of another type', list('app', 5, raw('81 a161 d4 05 00')), 'bad_ext'],
    ['ext 8 of another type', list('app', 5, raw('81 a161 c7 08 01 0000000000000000')), 'bad_ext'],
    ['ext of type 0 and another length', list('app', raw('c7 04 00 00000000'), record), 'bad_ext'],
    ['ext of another type in packed entries', list('app', list(5, raw('81 a161 d6 01 00000000'))), 'bad_ext'],
    ['a record that is a list', list('app', [[1, [record]]]), 'bad_entry'],
    ['a record that is a string', list('app', 1, 'hello'), 'bad_entry'],
    ['an entry without a record', list('app', [[1]]), 'bad_entry'],
    ['an entry of three', list('app', [[1, record, 3]]), 'bad_entry'],
    ['an entry that is a map', list('app', [record]), 'bad_entry'],
    ['an entry whose metadata is no map', list('app', [[[1, 2], record]]), 'bad_entry'],
    ['an entry whose head is a time alone', list('app', [[[1], record]]), 'bad_entry'],
    ['a time that is a string', list('app', [['1', record]]), 'bad_time'],
    ['a time that is NaN', list('app', [[Number.NaN, record]]), 'bad_time'],
    ['a time beyond all dates', list('app', [[2n ** 63n, record]]), 'bad_time'],
    ['a float time beyond all dates', list('app', [[1e300, record]]), 'bad_time'],
    ['a bad entry after good ones', list('app', [[1, record], [2, record], [3]]), 'bad_entry'],
    ['a request without a record', list('app', 1), 'bad_frame'],
    ['a request of a tag alone', list('app'), 'bad_frame'],
    ['a request of five values', list('app', 1, record, null, null), 'bad_frame'],
    ['a Forward request of four values', list('app', [[1, record]], null, null), 'bad_frame'],
    ['a request that is a map', Buffer.from([0x80]), 'bad_frame'],
    ['TLS on the plain port', hex('16 03 01 02 00 01 00'), 'bad_frame'],
    ['HTTP on the plain port', Buffer.from('GET / HTTP/1.1\r\n'), 'bad_frame'],
    ['the byte c1', Buffer.from([0xc1]), 'bad_type'],
  ])('%s', (_, bytes, code) => {
    expect(refusal(bytes)).toBe(code)
  })

  it('a frame cut by FIN gives nothing at all', () => {
    const bytes = list('app', [
      [1, record],
      [2, record],
    ])
    for (let length = 0; length < bytes.length; length++) expect(refusal(bytes.subarray(0, length))).toBe('waits')
    expect(refusal(bytes)).toBe('taken')
  })
})

function damage(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const index = (at + copy.length) % copy.length
  copy.writeUInt8(copy.readUInt8(index) ^ 0xff, index)
  return copy
}

describe('a tag longer than the caller allows', () => {
  it.each([
    ['in MessagePack', decodeForward, list('app', [])],
    ['in JSON', decodeJsonForward, Buffer.from('["app", []]')],
  ])('%s', (_, decode, bytes) => {
    expect(decode(bytes, { maxTag: 3 })?.tag).toBe('app')
    expect(() => decode(bytes, { maxTag: 2 })).toThrow(
      expect.objectContaining({ code: 'bad_tag', message: 'The tag is longer than 2 bytes' }),
    )
  })
})
