// A real Fluent Bit as sender and as receiver. FLUENT_BIT=/path/of/fluent-bit runs these; without it they are skipped.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeCertificates } from '../helpers/certificates.ts'
import { cuttingProxy } from '../helpers/cutting-proxy.ts'
import { scratchFolder } from '../helpers/daemon.ts'
import { FluentBit, fluentBit } from '../helpers/fluent-bit.ts'
import { receive } from '../helpers/forward-input.ts'
import { forwardOutput, numbered } from '../helpers/forward-output.ts'
import { freePort } from '../helpers/forward-receiver.ts'

const made = fluentBit === undefined ? undefined : makeCertificates()
afterAll(() => made?.remove())

/** Lines of the file that Fluent Bit sends. */
const lineCount = 100_000
/** Milliseconds for that file. */
const patience = 60_000

const receiving = { tls_enable: true, crt_file: made?.server.crt, key_file: made?.server.key }
const sending = { tls: 'on', 'tls.verify': 'on', 'tls.ca_file': made?.ca }
const key = { shared_key: 'a long secret' }
const user = { username: 'ann', password: 'a password' }

async function tailOf(folder: string, count: number): Promise<Record<string, unknown>> {
  const path = join(folder, 'app.log')
  const lines = Array.from(
    { length: count },
    (_, n) => `${n} a line of a log as long as they are in real life, or so\n`,
  )
  await writeFile(path, lines.join(''))
  return { name: 'tail', path, tag: 'app.auth', read_from_head: true, refresh_interval: 1 }
}

const numberOf = ({ record }: { record: Record<string, unknown> }) => Number.parseInt(String(record.log), 10)
/** Fluent Bit sends its chunks over several connections at once: their order is not that of the file. */
const sorted = (events: readonly { record: Record<string, unknown> }[]) => events.map(numberOf).sort((a, b) => a - b)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe.skipIf(fluentBit === undefined)('from Fluent Bit (FLUENT_BIT)', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['as it is', {}, {}],
    ['compressed', { compress: 'gzip' }, {}],
    ['acknowledged', { require_ack_response: true }, {}],
    ['acknowledged and compressed', { require_ack_response: true, compress: 'gzip' }, {}],
    ['over TLS', sending, receiving],
    ['with a shared key', { ...key, self_hostname: 'agent' }, key],
    [
      'over TLS, with a shared key and a user, acknowledged, compressed',
      { ...sending, ...key, ...user, require_ack_response: true, compress: 'gzip' },
      { ...receiving, ...key, users: { ann: 'a password' } },
    ],
    [
      'over TLS with a certificate of its own',
      { ...sending, 'tls.crt_file': made?.client.crt, 'tls.key_file': made?.client.key },
      { ...receiving, ca_file: made?.ca },
    ],
    ['without the head of metadata', { retain_metadata_in_forward_mode: false }, {}],
    ['with whole seconds', { time_as_integer: true }, {}],
  ])(
    'every line arrives once: %s',
    async (_, agent, feedoo) => {
      const input = await receive(feedoo)
      const folder = await scratchFolder()
      const forward = { name: 'forward', match: '*', host: '127.0.0.1', port: input.port, ...agent }
      await FluentBit.start(folder, { inputs: [await tailOf(folder, lineCount)], outputs: [forward] })
      await expect.poll(() => input.out.length, { timeout: patience }).toBeGreaterThanOrEqual(lineCount)
      expect(sorted(input.out)).toEqual(upTo(lineCount))
      expect(new Set(input.out.map(({ tag }) => tag))).toEqual(new Set(['app.auth']))
    },
    2 * patience,
  )

  it(
    'over a line that breaks, acknowledged, every line arrives once',
    async () => {
      const input = await receive()
      const proxy = await cuttingProxy(input.port, 7, 300_000)
      const folder = await scratchFolder()
      const count = 50_000
      const tail = { ...(await tailOf(folder, count)), buffer_chunk_size: '8k', buffer_max_size: '8k' }
      const host = { host: '127.0.0.1', port: proxy.port, require_ack_response: true, retry_limit: 'no_limits' }
      const service = { 'scheduler.base': 1, 'scheduler.cap': 1 }
      await FluentBit.start(folder, { inputs: [tail], outputs: [{ name: 'forward', match: '*', ...host }] }, service)
      await expect.poll(() => input.out.length, { timeout: patience }).toBeGreaterThanOrEqual(count)
      expect(sorted(input.out)).toEqual(upTo(count))
      expect(proxy.cuts).toBeGreaterThan(0)
    },
    2 * patience,
  )

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['another shared key', { shared_key: 'another' }, key],
    ['no shared key', {}, key],
    ['another password', { ...key, ...user, password: 'guess' }, { ...key, users: { ann: 'a password' } }],
    ['no TLS', {}, receiving],
    ['no certificate', sending, { ...receiving, ca_file: made?.ca }],
  ])('nothing arrives, and the log says so: %s', async (_, agent, feedoo) => {
    const input = await receive(feedoo)
    const folder = await scratchFolder()
    const forward = { name: 'forward', match: '*', host: '127.0.0.1', port: input.port, ...agent }
    await FluentBit.start(folder, { inputs: [await tailOf(folder, 10)], outputs: [forward] })
    await expect.poll(() => input.lines.filter(({ level }) => level === 'warn').length, { timeout: patience }).toBe(1)
    expect(input.out).toEqual([])
  })
})

describe.skipIf(fluentBit === undefined)('to Fluent Bit (FLUENT_BIT)', () => {
  const tls = { tls: 'on', 'tls.verify': 'off', 'tls.crt_file': made?.server.crt, 'tls.key_file': made?.server.key }
  const trust = { tls_enable: true, ca_file: made?.ca }
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['packed', {}, {}],
    ['forward', {}, { mode: 'forward' }],
    ['gzip', {}, { mode: 'gzip' }],
    ['without acknowledgement', {}, { require_ack: false }],
    ['over TLS', tls, trust],
    ['with a shared key', { ...key, self_hostname: 'receiver' }, key],
    [
      'over TLS, with a shared key, gzip',
      { ...tls, ...key, self_hostname: 'receiver' },
      { ...trust, ...key, mode: 'gzip' },
    ],
  ])(
    'every event arrives once and in order: %s',
    async (_, agent, feedoo) => {
      const folder = await scratchFolder()
      const port = await freePort()
      const input = { name: 'forward', listen: '127.0.0.1', port, ...agent }
      const file = { name: 'file', match: '*', path: folder, file: 'out', format: 'plain' }
      const receiver = await FluentBit.start(folder, { inputs: [input], outputs: [file] })
      await receiver.logged(/listening on/)
      const output = await forwardOutput({ port, chunk_size: 100_000, ...feedoo })
      const count = 20_000
      for (let first = 0; first < count; first += 1000) {
        await output.write(numbered(1000, 'app', first).map((event) => ({ ...event, metadata: { from: 'feedoo' } })))
      }
      const lines = async () => (await readFile(join(folder, 'out'), 'utf8').catch(() => '')).split('\n').slice(0, -1)
      await expect.poll(async () => (await lines()).length, { timeout: patience }).toBeGreaterThanOrEqual(count)
      expect((await lines()).map((line) => (JSON.parse(line) as { n: number }).n)).toEqual(upTo(count))
    },
    2 * patience,
  )

  it('with another shared key nothing is taken', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const input = { name: 'forward', listen: '127.0.0.1', port, ...key, self_hostname: 'receiver' }
    const receiver = await FluentBit.start(folder, { inputs: [input], outputs: [{ name: 'null', match: '*' }] })
    await receiver.logged(/listening on/)
    const output = await forwardOutput({ port, shared_key: 'another', connect_timeout: 2 })
    await expect(output.write(numbered(1))).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
  })
})
