// What the tests of the protocol share: recorded connections, and pieces of requests to write by hand.
import { readFileSync } from 'node:fs'
import { decodeForward } from '../../src/protocol/forward.ts'
import type { ForwardFrame, ForwardLimits } from '../../src/protocol/forward-frame.ts'
import { MsgpackScanner } from '../../src/protocol/msgpack-scanner.ts'
import { MsgpackWriter } from '../../src/protocol/msgpack-writer.ts'
import { PushReader } from '../../src/protocol/push-reader.ts'

export const recordings = [
  'forward-plain',
  'forward-metadata',
  'forward-integer-time',
  'forward-ack',
  'compressed-gzip',
  'message-dynamic-tag',
] as const

export function recording(name: string): Buffer {
  return readFileSync(new URL(`../fixtures/forward/${name}.bin`, import.meta.url))
}

/** The bytes of a recording's first request. */
export function firstRequest(name: string): Buffer {
  const reader = new PushReader(new MsgpackScanner())
  reader.push(recording(name))
  const bytes = reader.take()
  if (bytes === undefined) throw new Error(`${name} holds no request`)
  return bytes
}

export function zstdFixture(name: string): Buffer {
  return readFileSync(new URL(`../fixtures/zstd/${name}`, import.meta.url))
}

/** The bytes of MessagePack's ext and other headers that no writer makes. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

/** A list of parts: Buffers stand for themselves as MessagePack, anything else is encoded. */
export function list(...parts: unknown[]): Buffer {
  const writer = new MsgpackWriter().arrayHeader(parts.length)
  for (const part of parts) {
    if (part instanceof Raw) writer.raw(part.bytes)
    else writer.value(part)
  }
  return writer.take()
}

/** Marks bytes as MessagePack already; a plain Buffer is a bin value. */
export class Raw {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

export function raw(bytes: Buffer | string): Raw {
  return new Raw(typeof bytes === 'string' ? hex(bytes) : bytes)
}

/** All requests of a stream that comes in the given pieces. */
export function readAll(pieces: Iterable<Buffer>, limits: Partial<ForwardLimits> = {}): ForwardFrame[] {
  const reader = new PushReader(new MsgpackScanner(limits))
  const frames: ForwardFrame[] = []
  for (const piece of pieces) {
    reader.push(piece)
    for (let bytes = reader.take(); bytes !== undefined; bytes = reader.take()) {
      const frame = decodeForward(bytes, limits)
      if (frame !== undefined) frames.push(frame)
    }
  }
  return frames
}

/** Cuts bytes into pieces of `size`. */
export function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Numbers that look random and are the same each time, from 0 to below 1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
