// Decompression: equal to what zstd and zlib made, bounded by size and ratio, and never a wrong byte taken for good.
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import * as fzstd from 'fzstd'
import { describe, expect, it } from 'vitest'
import { compressionOf, decompress } from '../../src/protocol/compression.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { xxh64Low } from '../../src/protocol/xxh64.ts'
import { seeded, zstdFixture } from './traffic.ts'

const names = [
  'entries-level1',
  'entries-level19',
  'entries-fast',
  'entries-no-checksum',
  'words',
  'zeros-300000',
  'empty',
]

/** A frame of blocks that are stored or repeat a byte: enough to make any content without a compressor. */
function zstdFrame(content: Buffer, hasChecksum: boolean): Buffer {
  const block = Buffer.alloc(3)
  block.writeUIntLE((content.length << 3) | 1, 0, 3)
  const checksum = Buffer.alloc(hasChecksum ? 4 : 0)
  if (hasChecksum) checksum.writeUInt32LE(xxh64Low(content, 0, content.length))
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, hasChecksum ? 4 : 0, 0x38]), block, content, checksum])
}

const skippable = Buffer.from('5a2a4d1803000000aabbcc', 'hex')

describe('zstd', () => {
  it.each(names)('%s is what fzstd makes of it', (name) => {
    const bytes = zstdFixture(`${name}.zst`)
    expect(decompress(bytes, 'zstd').equals(fzstd.decompress(bytes))).toBe(true)
  })

  it('the entries are those that were compressed', () => {
    for (const name of names.slice(0, 4)) {
      expect(decompress(zstdFixture(`${name}.zst`), 'zstd').equals(zstdFixture('entries.bin'))).toBe(true)
    }
  })

  it('of several frames, with skippable ones before, between and after', () => {
    const one = zstdFixture('entries-level1.zst')
    const plain = zstdFixture('entries.bin')
    const bytes = Buffer.concat([skippable, one, skippable, one, skippable])
    expect(compressionOf(bytes)).toBe('zstd')
    expect(decompress(bytes, 'zstd').equals(Buffer.concat([plain, plain]))).toBe(true)
  })

  it('cut at any byte is refused', () => {
    const bytes = zstdFixture('entries-level19.zst')
    for (let length = 1; length < bytes.length; length++) {
      expect(() => decompress(bytes.subarray(0, length), 'zstd'), String(length)).toThrow(ProtocolError)
    }
  })

  it('with any bit changed never gives other bytes: the checksum finds it', () => {
    const bytes = Buffer.from(zstdFixture('entries-level19.zst'))
    const plain = zstdFixture('entries.bin')
    let refused = 0
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mask = 1 << (bit & 7)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask
      try {
        // The bit that says there is a checksum is the one that cannot be told; its four bytes are then left over.
        expect(decompress(bytes, 'zstd').equals(plain)).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
        refused++
      }
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask
    }
    expect(refused).toBeGreaterThan(bytes.length * 7)
  })

  it('of random bytes behind a good header is refused or bounded', () => {
    const random = seeded(7)
    for (let i = 0; i < 3000; i++) {
      const body = Buffer.from(Array.from({ length: 40 }, () => Math.floor(random() * 256)))
      body.writeUIntLE((37 << 3) | 5, 0, 3)
      const bytes = Buffer.concat([Buffer.from('28b52ffd0038', 'hex'), body])
      try {
        expect(decompress(bytes, 'zstd').length).toBeLessThan(2 ** 18)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }
  })

  it('checks the checksum of any content', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
        const frame = zstdFrame(Buffer.from(content), true)
        expect(decompress(frame, 'zstd').equals(content)).toBe(true)
        frame.writeUInt8(frame.readUInt8(frame.length - 1) ^ 1, frame.length - 1)
        expect(() => decompress(frame, 'zstd')).toThrow(expect.objectContaining({ code: 'bad_compression' }))
      }),
    )
  })

  it.each([
    ['', 0x51d8e999],
    ['a', 0xa98c6e5b],
    ['abc', 0xad770999],
  ])('the XXH64 of %j is the published one', (text, low) => {
    expect(xxh64Low(Buffer.from(text), 0, text.length)).toBe(low)
  })
})

describe('gzip', () => {
  const [one, two] = [gzipSync('one'), gzipSync('two')]

  it.each([
    ['of one member', [one], 'one'],
    ['of several members', [one, two, one], 'onetwoone'],
    ['with zeros behind it, as tapes and block devices leave them', [one, two, Buffer.alloc(1000)], 'onetwo'],
  ])('%s', (_, parts, text) => {
    expect(decompress(Buffer.concat(parts), 'gzip').toString()).toBe(text)
  })

  it.each([
    ['a member behind a zero', [one, Buffer.alloc(1), two], 'garbage'],
    ['text behind a zero', [one, Buffer.from('\0garbage')], 'garbage'],
    ['text behind a member', [one, Buffer.from('garbage')], 'bad_compression'],
  ])('with %s is refused', (_, parts, code) => {
    expect(() => decompress(Buffer.concat(parts), 'gzip')).toThrow(expect.objectContaining({ code }))
  })
})

describe('limits', () => {
  it('the output may be as large as allowed and not a byte more', () => {
    for (const [bytes, compression] of [
      [gzipSync(Buffer.alloc(300_000)), 'gzip'],
      [zstdFixture('zeros-300000.zst'), 'zstd'],
    ] as const) {
      expect(decompress(bytes, compression, { maxInflatedBytes: 300_000 })).toHaveLength(300_000)
      expect(() => decompress(bytes, compression, { maxInflatedBytes: 299_999 })).toThrow(
        expect.objectContaining({ code: 'bomb' }),
      )
    }
  })

  it('the ratio is free below a MiB and holds beyond it', () => {
    const repeated = (mebibytes: number): Buffer => gzipSync(Buffer.alloc(mebibytes * 2 ** 20))
    expect(decompress(repeated(1), 'gzip')).toHaveLength(2 ** 20)
    expect(() => decompress(repeated(2), 'gzip')).toThrow(expect.objectContaining({ code: 'bomb' }))
    expect(decompress(repeated(2), 'gzip', { maxRatio: 2000 })).toHaveLength(2 ** 21)
  })
})

describe('magic bytes', () => {
  it.each([
    ['1f8b08', 'gzip'],
    ['28b52ffd', 'zstd'],
    ['502a4d18', 'zstd'],
    ['5f2a4d18', 'zstd'],
    ['602a4d18', 'text'],
    ['28b52ffc', 'text'],
    ['1f', 'text'],
    ['', 'text'],
    ['92ce', 'text'],
  ])('%s is %s', (bytes, compression) => {
    expect(compressionOf(Buffer.from(bytes, 'hex'))).toBe(compression)
  })
})
