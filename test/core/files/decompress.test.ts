import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Compression, compressionOf, decompressor } from '../../../src/core/files/decompress.ts'

async function decode(kind: Compression, file: Buffer, chunk: number) {
  const decoder = decompressor(kind)
  const result = { text: '', length: 0, largest: 0 }
  const drain = async () => {
    for (let piece = await decoder.next(); piece !== undefined; piece = await decoder.next()) {
      if (result.length < 1000) result.text += piece.toString()
      result.length += piece.length
      result.largest = Math.max(result.largest, piece.length)
    }
  }
  for (let at = 0; at < file.length; at += chunk) {
    decoder.feed(file.subarray(at, at + chunk))
    await drain()
  }
  decoder.end()
  await drain().finally(() => decoder.close())
  return result
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const magic = u32(0xfd2fb528)
/** A block of `count` times the same byte. */
const rle = (byte: string, count: number, last: boolean) =>
  Buffer.concat([u32((count << 3) | 2 | (last ? 1 : 0)).subarray(0, 3), Buffer.from(byte)])
const raw = (text: string, last: boolean) =>
  Buffer.concat([u32((text.length << 3) | (last ? 1 : 0)).subarray(0, 3), Buffer.from(text)])
/** A frame with a window of 1 MiB and no checksum. */
const frame = (...blocks: Buffer[]) => Buffer.concat([magic, Buffer.from([0, 10 << 3]), ...blocks])
/** `hello zstd\n` as the zstd command writes it, with checksum. */
const fromCommand = Buffer.from('KLUv/QRYWQAAaGVsbG8genN0ZApsV/lR', 'base64')
const skippable = Buffer.concat([u32(0x184d2a57), u32(5), Buffer.from('abcde')])

describe('decompressor', () => {
  it.each<[string, Compression, Buffer, string]>([
    ['a gzip member', 'gzip', gzipSync('one\n'), 'one\n'],
    ['three gzip members', 'gzip', Buffer.concat([gzipSync('a'), gzipSync(''), gzipSync('b\n')]), 'ab\n'],
    ['gzip with other bytes behind it', 'gzip', Buffer.concat([gzipSync('a\n'), Buffer.alloc(20)]), 'a\n'],
    ['an empty gzip file', 'gzip', Buffer.alloc(0), ''],
    ['a Zstandard frame', 'zstd', frame(raw('hello ', false), rle('x', 3, true)), 'hello xxx'],
    [
      'several frames and a skippable one',
      'zstd',
      Buffer.concat([frame(raw('a', true)), skippable, frame(raw('b', true))]),
      'ab',
    ],
    ['an empty frame', 'zstd', frame(raw('', true)), ''],
    ['an empty zstd file', 'zstd', Buffer.alloc(0), ''],
  ])('decodes %s, however it is cut', async (_name, kind, file, text) => {
    for (const chunk of [1, 2, 3, 7, 1000]) expect((await decode(kind, file, chunk)).text, `${chunk}`).toBe(text)
  })

  it.each<[string, Compression, Buffer]>([
    ['a cut gzip file', 'gzip', gzipSync('one\n'.repeat(50)).subarray(0, 25)],
    ['what is no gzip', 'gzip', Buffer.from('plain text, not gzip')],
    ['a cut frame', 'zstd', frame(raw('hello', false))],
    ['a checksum that differs', 'zstd', Buffer.concat([fromCommand.subarray(0, -1), Buffer.alloc(1)])],
    ['a frame without its checksum', 'zstd', fromCommand.subarray(0, -4)],
    ['a frame with other bytes behind it', 'zstd', Buffer.concat([fromCommand, Buffer.alloc(20)])],
    ['what is no Zstandard', 'zstd', Buffer.from('plain text, not zstd')],
    ['a block that does not exist', 'zstd', frame(Buffer.from([7, 0, 0, 0]))],
    ['a window of 1 TiB', 'zstd', Buffer.concat([magic, Buffer.from([0, 30 << 3]), raw('a', true)])],
    [
      'a single segment of 2^60 bytes',
      'zstd',
      Buffer.concat([magic, Buffer.from([0xe0, 0, 0, 0, 0, 0, 0, 0, 16]), raw('a', true)]),
    ],
  ])('refuses %s as damaged', async (_name, kind, file) => {
    await expect(decode(kind, file, 1000)).rejects.toMatchObject({ code: 'FILE_DAMAGED', retriable: false })
  })

  it.each<[Compression, Buffer]>([
    ['gzip', gzipSync(Buffer.alloc(64 * 1024 * 1024))],
    ['zstd', frame(...Array.from({ length: 512 }, (_, i) => rle('\0', 128 * 1024, i === 511)))],
  ])('hands on a %s file of 64 MiB in small pieces, fed in one go', async (kind, file) => {
    const { length, largest } = await decode(kind, file, file.length)
    expect(length).toBe(64 * 1024 * 1024)
    expect(largest).toBeLessThanOrEqual(512 * 1024)
  })

  it.each([
    ['a.gz', 'gzip'],
    ['a.log.zst', 'zstd'],
    ['a.log', undefined],
    ['gz', undefined],
  ])('takes %s as %s', (path, kind) => {
    expect(compressionOf(path)).toBe(kind)
  })

  it('hands on what stands before a checksum that differs', async () => {
    const decoder = decompressor('zstd')
    decoder.feed(Buffer.concat([fromCommand, fromCommand.subarray(0, -1), Buffer.alloc(1)]))
    decoder.end()
    expect((await decoder.next())?.toString()).toBe('hello zstd\n')
    expect((await decoder.next())?.toString()).toBe('hello zstd\n')
    await expect(decoder.next()).rejects.toMatchObject({ code: 'FILE_DAMAGED', cause: { code: 'bad_compression' } })
  })

  it('decodes what the zstd command wrote', async () => {
    expect((await decode('zstd', fromCommand, 4)).text).toBe('hello zstd\n')
  })
})
