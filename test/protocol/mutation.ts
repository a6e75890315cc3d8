// Requests that were damaged on purpose, the same ones each time for the same seed.
import { gzipSync } from 'node:zlib'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { decodeJsonForward, JsonScanner } from '../../src/protocol/json-frames.ts'
import { PushReader } from '../../src/protocol/push-reader.ts'
import { firstRequest, list, readAll, recordings, seeded, zstdFixture } from './traffic.ts'

const limits = { maxInflatedBytes: 1024 * 1024 }
const record = { log: 'hello', nested: { a: [1, 2.5, null, true, 'é'] }, big: 2n ** 60n }
const entry = list(1700000000, record)

const seeds: Buffer[] = [
  ...recordings.map((name) => firstRequest(name)),
  list('app', [[5, record]], { chunk: 'id', size: 1 }),
  list('app', [[[5, { a: 1 }], record]]),
  list('app', 5, record, { metadata: { a: 1 } }),
  list('app', Buffer.concat([entry, entry]), { size: 2 }),
  list('app', gzipSync(entry), { compressed: 'gzip' }),
  list('app', Buffer.concat([gzipSync(entry), gzipSync(entry)]), { compressed: 'gzip' }),
  list('app', zstdFixture('entries-level19.zst'), { compressed: 'zstd' }),
  list('app', zstdFixture('entries-no-checksum.zst'), { compressed: 'zstd' }),
  list('app', zstdFixture('words.zst').subarray(0, 6000), { compressed: 'zstd' }),
]
const texts = [
  '["app", 5, {"log": "hello", "a": [1, 2.5, null, 9007199254740993]}, {"chunk": "id"}]',
  '["app", [[5, {"log": "a\\"b"}], [[6, {"m": 1}], {}]]]\n["app", [], null]',
].map((text) => Buffer.from(text))

export interface Outcome {
  taken: number
  waiting: number
  refused: Map<string, number>
  slowestMs: number
}

/** Reads `count` mutated requests. Throws what is no ProtocolError. */
export function readMutations(count: number, seed: number): Outcome {
  const random = seeded(seed)
  const outcome: Outcome = { taken: 0, waiting: 0, refused: new Map(), slowestMs: 0 }
  for (let i = 0; i < count; i++) {
    const isJson = i % 8 === 0
    const bytes = mutate(pick(isJson ? texts : seeds, random), random)
    const start = performance.now()
    try {
      const frames = isJson ? readJson(bytes) : readAll([bytes], limits).length
      if (frames > 0) outcome.taken++
      else outcome.waiting++
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw new Error(`seed ${seed}, mutation ${i}`, { cause: error })
      outcome.refused.set(error.code, (outcome.refused.get(error.code) ?? 0) + 1)
    }
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - start)
  }
  return outcome
}

function readJson(bytes: Buffer): number {
  const reader = new PushReader(new JsonScanner())
  reader.push(bytes)
  let frames = 0
  for (let text = reader.take(); text !== undefined; text = reader.take()) {
    if (decodeJsonForward(text) !== undefined) frames++
  }
  return frames
}

/** One to four changes: a bit, a byte, a telling byte, a piece cut out, doubled or moved, the end cut off. */
function mutate(original: Buffer, random: () => number): Buffer {
  let bytes: Buffer = Buffer.from(original)
  const changes = 1 + Math.floor(random() * 4)
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    const at = Math.floor(random() * bytes.length)
    const length = 1 + Math.floor(random() * 16)
    const kind = Math.floor(random() * 6)
    if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    else if (kind === 1) bytes[at] = Math.floor(random() * 256)
    else if (kind === 2) bytes[at] = pick(telling, random)
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    else bytes = random() < 0.2 ? bytes.subarray(0, at) : swap(bytes, at, length, random)
  }
  return bytes
}

function swap(bytes: Buffer, at: number, length: number, random: () => number): Buffer {
  const from = Math.floor(random() * bytes.length)
  bytes.copy(bytes, at, from, from + length)
  return bytes
}

/** First bytes of every kind of value, and lengths that are too large. */
const telling = [
  0x00, 0x7f, 0x80, 0x81, 0x90, 0x91, 0x92, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcf,
].concat([0xd3, 0xd4, 0xd7, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff, 0x22, 0x5b, 0x5d, 0x7b, 0x7d])

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}
