// zstd piece by piece: the same bytes and refusals as in one go, however it is cut, in bounded memory and work.
import { execFileSync, spawnSync } from 'node:child_process'
import * as zlib from 'node:zlib'
import fc from 'fast-check'
import * as fzstd from 'fzstd'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { Xxh64, xxh64Low } from '../../src/protocol/xxh64.ts'
import { decompressZstd } from '../../src/protocol/zstd.ts'
import { frameState, readBlock, readBlockHeader } from '../../src/protocol/zstd-frame.ts'
import { Output } from '../../src/protocol/zstd-output.ts'
import { ZstdStream } from '../../src/protocol/zstd-stream.ts'
import { hex, seeded, zstdFixture } from './traffic.ts'

const blockLimit = 128 * 1024
const skippable = hex('5a2a4d18 03000000 aabbcc')
const hello = Buffer.from('KLUv/QRYWQAAaGVsbG8genN0ZApsV/lR', 'base64')

/** Everything in `file`, fed in pieces that end at `cuts` and at the end. */
function decode(file: Buffer, cuts: readonly number[], stream = new ZstdStream()): Buffer {
  const pieces: Buffer[] = []
  let at = 0
  for (const cut of [...cuts, file.length]) {
    // Overwritten afterwards, as a file's reader does with its buffer.
    const fed = Buffer.from(file.subarray(at, cut))
    stream.push(fed)
    fed.fill(0xee)
    at = cut
    for (let piece = stream.next(); piece !== undefined; piece = stream.next()) {
      if (piece.length === 0 || piece.length > blockLimit) throw new Error(`a piece of ${piece.length} bytes`)
      pieces.push(piece)
    }
  }
  stream.end()
  return Buffer.concat(pieces)
}

/** Cuts every `step` bytes. */
function every(step: number, file: Buffer): number[] {
  return Array.from({ length: Math.floor((file.length - 1) / step) }, (_, i) => (i + 1) * step)
}

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error)
  }
  return 'nothing thrown'
}

const fixtures = ['entries-level1', 'entries-level19', 'entries-fast', 'entries-no-checksum', 'empty', 'zeros-300000']

describe('ZstdStream', () => {
  it('decodes a small frame whichever two places it is cut at', () => {
    const file = Buffer.concat([skippable, hello, skippable, hello])
    for (let first = 0; first <= file.length; first++) {
      for (let second = first; second <= file.length; second++) {
        expect(decode(file, [first, second]).toString(), `${first} ${second}`).toBe('hello zstd\nhello zstd\n')
      }
    }
  })

  it('decodes a frame of sequences and Huffman codes wherever it is cut', () => {
    const file = zstdFixture('entries-level19.zst')
    const plain = zstdFixture('entries.bin')
    for (let cut = 0; cut <= file.length; cut++) expect(decode(file, [cut]).equals(plain), String(cut)).toBe(true)
  })

  it.each([...fixtures, 'words', 'small-window'])('makes of %s what fzstd makes of it', (name) => {
    const file = zstdFixture(`${name}.zst`)
    const plain = fzstd.decompress(file)
    for (const step of [1, 7, 1000, file.length]) expect(decode(file, every(step, file)).equals(plain)).toBe(true)
  })

  it('keeps the window over many blocks: matches across the place where the ring begins anew', () => {
    const file = zstdFixture('small-window.zst')
    expect(frameState(0, 1024).maxBlock).toBe(1024)
    expect(decode(file, [])).toHaveLength(24_000)
    const stream = new ZstdStream(1024)
    expect(decode(file, every(100, file), stream).equals(decompressZstd(file, 2 ** 20))).toBe(true)
  })

  it('gives, for damaged files, what is right or a protocol error, as reading in one go does', () => {
    const random = seeded(11)
    let refused = 0
    for (const name of ['entries-level19', 'entries-no-checksum', 'small-window']) {
      const file = Buffer.from(zstdFixture(`${name}.zst`))
      for (let i = 0; i < 400; i++) {
        const at = Math.floor(random() * file.length)
        const old = file.readUInt8(at)
        file.writeUInt8(old ^ (1 << Math.floor(random() * 8)), at)
        const whole = codeOf(() => decompressZstd(file, 2 ** 26))
        const cuts = every(1 + Math.floor(random() * 200), file)
        if (whole === 'nothing thrown') expect(decode(file, cuts).equals(decompressZstd(file, 2 ** 26))).toBe(true)
        else {
          refused++
          expect(codeOf(() => decode(file, cuts))).toMatch(/^(?:bad_compression|truncated|garbage)$/)
        }
        file.writeUInt8(old, at)
      }
    }
    expect(refused).toBeGreaterThan(600)
  })

  it.each([
    ['a checksum that differs', Buffer.concat([hello.subarray(0, -1), hex('00')]), 'bad_compression'],
    ['a frame without its checksum', hello.subarray(0, -4), 'truncated'],
    ['a frame that is cut', hello.subarray(0, 12), 'truncated'],
    ['a header that is cut', hello.subarray(0, 5), 'truncated'],
    ['a skippable frame that is cut', skippable.subarray(0, -1), 'truncated'],
    ['a magic that is cut', skippable.subarray(0, 3), 'truncated'],
    ['what is no zstd', Buffer.from('plain text'), 'bad_compression'],
    ['what is no frame behind one', Buffer.concat([hello, Buffer.from('plain text')]), 'garbage'],
    ['a dictionary', hex('28b52ffd 01 38 07 010000'), 'bad_compression'],
    ['a reserved bit', hex('28b52ffd 08 38 010000'), 'bad_compression'],
    ['a block without type', hex('28b52ffd 00 38 070000'), 'bad_compression'],
    ['a block larger than the window', hex('28b52ffd 00 00 032800 61'), 'bad_compression'],
    ['less than the content size', hex('28b52ffd 20 05 190000 616263'), 'bad_compression'],
    ['more than the content size', hex('28b52ffd 20 03 180000 616263 190000 616263'), 'bad_compression'],
    ['a window of 3.75 TiB', hex('28b52ffd 00 ff 010000'), 'bad_compression'],
    ['a single segment of 2^60 bytes', hex('28b52ffd e0 0000000000000010 010000'), 'bad_compression'],
  ])('refuses %s, and goes on refusing', (_name, file, code) => {
    for (const step of [1, file.length]) {
      const stream = new ZstdStream()
      expect(codeOf(() => decode(file, every(step, file), stream))).toBe(code)
      if (code === 'truncated') continue
      stream.push(hello)
      expect(codeOf(() => stream.next())).toBe(code)
      expect(codeOf(() => stream.end())).toBe(code)
    }
  })

  it('gives the last block before it refuses the checksum', () => {
    const stream = new ZstdStream()
    stream.push(Buffer.concat([hello.subarray(0, -1), hex('00')]))
    expect(stream.next()?.toString()).toBe('hello zstd\n')
    expect(codeOf(() => stream.next())).toBe('bad_compression')
  })

  it.each([
    [hex('28b52ffd 00 08 010000'), 2048],
    [hex('28b52ffd 00 0f 010000'), 3840],
    [hex('28b52ffd 60 0000 030800 61'), 256],
  ])('takes a window of exactly the limit (%#)', (file, window) => {
    expect(codeOf(() => decode(file, [], new ZstdStream(window)))).toBe('nothing thrown')
    expect(codeOf(() => decode(file, [], new ZstdStream(window - 1)))).toBe('bad_compression')
  })
})

describe('limits of ZstdStream', () => {
  /** Counts the bytes that are allocated for windows and input. */
  function countAllocated(): () => number {
    const spy = vi.spyOn(Buffer, 'allocUnsafe')
    onTestFinished(() => spy.mockRestore())
    return () => spy.mock.calls.reduce((sum, [size]) => sum + size, 0)
  }

  it('unpacks 100 MB from 3 KB with the memory of one window', () => {
    const file = zstdFixture('zeros-100000000.zst')
    const allocated = countAllocated()
    const stream = new ZstdStream()
    stream.push(file)
    let length = 0
    for (let piece = stream.next(); piece !== undefined; piece = stream.next()) {
      expect(piece.length).toBeLessThanOrEqual(blockLimit)
      length += piece.length
    }
    expect(length).toBe(100_000_000)
    // A window of 2 MiB and a block, and the smaller ones that it grew from.
    expect(allocated()).toBeLessThan(2 * (2 * 1024 * 1024 + blockLimit))
  })

  it('allocates no window that is only declared, and one buffer for many frames', () => {
    const allocated = countAllocated()
    const stream = new ZstdStream()
    // Windows of 128 MiB, one block of one byte each.
    const frame = hex('28b52ffd 00 88 090000 61')
    const file = Buffer.alloc(frame.length * 5000, frame)
    stream.push(file)
    for (let i = 0; i < 5000; i++) expect(stream.next()?.toString()).toBe('a')
    expect(stream.next()).toBeUndefined()
    expect(allocated()).toBeLessThan(1024 * 1024)
  })

  it('does not keep what was used, nor move all that is held with each byte', () => {
    const content = Buffer.alloc(blockLimit, 'x')
    const block = Buffer.concat([hex('000010'), content])
    const file = Buffer.concat([hex('28b52ffd 00 38'), ...Array.from({ length: 20 }, () => block), hex('010000')])
    const copies = vi.spyOn(Buffer.prototype, 'copy')
    onTestFinished(() => copies.mockRestore())
    const allocated = countAllocated()
    const stream = new ZstdStream()
    let length = 0
    for (let at = 0; at < file.length; at += 64) {
      stream.push(file.subarray(at, at + 64))
      for (let piece = stream.next(); piece !== undefined; piece = stream.next()) length += piece.length
    }
    expect(length).toBe(20 * blockLimit)
    expect(copies.mock.calls.length).toBeLessThan(200)
    expect(allocated()).toBeLessThan(1024 * 1024)
  })

  it.each([
    // Literals; how many sequences; 54: one symbol for each table; those of literals, offset and match; the bits.
    ['98,047 matches from no bits', '00 ffffff 54 00 00 34 01', 'sequences do not end', 1],
    ['a match that is longer than a block', '2961 03 54 01 00 34 ffffffffffff 01', 'larger than allowed', 1],
    ['matches that outgrow a block together', '2961 03 54 01 00 34 000000000000 01', 'larger than allowed', 2],
    ['98,047 matches of one literal and 34 bytes', '0d d2d65f 61 ffffff 54 01 00 1f 01', 'larger than allowed', 3745],
    ['an offset beyond the window', '0861 01 54 01 11 19 ffff03', 'beyond the window', 1],
    ['an offset before the first byte', '0861 01 54 01 04 00 0f01', 'before the beginning', 1],
  ])('refuses %s after a few reads', (_name, block, reason, sequences) => {
    const content = hex(block)
    const header = Buffer.alloc(3)
    header.writeUIntLE((content.length << 3) | 5, 0, 3)
    const file = Buffer.concat([hex('28b52ffd 00 38'), header, content])
    let reads = 0
    const counted = new Proxy(content, {
      get(target, key) {
        reads++
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const state = frameState(0, blockLimit)
    const output = new Output(2 * blockLimit)
    const blockHeader = readBlockHeader(header, 0, state)
    expect(() => readBlock(counted, 0, blockHeader, state, output)).toThrow(reason)
    // Each sequence reads at most seven words of four bytes, and so do the sections around them.
    expect(reads).toBeLessThan(30 * (sequences + 1))
    expect(output.buffer.length).toBeLessThanOrEqual(2 * blockLimit)
    expect(codeOf(() => decode(file, []))).toBe('bad_compression')
    expect(codeOf(() => decompressZstd(file, 2 ** 26))).toBe('bad_compression')
  })
})

describe('against other compressors', () => {
  const hasCommand = spawnSync('zstd', ['--version']).status === 0
  const random = seeded(5)
  const lines = Array.from({ length: 9000 }, (_, i) => `${i % 700} ${Math.floor(random() * 50)} GET /a/${i % 37}\n`)
  const noise = Array.from({ length: 50_000 }, () => Math.floor(random() * 256))
  const plain = Buffer.concat([Buffer.from(lines.join('')), Buffer.from(noise), Buffer.from(lines.join(''))])

  it
    .skipIf(!hasCommand)
    .each([
      ['-1'],
      ['-3'],
      ['-9'],
      ['-19'],
      ['--ultra', '-22'],
      ['--fast=5'],
      ['--long=27'],
      ['--no-check', '--no-content-size'],
      ['-19', '--zstd=wlog=10'],
      ['-5', '--zstd=wlog=13'],
      ['-12', '--zstd=wlog=17'],
      ['-1', '--zstd=wlog=18'],
    ])('decodes what the command zstd makes with %s %s', (...options) => {
    const flags = options.filter((option) => typeof option === 'string')
    const file = execFileSync('zstd', ['-q', '-c', ...flags], { input: plain })
    expect(decode(file, every(1009, file)).equals(plain)).toBe(true)
    expect(decompressZstd(file, plain.length).equals(plain)).toBe(true)
  })

  const zstdCompressSync: unknown = Reflect.get(zlib, 'zstdCompressSync')
  it.skipIf(typeof zstdCompressSync !== 'function')('decodes what the zstd of node:zlib makes', () => {
    if (typeof zstdCompressSync !== 'function') return
    const file: Buffer = zstdCompressSync(plain)
    expect(decode(file, every(1009, file)).equals(plain)).toBe(true)
  })
})

it('the hash of pieces is that of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 5 }), (content, cuts) => {
      const bytes = Buffer.from(content)
      const hash = new Xxh64()
      let at = 0
      for (const cut of [...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length]) {
        hash.update(bytes, at, cut)
        at = cut
      }
      expect(hash.low()).toBe(xxh64Low(bytes, 0, bytes.length))
    }),
  )
})
