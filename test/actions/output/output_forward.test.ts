import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { outputForward } from '../../../src/actions/output/output_forward.ts'
import type { Event } from '../../../src/core/event.ts'
import { encodeAck } from '../../../src/protocol/forward-writer.ts'
import { encodeHelo, newHelo } from '../../../src/protocol/handshake.ts'
import { MsgpackScanner } from '../../../src/protocol/msgpack-scanner.ts'
import { PushReader } from '../../../src/protocol/push-reader.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { forwardOutput, numbered } from '../../helpers/forward-output.ts'
import { type Arrival, ForwardReceiver, freePort } from '../../helpers/forward-receiver.ts'
import { seeded } from '../../protocol/traffic.ts'

const numbers = (events: readonly { record: Record<string, unknown> }[]) => events.map(({ record }) => record.n)

describe('what arrives', () => {
  const record: Record<string, unknown> = JSON.parse('{"__proto__":{"a":1},"constructor":"x"}')
  const events: Event[] = [
    { tag: 'a', timestamp: 1_700_000_000.123456, record: { log: 'a line', big: 2n ** 63n, small: -(2n ** 63n) } },
    { tag: 'b/c.d', timestamp: 1_700_000_001, record, metadata: { from: { id: 7 } } },
    { tag: 'a', timestamp: -5.5, record: { bytes: Buffer.from([0, 255]), nested: [{ ok: true }, null, 1.5] } },
    { tag: 'a', timestamp: 0, record: { none: undefined, when: new Date(0) }, metadata: {} },
  ]

  it.each(['packed', 'forward', 'gzip'])('is what was sent, grouped by tag: mode %s', async (mode) => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, mode })
    await output.write(events)
    expect(receiver.arrivals.map(({ frame }) => [frame.tag, frame.mode, frame.mislabelled])).toEqual([
      ['a', mode === 'gzip' ? 'compressed' : mode, false],
      ['b/c.d', mode === 'gzip' ? 'compressed' : mode, false],
    ])
    const [a, b] = receiver.arrivals.map(({ frame }) => frame)
    expect(a?.entries).toEqual([
      events[0],
      events[2],
      // An integer or an EventTime of 0: what a receiver takes for "now" is not sent.
      { tag: 'a', timestamp: 0, record: { none: null, when: '1970-01-01T00:00:00.000Z' } },
    ])
    expect(a?.untimed).toEqual([])
    expect(b?.entries).toEqual([events[1]])
    expect(Object.keys(b?.entries[0]?.record ?? {})).toEqual(['__proto__', 'constructor'])
    expect(b?.option).toMatchObject({ size: 1, signal: 0 })
  })

  it('has no metadata when that is switched off', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, metadata: false })
    await output.write(events)
    expect(receiver.taken.map(({ metadata }) => metadata)).toEqual([undefined, undefined, undefined, undefined])
  })

  it('is cut into frames of chunk_size, a larger event alone, and nothing above max_event_size', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, chunk_size: 1000, max_event_size: 5000 })
    const sizes = [400, 400, 400, 3000, 6000, 100, 100]
    const large = sizes.map((size, n) => ({ tag: 'app', timestamp: 1, record: { n, log: 'x'.repeat(size) } }))
    await output.write(large)
    expect(receiver.arrivals.map(({ frame }) => numbers(frame.entries))).toEqual([[0, 1], [2], [3], [5, 6]])
    expect(output.deadLetters.map(({ event, error }) => [event, error.code])).toEqual([[large[4], 'RECORD_UNWRITABLE']])
  })

  it('is a record of several MiB, with the limits as they are', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, mode: 'gzip' })
    const log = 'large '.repeat(600_000)
    await output.write([{ tag: 'app', timestamp: 1, record: { log } }])
    expect(receiver.taken[0]?.record.log).toBe(log)
  })

  it('is all but the events that no receiver takes', async () => {
    let deep: unknown = 'bottom'
    for (let i = 0; i < 60; i++) deep = { deep }
    const bad: Event[] = [
      { tag: 'app', timestamp: 1, record: { n: 2n ** 64n } },
      { tag: 'app', timestamp: 1, record: { deep } },
      { tag: 'app', timestamp: Number.NaN, record: {} },
      { tag: 'app', timestamp: 1, record: { call: () => {} } },
      { tag: 'line\nbreak', timestamp: 1, record: {} },
      { tag: 't'.repeat(1025), timestamp: 1, record: {} },
    ]
    const good = numbered(3)
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port })
    await output.write([...bad.slice(0, 2), ...good, ...bad.slice(2)])
    expect(receiver.taken).toEqual(good)
    expect(output.deadLetters).toHaveLength(bad.length)
    expect(new Set(output.deadLetters.map(({ event }) => event))).toEqual(new Set(bad))
    expect(new Set(output.deadLetters.map(({ error }) => error.code))).toEqual(new Set(['RECORD_UNWRITABLE']))
  })

  it('goes over a Unix socket', async () => {
    const path = join(await scratchFolder(), 'forward.sock')
    const receiver = await ForwardReceiver.start({ listen: path })
    const output = await forwardOutput({ unix_path: path })
    await output.write(numbered(2))
    expect(receiver.taken).toEqual(numbered(2))
  })
})

describe('acknowledgement', () => {
  it('sends batches that are the same under different ids', async () => {
    const receiver = await ForwardReceiver.start()
    const first = await forwardOutput({ port: receiver.port })
    const second = await forwardOutput({ port: receiver.port })
    for (const output of [first, first, second]) await output.write(numbered(2))
    expect(receiver.taken).toHaveLength(6)
    for (const { chunk } of receiver.arrivals) expect(chunk).toMatch(/^[\w+/]{24}$/)
  })

  it('is waited for', async () => {
    let held: Arrival | undefined
    const receiver = await ForwardReceiver.start({
      take: (arrival) => {
        held = arrival
      },
    })
    const output = await forwardOutput({ port: receiver.port })
    let written = false
    const writing = output.write(numbered(1)).then(() => {
      written = true
    })
    await receiver.until(() => held !== undefined)
    expect(written).toBe(false)
    held?.ack()
    await writing
  })

  it('may come in any order, for at most max_in_flight frames at once', async () => {
    const held: Arrival[] = []
    const receiver = await ForwardReceiver.start({ take: (arrival) => void held.push(arrival) })
    const output = await forwardOutput({ port: receiver.port, chunk_size: 1, max_in_flight: 4 })
    const writing = output.write(numbered(10))
    for (let left = 10; left > 0; ) {
      await receiver.until(() => held.length === Math.min(4, left))
      for (const arrival of held.splice(0).reverse()) {
        arrival.ack()
        left--
      }
    }
    await writing
    expect(numbers(receiver.taken)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('that never comes leads to the same frame again, and frames that have arrived are not repeated', async () => {
    const receiver = await ForwardReceiver.start()
    receiver.take = (arrival) => {
      if (receiver.arrivals.length === 2) arrival.socket.destroy()
      else arrival.ack()
    }
    const output = await forwardOutput({ port: receiver.port, chunk_size: 1, max_in_flight: 1 })
    const batch = numbered(3)
    await expect(output.write(batch)).rejects.toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
      retriable: true,
      message: `cannot send to 127.0.0.1:${receiver.port}: the receiver closed the connection`,
    })
    await output.write(batch)
    expect(numbers(receiver.arrivals.flatMap(({ frame }) => frame.entries))).toEqual([0, 1, 1, 2])
    expect(receiver.arrivals[1]?.chunk).toBe(receiver.arrivals[2]?.chunk)
  })

  it('of an id that was never sent means nothing', async () => {
    const receiver = await ForwardReceiver.start()
    receiver.take = ({ socket, ack }) => {
      socket.write(Buffer.from('81a361636ba5 6f74686572'.replace(' ', ''), 'hex'))
      ack()
    }
    const output = await forwardOutput({ port: receiver.port })
    await output.write(numbered(1))
    expect(receiver.connections).toBe(1)
  })

  it('is given up after ack_timeout when the receiver is silent', async () => {
    const receiver = await ForwardReceiver.start({ take: () => {} })
    const output = await forwardOutput({ port: receiver.port, ack_timeout: 0.05 })
    await expect(output.write(numbered(1))).rejects.toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
      retriable: true,
      message: `cannot send to 127.0.0.1:${receiver.port}: no acknowledgement within 0.05 s`,
    })
  })

  it('is given up after ack_timeout when only ids are acknowledged that were never sent', async () => {
    let timer: NodeJS.Timeout | undefined
    const take = ({ socket }: Arrival) => {
      timer ??= setInterval(() => socket.write(encodeAck(Buffer.from('never sent'))), 10)
    }
    onTestFinished(() => clearInterval(timer))
    const receiver = await ForwardReceiver.start({ take })
    const output = await forwardOutput({ port: receiver.port, ack_timeout: 0.2 })
    await expect(output.write(numbered(1))).rejects.toThrow('no acknowledgement within 0.2 s')
  })

  it('is not asked for without require_ack', async () => {
    const receiver = await ForwardReceiver.start({ take: () => {} })
    const output = await forwardOutput({ port: receiver.port, require_ack: false, chunk_size: 1, max_in_flight: 2 })
    await output.write(numbered(10))
    await output.close?.()
    await receiver.until(() => receiver.sockets.size === 0 && receiver.connections === 1)
    expect(numbers(receiver.arrivals.flatMap(({ frame }) => frame.entries))).toEqual(numbers(numbered(10)))
    expect(receiver.arrivals.map(({ frame }) => frame.option.chunk)).toEqual(new Array(10).fill(undefined))
  })

  it('exactly once and in order, whatever breaks', async () => {
    const faults = fc.record({
      seed: fc.integer(),
      sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
      inFlight: fc.integer({ min: 1, max: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(faults, async ({ seed, sizes, inFlight }) => {
        const random = seeded(seed)
        const receiver = await ForwardReceiver.start({
          take({ socket, ack }) {
            const dice = random()
            if (dice < 0.1) socket.destroy()
            else if (dice < 0.15) socket.end()
            else if (dice < 0.2) socket.resetAndDestroy()
            else ack()
            if (dice > 0.95) socket.destroy()
          },
        })
        const output = await forwardOutput({ port: receiver.port, chunk_size: 30, max_in_flight: inFlight })
        let first = 0
        for (const size of sizes) {
          const batch = numbered(size, 'a', first).flatMap((event) => [event, { ...event, tag: 'b' }])
          while (!(await output.write(batch).then(() => true, isRetriable))) {}
          first += size
        }
        await output.close?.()
        await receiver.stop()
        const expected = Array.from({ length: first }, (_, n) => n)
        for (const tag of ['a', 'b']) {
          expect(numbers(receiver.taken.filter((entry) => entry.tag === tag))).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  })
})

function isRetriable(error: unknown): false {
  expect(error).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
  return false
}

describe('the connection', () => {
  it('is kept for the next batch', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port })
    for (let i = 0; i < 3; i++) await output.write(numbered(1))
    expect(receiver.connections).toBe(1)
  })

  it('is a new one for each batch without keepalive', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, keepalive: false })
    for (let i = 0; i < 3; i++) await output.write(numbered(1))
    expect(receiver.connections).toBe(3)
  })

  it('is a new one for each batch when the receiver says that it does not keep it', async () => {
    const security = { sharedKey: 'key', hostname: 'receiver' }
    const receiver = await ForwardReceiver.start({ security, keepalive: false })
    const output = await forwardOutput({ port: receiver.port, shared_key: 'key' })
    for (let i = 0; i < 2; i++) await output.write(numbered(1))
    expect(receiver.connections).toBe(2)
  })

  it('is closed after keepalive_idle seconds without events', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port, keepalive_idle: 0.02 })
    await output.write(numbered(1))
    await receiver.until(() => receiver.sockets.size === 0)
    await output.write(numbered(1))
    expect(receiver.connections).toBe(2)
  })

  it('that the receiver has closed in the meantime is replaced without a failure', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port })
    await output.write(numbered(1))
    for (const socket of receiver.sockets) socket.end()
    await output.write(numbered(1))
    expect(receiver.taken).toHaveLength(2)
  })

  it('ends with a FIN, not a reset, when the output is closed', async () => {
    const receiver = await ForwardReceiver.start()
    const output = await forwardOutput({ port: receiver.port })
    await output.write(numbered(1))
    const ends = [...receiver.sockets].map((socket) => once(socket, 'end'))
    await output.close?.()
    await Promise.all(ends)
    expect(ends).toHaveLength(1)
  })

  it('closed in the middle of a write rejects it', async () => {
    const receiver = await ForwardReceiver.start({ take: () => {} })
    const output = await forwardOutput({ port: receiver.port })
    const writing = expect(output.write(numbered(1))).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    await receiver.until(() => receiver.arrivals.length === 1)
    await output.close?.()
    await writing
    await expect(output.write(numbered(1))).rejects.toMatchObject({ message: 'cannot send: the output is closed' })
  })
})

describe('a receiver that does not take events', () => {
  const problem = async (params: Record<string, unknown>): Promise<string> => {
    const output = await forwardOutput(params)
    const error: unknown = await output.write(numbered(1)).then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    return error instanceof Error ? error.message : ''
  }
  const security = { sharedKey: 'right', hostname: 'receiver' }

  it('is named with the reason: nothing listens', async () => {
    const port = await freePort()
    expect(await problem({ port })).toBe(`cannot send to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`)
  })

  it('is named with the reason: another shared key', async () => {
    const { port } = await ForwardReceiver.start({ security })
    expect(await problem({ port, shared_key: 'wrong' })).toBe(
      `cannot send to 127.0.0.1:${port}: The server refuses: "shared_key mismatch"`,
    )
  })

  it('is named with the reason: another password', async () => {
    const users = new Map([['ann', 'secret']])
    const { port } = await ForwardReceiver.start({ security: { ...security, users } })
    expect(await problem({ port, shared_key: 'right', username: 'ann', password: 'guess' })).toContain(
      'The server refuses: "username/password mismatch"',
    )
  })

  it.each([{}, { hostname: 'me' }])('is named with the reason: it sends our own proof back (%j)', async (params) => {
    const reader = new PushReader(new MsgpackScanner())
    const server = createServer((socket) => {
      socket.on('error', () => {}).write(encodeHelo(newHelo(security)))
      socket.on('data', (bytes) => {
        reader.push(bytes)
        const ping = reader.take()
        if (ping === undefined) return
        const [, hostname, , digest] = z.array(z.string()).parse(decode(ping))
        socket.write(encode(['PONG', true, '', hostname, digest]))
      })
    })
    onTestFinished(() => void server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    expect(await problem({ port, shared_key: 'right', ...params })).toContain('has the name of this client')
  })

  it('is none when the receiver bears the name of the machine', async () => {
    const receiver = await ForwardReceiver.start({ security: { sharedKey: 'right', hostname: hostname() } })
    const output = await forwardOutput({ port: receiver.port, shared_key: 'right' })
    await output.write(numbered(1))
    expect(receiver.arrivals).toHaveLength(1)
  })

  it('is named with the reason: it asks for a key', async () => {
    const { port } = await ForwardReceiver.start({ security })
    // The receiver closes when it sees a frame instead of a PING; its HELO has come before.
    expect(await problem({ port })).toMatch(/asks for a shared key|closed the connection/)
  })

  it('is named with the reason: it asks for no key', async () => {
    const { port } = await ForwardReceiver.start()
    expect(await problem({ port, shared_key: 'key', connect_timeout: 0.05 })).toContain(
      'no handshake (the receiver may have no shared key) within 0.05 s',
    )
  })

  it('is named with the reason: what it answers is no acknowledgement', async () => {
    const { port } = await ForwardReceiver.start({ take: ({ socket }) => void socket.write('HTTP/1.1 400 Bad') })
    expect(await problem({ port })).toMatch(/cannot send to .*: An answer is no acknowledgement/)
  })

  it('is named with the reason: it does not read', async () => {
    const { port } = await ForwardReceiver.start({ take: ({ socket }) => void socket.pause() })
    const log = 'x'.repeat(1_000_000)
    const output = await forwardOutput({ port, send_timeout: 0.1 })
    const batch = Array.from({ length: 30 }, () => ({ tag: 'app', timestamp: 1, record: { log } }))
    await expect(output.write(batch)).rejects.toThrow('nothing could be sent for 0.1 s')
  })

  it('takes them once it has been mended', async () => {
    const port = await freePort()
    const output = await forwardOutput({ port })
    const batch = numbered(2)
    await expect(output.write(batch)).rejects.toThrow('ECONNREFUSED')
    const receiver = await ForwardReceiver.start({ listen: port })
    await output.write(batch)
    expect(receiver.taken).toEqual(batch)
  })
})

describe('parameters', () => {
  it.each([
    [{ host: 'a', hosts: ['b'] }, 'give one of them'],
    [{ host: 'a', unix_path: '/run/x' }, 'give one of them'],
    [{ hosts: ['a:b'] }, 'no host'],
    [{ hosts: ['a:70000'] }, 'no host'],
    [{ hosts: ['a b'] }, 'no host'],
    [{ ca_file: 'x' }, 'needs tls_enable'],
    [{ tls_enable: true, crt_file: 'x' }, 'go together'],
    [{ shared_key: 'x', username: 'x' }, 'go together'],
    [{ username: 'x', password: 'y' }, 'needs shared_key'],
    [{ shared_key: '' }, 'Too small'],
  ])('%j are refused', (params, message) => {
    const { error } = outputForward.params.safeParse(params)
    expect(error?.issues.map((issue) => JSON.stringify(issue)).join()).toContain(message)
  })

  it('that trust anybody are warned about', () => {
    const warnings = (params: Record<string, unknown>) => outputForward.lint(params).map(({ path }) => path)
    expect(warnings({ tls_enable: true, tls_verify: false })).toEqual([['tls_verify']])
    expect(warnings({ tls_enable: true })).toEqual([])
  })

  it('take hosts in any form', async () => {
    const port = await freePort()
    const hosts = [`127.0.0.1:${port}`, { host: '127.0.0.1' }, '127.0.0.1', '[::1]', `[::1]:${port}`, '::1']
    const output = await forwardOutput({ hosts, port })
    const error: unknown = await output.write(numbered(1)).catch((reason: unknown) => reason)
    const names = String(error).match(/\S+(?=: connect)/g)
    expect(names).toEqual([...new Array(3).fill(`127.0.0.1:${port}`), ...new Array(3).fill(`[::1]:${port}`)])
  })
})
