// The push reader: whole values out of pieces of any size, at a price that is linear in the bytes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeForward } from '../../src/protocol/forward.ts'
import { encodeForward } from '../../src/protocol/forward-writer.ts'
import { decodeMsgpack } from '../../src/protocol/msgpack-decoder.ts'
import { MsgpackScanner, type Scanner } from '../../src/protocol/msgpack-scanner.ts'
import { encodeMsgpack } from '../../src/protocol/msgpack-writer.ts'
import { PushReader } from '../../src/protocol/push-reader.ts'
import { cut, list } from './traffic.ts'

function takeAll(reader: PushReader): Buffer[] {
  const values: Buffer[] = []
  for (let bytes = reader.take(); bytes !== undefined; bytes = reader.take()) values.push(bytes)
  return values
}

describe('a push reader', () => {
  it('gives the values of a stream, whatever its pieces are', () => {
    const value = fc.oneof(fc.string({ maxLength: 3000 }), fc.array(fc.nat(), { maxLength: 50 }), fc.constant(null))
    fc.assert(
      fc.property(fc.array(value, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 5000 })), (values, sizes) => {
        const stream = Buffer.concat(values.map(encodeMsgpack))
        const reader = new PushReader(new MsgpackScanner())
        const found: unknown[] = []
        let at = 0
        for (const size of [...sizes, stream.length]) {
          if (at >= stream.length) break
          reader.push(stream.subarray(at, at + size))
          at += size
          for (const bytes of takeAll(reader)) found.push(decodeMsgpack(bytes))
        }
        expect(found).toEqual(values)
        expect(reader.pending).toBe(0)
      }),
    )
  })

  it('keeps bytes it gave out as they are until more come', () => {
    const reader = new PushReader(new MsgpackScanner())
    const texts = Array.from({ length: 50 }, (_, i) => String(i).repeat(1 + ((i * 37) % 400)))
    const stream = Buffer.concat(texts.map(encodeMsgpack))
    for (const size of [7, 100, 999]) {
      const found: unknown[] = []
      for (const piece of cut(stream, size)) {
        reader.push(piece)
        found.push(...takeAll(reader).map((bytes) => decodeMsgpack(bytes)))
      }
      expect(found).toEqual(texts)
    }
  })

  it('gathers value after value in the same memory', () => {
    const reader = new PushReader(new MsgpackScanner())
    const buffers = new Set<ArrayBufferLike>()
    const value = encodeMsgpack('x'.repeat(100_000))
    // Each piece ends within the next value.
    for (const piece of cut(Buffer.concat(Array<Buffer>(50).fill(value)), 30_001)) {
      reader.push(piece)
      for (const bytes of takeAll(reader)) buffers.add(bytes.buffer)
    }
    expect(buffers.size).toBeLessThan(5)
  })

  it('knows how many bytes wait, and hands over the rest', () => {
    const reader = new PushReader(new MsgpackScanner())
    const value = encodeMsgpack(['a', 'b'])
    reader.push(Buffer.concat([value, value.subarray(0, 2)]))
    expect(takeAll(reader)).toEqual([value])
    expect(reader.pending).toBe(2)
    expect(reader.rest()).toEqual(value.subarray(0, 2))
  })

  it('holds no more memory for a value in single bytes than for one in a piece', () => {
    const reader = new PushReader(new MsgpackScanner())
    const bytes = encodeMsgpack('a'.repeat(200_000))
    const before = process.memoryUsage()
    for (const piece of cut(bytes.subarray(0, -1), 1)) reader.push(Buffer.from(piece))
    expect(reader.take()).toBeUndefined()
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(4_000_000)
  })

  it('goes on with a scan where it stopped: no byte before that is looked at again', () => {
    const bytes = list('app', new Array(20_000).fill([5, { log: 'hello' }]))
    const scanner = new MsgpackScanner()
    let looked = 0
    const counting: Scanner = {
      reset: () => scanner.reset(),
      scan(buffer, start, end) {
        // A scan of a stretch that was scanned already would look at bytes that were wiped out.
        const result = scanner.scan(buffer, start, end)
        looked += result === -1 ? 0 : 1
        if (result === -1) buffer.fill(0xc1, start, Math.max(start, end - 9))
        return result
      },
    }
    const reader = new PushReader(counting)
    for (const piece of cut(bytes, 1000)) {
      reader.push(Buffer.from(piece))
      reader.take()
    }
    expect(looked).toBe(1)
  })

  it('costs about the same for a frame in one piece and in 20,000', () => {
    const events = Array.from({ length: 8000 }, (_, n) => ({
      timestamp: n + 1,
      record: { n, message: `message number ${n} of many` },
    }))
    const bytes = encodeForward('app', events, 'forward')
    const cost = (pieces: number): number => {
      const size = Math.ceil(bytes.length / pieces)
      const start = process.cpuUsage()
      const reader = new PushReader(new MsgpackScanner())
      let found = 0
      for (const piece of cut(bytes, size)) {
        reader.push(piece)
        for (const frame of takeAll(reader)) found += decodeForward(frame)?.entries.length ?? 0
      }
      expect(found).toBe(8000)
      const { user, system } = process.cpuUsage(start)
      return user + system
    }
    for (let i = 0; i < 5; i++) cost(1)
    // A reader that begins again at each piece would need some thousand times as much.
    const whole = Math.max(1000, Math.min(cost(1), cost(1), cost(1)))
    expect(Math.min(cost(1000), cost(1000)) / whole).toBeLessThan(10)
    expect(Math.min(cost(20_000), cost(20_000)) / whole).toBeLessThan(30)
  })
})
