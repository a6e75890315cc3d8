// What a real Fluent Bit 5.1.1 sent comes out as the same 40 events, in all of its dialects.
import { describe, expect, it } from 'vitest'
import { decodeForward } from '../../src/protocol/forward.ts'
import type { ForwardEntry } from '../../src/protocol/forward-frame.ts'
import { cut, firstRequest, readAll, recording, recordings } from './traffic.ts'

const entriesOf = (name: string, pieceBytes = Number.MAX_SAFE_INTEGER): ForwardEntry[] =>
  readAll(cut(recording(name), pieceBytes)).flatMap((frame) => frame.entries)

describe('the recorded connections', () => {
  const reference = entriesOf('forward-plain').map((entry) => entry.record)

  it('hold the events that were sent', () => {
    expect(reference).toHaveLength(40)
    expect(reference[0]).toEqual({
      hostname: 'web-01',
      service: 'sshd',
      status: 'on',
      n: 7,
      ratio: 0.25,
      big: 9007199254740993n,
      msg: 'Failed password é 日本',
      nested: { a: [1, 2, { b: null }] },
      ok: true,
    })
  })

  it.each(recordings)('%s gives the same 40 events', (name) => {
    const entries = entriesOf(name)
    expect(entries.map((entry) => entry.record)).toEqual(reference)
    for (const entry of entries) {
      expect(entry.tag).toBe(name === 'message-dynamic-tag' ? 'x.sshd' : 'app.auth')
      expect(Math.floor(entry.timestamp / 1000)).toBe(1795217)
    }
  })

  it.each(recordings)('%s gives the same requests when each byte comes alone', (name) => {
    expect(readAll(cut(recording(name), 1))).toEqual(readAll([recording(name)]))
  })

  it.each(recordings)('%s gives the same requests wherever its first one is cut in two', (name) => {
    const bytes = firstRequest(name)
    const whole = JSON.stringify(readAll([bytes]), bigintText)
    expect(readAll([bytes])).toHaveLength(1)
    for (let at = 1; at < bytes.length; at++) {
      const frames = readAll([bytes.subarray(0, at), bytes.subarray(at)])
      if (JSON.stringify(frames, bigintText) !== whole) expect(at).toBe('a cut that changes nothing')
    }
  })

  it('say in which mode they were sent, and what they ask for', () => {
    const first = (name: string) => readAll([recording(name)])[0]
    expect(first('forward-plain')?.mode).toBe('forward')
    expect(first('compressed-gzip')).toMatchObject({ mode: 'compressed', mislabelled: false })
    expect(first('message-dynamic-tag')?.mode).toBe('message')
    expect(first('forward-ack')?.option.chunk).toHaveLength(24)
    expect(first('forward-ack')?.option).toMatchObject({ signal: 0 })
  })

  it('are no good with a byte less', () => {
    const bytes = recording('forward-plain')
    const lengths = readAll([bytes]).map((frame) => frame.entries.length)
    expect(readAll([bytes.subarray(0, -1)])).toHaveLength(lengths.length - 1)
    expect(decodeForward(Buffer.from([0xc0]))).toBeUndefined()
  })
})

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value)
