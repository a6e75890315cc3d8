// TLS: who is trusted, and who is refused.
import { readFileSync } from 'node:fs'
import tls, { type TlsOptions } from 'node:tls'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { type KeyPair, makeCertificates } from '../../helpers/certificates.ts'
import { forwardOutput, numbered } from '../../helpers/forward-output.ts'
import { ForwardReceiver } from '../../helpers/forward-receiver.ts'
import { hasOpenssl } from '../../helpers/openssl.ts'

const made = hasOpenssl ? makeCertificates() : undefined
afterAll(() => made?.remove())

const pem = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
const read = (pair: KeyPair | undefined): TlsOptions => ({ cert: pem(pair?.crt), key: pem(pair?.key) })
const server = read(made?.server)
const mutual = { ...server, ca: pem(made?.ca), requestCert: true, rejectUnauthorized: true }
const trust = { tls_enable: true, ca_file: made?.ca }
const client = { crt_file: made?.client.crt, key_file: made?.client.key }

describe.skipIf(!hasOpenssl)('a receiver with TLS takes events (needs openssl)', () => {
  it.each<[string, TlsOptions, Record<string, unknown>]>([
    ['with a certificate of a trusted authority', server, trust],
    ['by its name', server, { ...trust, host: 'localhost' }],
    ['by a name that is not that of the host', server, { ...trust, server_name: 'receiver.test' }],
    ['that asks for our certificate', mutual, { ...trust, ...client }],
    ['with any certificate without tls_verify', read(made?.stranger), { tls_enable: true, tls_verify: false }],
    ['in TLS 1.2', { ...server, maxVersion: 'TLSv1.2' }, trust],
  ])('%s', async (_, tls, params) => {
    const receiver = await ForwardReceiver.start({ tls })
    const output = await forwardOutput({ port: receiver.port, ...params })
    await output.write(numbered(100))
    await output.write(numbered(100))
    expect(receiver.taken).toHaveLength(200)
    expect(receiver.connections).toBe(1)
  })

  it('with a shared key and a user on top', async () => {
    const security = { sharedKey: 'key', hostname: 'r', users: new Map([['ann', 'secret']]) }
    const receiver = await ForwardReceiver.start({ tls: server, security })
    const key = { shared_key: 'key', username: 'ann', password: 'secret' }
    const output = await forwardOutput({ port: receiver.port, ...trust, ...key })
    await output.write(numbered(3))
    expect(receiver.taken).toEqual(numbered(3))
  })
})

describe.skipIf(!hasOpenssl)('no events go to a receiver (needs openssl)', () => {
  it.each<[string, TlsOptions | undefined, Record<string, unknown>, RegExp]>([
    ['that no trusted authority has signed', read(made?.stranger), trust, /self-signed certificate/],
    ['that the system does not trust', server, { tls_enable: true }, /certificate/],
    ['of another name', server, { ...trust, server_name: 'other.test' }, /other\.test.*not in the cert|altnames/],
    ['that refuses to do without our certificate', mutual, trust, /certificate required|closed the connection/],
    ['that speaks no TLS', undefined, { ...trust, connect_timeout: 0.2 }, /TLS|closed the connection|wrong version/],
    ['whose TLS is older than 1.2', { ...server, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, trust, /version|alert/],
  ])('%s', async (_, theirs, params, reason) => {
    // Without it, OpenSSL would refuse old versions by its own level of security, whatever we ask for.
    const { DEFAULT_CIPHERS } = tls
    tls.DEFAULT_CIPHERS = 'DEFAULT@SECLEVEL=0'
    onTestFinished(() => {
      tls.DEFAULT_CIPHERS = DEFAULT_CIPHERS
    })
    const receiver = await ForwardReceiver.start({ ...(theirs === undefined ? {} : { tls: theirs }) })
    const output = await forwardOutput({ port: receiver.port, ...params })
    const error: unknown = await output.write(numbered(1)).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    expect(String(error)).toMatch(reason)
    expect(receiver.arrivals).toEqual([])
  })

  it('that has TLS when we have not', async () => {
    const receiver = await ForwardReceiver.start({ tls: server })
    const output = await forwardOutput({ port: receiver.port })
    await expect(output.write(numbered(1))).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    expect(receiver.arrivals).toEqual([])
  })
})

describe.skipIf(!hasOpenssl)('files that cannot be used are one error before the start (needs openssl)', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['are missing', { ca_file: '/nowhere/ca.crt' }, /ca_file: cannot read \/nowhere\/ca\.crt: there is no such file/],
    ['hold no certificate', { ca_file: made?.client.key }, /ca_file/],
    ['do not belong together', { crt_file: made?.client.crt, key_file: made?.server.key }, /key values mismatch/],
  ])('when they %s', async (_, params, message) => {
    const refused = forwardOutput({ tls_enable: true, ...params })
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(refused).rejects.toThrow(message)
  })
})
