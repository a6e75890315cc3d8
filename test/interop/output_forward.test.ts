// output_forward with receivers that are not made for its tests: feedoo's own input, and the server of @fluent-org/logger.
import { readFileSync } from 'node:fs'
import { EventTime, FluentServer, type FluentServerOptions } from '@fluent-org/logger'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Event } from '../../src/core/event.ts'
import { makeCertificates } from '../helpers/certificates.ts'
import { type CuttingProxy, cuttingProxy } from '../helpers/cutting-proxy.ts'
import { receive } from '../helpers/forward-input.ts'
import { forwardOutput, numbered } from '../helpers/forward-output.ts'
import { hasOpenssl } from '../helpers/openssl.ts'
import { makePipeline } from '../helpers/run-pipeline.ts'

const made = hasOpenssl ? makeCertificates() : undefined
afterAll(() => made?.remove())

const pem = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
/** Settings with TLS need certificates. */
const itWith = (setting: string) => it.skipIf(setting.includes('TLS') && !hasOpenssl)
const numbers = (events: readonly Event[]) => events.map(({ record }) => record.n)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('feedoo to feedoo', () => {
  const settings: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['as it is', {}, {}],
    ['mode forward', { mode: 'forward' }, {}],
    ['mode gzip', { mode: 'gzip' }, {}],
    ['with a shared key', { shared_key: 'key' }, { shared_key: 'key' }],
    [
      'with TLS on both sides, a key and a user',
      {
        tls_enable: true,
        ca_file: made?.ca,
        crt_file: made?.client.crt,
        key_file: made?.client.key,
        shared_key: 'key',
        username: 'ann',
        password: 'secret',
      },
      {
        tls_enable: true,
        ca_file: made?.ca,
        crt_file: made?.server.crt,
        key_file: made?.server.key,
        shared_key: 'key',
        users: { ann: 'secret' },
      },
    ],
  ]
  for (const [setting, sending, receiving] of settings) {
    itWith(setting)(`brings everything of an event over: ${setting}`, async () => {
      const input = await receive(receiving)
      const output = await forwardOutput({ port: input.port, ...sending })
      const record: Record<string, unknown> = JSON.parse('{"__proto__":{"polluted":true},"log":"é\\u0000"}')
      const events: Event[] = [
        { tag: 'a', timestamp: 1_700_000_000.123456, record: { ...record, big: 2n ** 63n, nested: [{ deep: null }] } },
        { tag: 'a', timestamp: 1_700_000_000.654321, record, metadata: { source: { id: 1 } } },
        { tag: 'b', timestamp: -1.5, record: { bytes: Buffer.from([255]) } },
      ]
      await output.write(events)
      expect(input.out).toEqual(events)
      expect(Object.keys(input.out[1]?.record ?? {})).toEqual(['__proto__', 'log'])
    })
  }

  it.each([1, 2, 3, 4, 5, 6])(
    'is exactly once and in order over a line that breaks all the time: seed %i',
    async (seed) => {
      const input = await receive()
      const proxy = await cuttingProxy(input.port, seed, 4000)
      const line = { port: proxy.port, chunk_size: 500, max_in_flight: 4, ack_timeout: 20 }
      const { pipeline } = makePipeline([
        { name: 'output_forward', ...line, buffer_size: 100, retry_delay: 0.001, retry_max_delay: 0.002 },
      ])
      await pipeline.open()
      const count = 2000
      const events = numbered(count, 'a').flatMap((event) => [event, { ...event, tag: 'b' }])
      for (let at = 0; at < events.length; at += 250) void pipeline.inject(events.slice(at, at + 250))
      await pipeline.run(AbortSignal.abort())
      for (const tag of ['a', 'b']) expect(numbers(input.out.filter((event) => event.tag === tag))).toEqual(upTo(count))
      expect(proxy.cuts).toBeGreaterThan(10)
    },
  )

  it('is exactly once when the receiver needs longer than ack_timeout', async () => {
    const taken: Event[] = []
    let calls = 0
    const slow = {
      async write(events: readonly Event[]) {
        // The first time it waits until the sender has connected three times.
        if (calls++ === 0) await expect.poll(() => proxy?.connections, { timeout: 20_000 }).toBeGreaterThan(2)
        taken.push(...events)
      },
    }
    let proxy: CuttingProxy | undefined
    const input = await receive({}, { output: slow })
    proxy = await cuttingProxy(input.port, 1, Number.MAX_SAFE_INTEGER)
    const output = await forwardOutput({ port: proxy.port, chunk_size: 100, ack_timeout: 0.1 })
    const batch = numbered(100)
    let failures = 0
    const write = (): Promise<void> =>
      output.write(batch).catch(() => {
        failures++
        return write()
      })
    await write()
    expect(failures).toBeGreaterThan(0)
    expect(numbers(taken)).toEqual(upTo(100))
  })

  it('names the reason when the keys differ', async () => {
    const input = await receive({ shared_key: 'right' })
    const output = await forwardOutput({ port: input.port, shared_key: 'wrong' })
    await expect(output.write(numbered(1))).rejects.toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
      message: expect.stringMatching(/The server refuses: ".*shared.*key.*"/i),
    })
  })

  it('two batches that are the same both arrive', async () => {
    const input = await receive()
    const output = await forwardOutput({ port: input.port })
    for (let i = 0; i < 2; i++) await output.write(numbered(3))
    expect(numbers(input.out)).toEqual([0, 1, 2, 0, 1, 2])
  })
})

interface Entry {
  tag: string
  time: EventTime | number
  record: Record<string, unknown>
}

async function fluentServer(options: FluentServerOptions = {}): Promise<{ port: number; entries: Entry[] }> {
  const server = new FluentServer({ listenOptions: { port: 0, host: '127.0.0.1' }, ...options })
  const entries: Entry[] = []
  server.on('entry', (tag: string, time: EventTime | number, record: Record<string, unknown>) => {
    entries.push({ tag, time, record })
  })
  await server.listen()
  onTestFinished(() => server.close())
  return { port: server.port ?? 0, entries }
}

describe('the server of @fluent-org/logger takes every event once, in order', () => {
  const security = { serverHostname: 'fluent', sharedKey: 'key', authorize: false, userDict: {} }
  const user = { ...security, authorize: true, userDict: { ann: 'secret' } }
  const tlsOptions = { cert: pem(made?.server.crt), key: pem(made?.server.key) }
  const settings: [string, FluentServerOptions, Record<string, unknown>][] = [
    ['packed', {}, {}],
    ['forward', {}, { mode: 'forward' }],
    ['gzip', {}, { mode: 'gzip' }],
    ['without acknowledgement', {}, { require_ack: false }],
    ['with a shared key', { security }, { shared_key: 'key' }],
    ['with a user', { security: user }, { shared_key: 'key', username: 'ann', password: 'secret' }],
    ['over TLS', { tlsOptions }, { tls_enable: true, ca_file: made?.ca }],
  ]
  for (const [setting, options, params] of settings) {
    itWith(setting)(setting, async () => {
      const { port, entries } = await fluentServer(options)
      const output = await forwardOutput({ port, chunk_size: 10_000, ...params })
      for (let first = 0; first < 5000; first += 1000) await output.write(numbered(1000, 'app', first))
      await output.close?.()
      await expect.poll(() => entries.length, { timeout: 20_000 }).toBe(5000)
      expect(entries.map(({ record }) => record.n)).toEqual(upTo(5000))
      const [first] = entries
      expect(first?.tag).toBe('app')
      expect(first?.time).toEqual(EventTime.fromTimestamp(1_700_000_000_000))
    })
  }

  it('refuses another key with its reason', async () => {
    const { port } = await fluentServer({ security })
    const output = await forwardOutput({ port, shared_key: 'other' })
    await expect(output.write(numbered(1))).rejects.toThrow(/The server refuses: ".+"/)
  })
})
