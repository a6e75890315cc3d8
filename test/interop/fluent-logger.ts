// @fluent-org/logger as the client of a real input_forward that writes to files, and a count of what arrived.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EventModes, FluentClient, type FluentClientOptions } from '@fluent-org/logger'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Certificates, makeCertificates } from '../helpers/certificates.ts'
import { receive } from '../helpers/forward-input.ts'
import { hasOpenssl } from '../helpers/openssl.ts'

/** Describes all settings, each with so many events. */
export function describeEachOnce(count: number): void {
  describe(`each of ${count} events that @fluent-org/logger sends with acknowledgement is in the archive once`, () => {
    it.each(modes)('in %s mode', (mode) => expectEachOnce(count, withMode(mode)))
    it('with a shared key and a user', () => expectEachOnce(count, withUser))

    describe.skipIf(!hasOpenssl)('with certificates (needs openssl)', () => {
      let certificates: Certificates
      beforeAll(() => {
        certificates = makeCertificates()
      })
      afterAll(() => certificates.remove())
      it('compressed, over mutual TLS, with a shared key', () => expectEachOnce(count, withEverything(certificates)))
    })
  })
}

interface Setting {
  /** Parameters of input_forward. */
  input: Record<string, unknown>
  client: FluentClientOptions
}

/** Sends events numbered from 0, waits until all are acknowledged, and checks that each is in the files once. */
async function expectEachOnce(count: number, setting: Setting): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'feedoo-interop-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const archive = { name: 'output_archive', path_template: join(dir, 'events.log') }
  const input = await receive(setting.input, { actions: [archive] })
  const sender = new FluentClient('app', {
    ...setting.client,
    socket: { host: '127.0.0.1', port: input.port, ...setting.client.socket },
    ack: { ackTimeout: 20_000 },
    eventRetry: { attempts: 0 },
  })
  const text = 'one line of a log, as long as such lines are: user=alice action=login result=ok'
  // In turns, so that several requests are on their way and memory stays small.
  for (let n = 0; n < count; n += 1000) {
    const turn = Array.from({ length: Math.min(1000, count - n) }, (_, i) => sender.emit('events', { n: n + i, text }))
    await Promise.all(turn)
  }
  // Each promise came back with the acknowledgement: everything is in the file already.
  expect(new Set(input.out.map(({ tag }) => tag))).toEqual(new Set(['app.events']))
  const lines = readFileSync(join(dir, 'events.log'), 'utf8').trimEnd().split('\n')
  expect(lines).toHaveLength(count)
  const seen = new Set<unknown>()
  for (const line of lines) {
    const record = JSON.parse(line) as Record<string, unknown>
    expect(record.text).toBe(text)
    seen.add(record.n)
  }
  expect(seen.size).toBe(count)
  await sender.disconnect()
  await input.stop()
  expect(input.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
}

const modes: readonly EventModes[] = ['Message', 'Forward', 'PackedForward', 'CompressedPackedForward']

const withMode = (eventMode: EventModes): Setting => ({ input: {}, client: { eventMode } })

const withUser: Setting = {
  input: { shared_key: 'secret', users: { alice: 'wonder' }, server_hostname: 'feedoo.test' },
  client: {
    eventMode: 'PackedForward',
    security: { clientHostname: 'client.test', sharedKey: 'secret', username: 'alice', password: 'wonder' },
  },
}

/** Mutual TLS, the shared key and compression together. */
function withEverything({ ca, server, client }: Certificates): Setting {
  return {
    input: {
      tls_enable: true,
      crt_file: server.crt,
      key_file: server.key,
      ca_file: ca,
      shared_key: 'secret',
    },
    client: {
      eventMode: 'CompressedPackedForward',
      security: { clientHostname: 'client.test', sharedKey: 'secret' },
      socket: { tls: { ca: readFileSync(ca), cert: readFileSync(client.crt), key: readFileSync(client.key) } },
    },
  }
}
