// Fluentd's JSON dialect.
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ProtocolError } from '../../src/protocol/errors.ts'
import type { ForwardFrame } from '../../src/protocol/forward-frame.ts'
import { decodeJsonForward, encodeJsonAck, isJsonStart, JsonScanner } from '../../src/protocol/json-frames.ts'
import type { MsgpackLimits } from '../../src/protocol/msgpack-scanner.ts'
import { PushReader } from '../../src/protocol/push-reader.ts'
import { cut } from './traffic.ts'

function read(
  text: string | Buffer,
  pieceBytes = Number.MAX_SAFE_INTEGER,
  limits: Partial<MsgpackLimits> = {},
): ForwardFrame[] {
  const reader = new PushReader(new JsonScanner(limits))
  const frames: ForwardFrame[] = []
  for (const piece of cut(Buffer.from(text), pieceBytes)) {
    reader.push(piece)
    for (let bytes = reader.take(); bytes !== undefined; bytes = reader.take()) {
      const frame = decodeJsonForward(bytes)
      if (frame !== undefined) frames.push(frame)
    }
  }
  return frames
}

function refusal(text: string | Buffer, limits: Partial<MsgpackLimits> = {}): string {
  try {
    return read(text, undefined, limits).length > 0 ? 'taken' : 'waits'
  } catch (error) {
    if (error instanceof ProtocolError) return error.code
    throw error
  }
}

const events = [{ tag: 'app', timestamp: 5, record: { log: 'hi' } }]

describe('requests in JSON', () => {
  it.each([
    ['message', '["app", 5, {"log": "hi"}]', events],
    ['message with option', '["app", 5, {"log": "hi"}, {"colour": [1]}]', events],
    ['message with a nil option', '["app", 5, {"log": "hi"}, null]', events],
    [
      'message with metadata',
      '["app", 5, {"log": "hi"}, {"metadata": {"a": 1}}]',
      [{ ...events[0], metadata: { a: 1 } }],
    ],
    ['a float time', '["app", 5.25, {}]', [{ tag: 'app', timestamp: 5.25, record: {} }]],
    ['forward', '["app", [[5, {"log": "hi"}], [5, {"log": "hi"}]]]', [...events, ...events]],
    [
      'entries with metadata',
      '["app", [[[5, {"a": 1}], {}]]]',
      [{ tag: 'app', timestamp: 5, record: {}, metadata: { a: 1 } }],
    ],
    ['no entries', '["app", []]', []],
    ['signals that are no events', '["app", [{}], {"fluent_signal": 1}]', []],
    [
      'text that looks like the end',
      '["app", 5, {"log": "]}\\\\\\"]"}]',
      [{ tag: 'app', timestamp: 5, record: { log: ']}\\"]' } }],
    ],
  ])('%s', (_, text, expected) => {
    expect(read(text).flatMap((frame) => frame.entries)).toEqual(expected)
    expect(read(text, 1)).toEqual(read(text))
  })

  it('stand back to back or on lines of their own', () => {
    const one = '["app",5,{"log":"hi"}]'
    expect(read(`\n ${one}${one}\r\n\t${one}\n`)).toHaveLength(3)
    const reader = new PushReader(new JsonScanner())
    reader.push(Buffer.from(`${one}\n`))
    expect([reader.take()?.length, reader.take()?.length, reader.pending]).toEqual([one.length, 1, 0])
  })

  it('leave the time to the caller with 0 and null', () => {
    const [frame] = read('["app", [[0, {}], [null, {}], [5, {}]]]')
    expect(frame?.untimed).toEqual(frame?.entries.slice(0, 2))
  })

  it('keep integers beyond 2^53', () => {
    const text =
      '["app", 5, {"a": 9007199254740993, "b": [-9223372036854775808], "c": "int\\u003a9007199254740993", "d": 1e300, "e": 0.12345678901234567, "f": 12345678901234567.5e2, "g": 1234567890123456, "h": 99999999999999999999, "i": 18446744073709551616}]'
    expect(read(text)[0]?.entries[0]?.record).toEqual({
      a: 9007199254740993n,
      b: [-9223372036854775808n],
      c: 'int:9007199254740993',
      d: 1e300,
      e: Number('0.12345678901234567'),
      f: Number('12345678901234567.5e2'),
      g: 1234567890123456,
      h: 1e20,
      i: 2 ** 64,
    })
  })

  it('take __proto__ as a key like any other', () => {
    for (const more of ['', ', "big": 9007199254740993']) {
      const record = read(`["app", 5, {"__proto__": {"a": 1}${more}}]`)[0]?.entries[0]?.record ?? {}
      expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
      expect(Object.keys(record)[0]).toBe('__proto__')
    }
  })

  it('ask for an acknowledgement in JSON', () => {
    const chunk = read('["app", [], {"chunk": "a\\n"}]')[0]?.option.chunk
    expect(encodeJsonAck(chunk ?? Buffer.alloc(0)).toString()).toBe('{"ack":"a\\n"}')
  })

  it('are told from MessagePack by the first byte', () => {
    expect([0x5b, 0x7b, 0x92, 0x93, 0xdc, 0xc0].map(isJsonStart)).toEqual([true, true, false, false, false, false])
  })
})

describe('long requests', () => {
  it('with long strings and long integers are read in one go', () => {
    const long = 'a\\"\\\\'.repeat(2_000_000)
    const record = read(`["app", 5, {"log": "${long}", "big": 9007199254740993}]`)[0]?.entries[0]?.record
    expect(record?.log).toHaveLength(6_000_000)
    expect(record?.big).toBe(9007199254740993n)
  })
})

describe('the time for a request with long integers', () => {
  const shapes: [string, (n: number) => string][] = [
    ['text of colons behind `int`', (n) => `["app", 5, {"k": "int${':'.repeat(n * 20)}", "n": 9007199254740993}]`],
    ['many colons, many integers', (n) => `["app", 5, {"k": "int${':'.repeat(n)}", "n": [${big(n)}]}]`],
    ['nothing but long integers', (n) => `["app", 5, {"n": [${big(n)}]}]`],
    ['one among many short ones', (n) => `["app", 5, {"n": [${'1,'.repeat(n)}9007199254740993]}]`],
  ]
  const big = (n: number) => new Array(n).fill('9007199254740993').join(',')
  /** The best of several runs: what else the machine does only adds. */
  const seconds = (text: string): number => {
    const bytes = Buffer.from(text)
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now()
      decodeJsonForward(bytes)
      return performance.now() - start
    })
    return Math.min(...times)
  }

  it.each(shapes)('grows with its size and no faster: %s', (_, shape) => {
    // A cost that is quadratic grows 64-fold.
    expect(seconds(shape(40_000)) / seconds(shape(5_000))).toBeLessThan(32)
  })

  it('does not call a function for every value', () => {
    const parse = vi.spyOn(JSON, 'parse')
    onTestFinished(() => parse.mockRestore())
    const [frame] = read(`["app", 5, {"n": [${big(1000)}]}]`)
    expect(frame?.entries[0]?.record.n).toEqual(new Array(1000).fill(9007199254740993n))
    expect(parse.mock.calls.map((args) => args.length)).toEqual([1])
  })
})

describe('what is refused', () => {
  it.each([
    ['a map', '{"app": 5}', 'bad_frame'],
    ['a list of one', '["app"]', 'bad_frame'],
    ['five values', '["app", 5, {}, null, null]', 'bad_frame'],
    ['four values in Forward mode', '["app", [], null, null]', 'bad_frame'],
    ['packed entries', '["app", "abc"]', 'bad_frame'],
    ['no JSON', '["app", 5, {log: 1}]', 'bad_type'],
    ['brackets that do not match', '["app", 5, {]}', 'bad_type'],
    ['text after a request', '["app", 5, {}] x', 'bad_type'],
    ['a tag that is a number', '[5, 5, {}]', 'bad_tag'],
    ['a tag with a newline', '["a\\n", 5, {}]', 'bad_tag'],
    ['a chunk that is a number', '["app", [], {"chunk": 5}]', 'bad_chunk'],
    ['an option that is a list', '["app", [], []]', 'bad_option'],
    ['a record that is a list', '["app", 5, []]', 'bad_entry'],
    ['a time that is true', '["app", true, {}]', 'bad_time'],
    ['an entry of one', '["app", [[5]]]', 'bad_entry'],
    ['an entry of three', '["app", [[5, {}, 1]]]', 'bad_entry'],
    ['an entry whose head is too long', '["app", [[[5, {}, 1], {}]]]', 'bad_entry'],
    ['nesting 100,000 deep', '['.repeat(100_000), 'too_deep'],
    ['nesting 100,000 deep in maps', '{"a":'.repeat(100_000), 'too_deep'],
    ['half a request', '["app", 5, {"log": "]', 'waits'],
  ])('%s', (_, text, code) => {
    expect(refusal(text)).toBe(code)
  })

  it('a request of more bytes or values than allowed', () => {
    const text = '["app", 5, {"log": "hello"}]'
    expect(refusal(text, { maxBytes: text.length })).toBe('taken')
    expect(refusal(text, { maxBytes: text.length - 1 })).toBe('too_large')
    expect(refusal('["app", [1,2,3,4,5,6]]', { maxValues: 5 })).toBe('too_large')
  })
})
