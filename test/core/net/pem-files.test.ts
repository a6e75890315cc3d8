import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { lintPemFiles, type PemPaths, readPemFiles } from '../../../src/core/net/pem-files.ts'
import { makeCertificates } from '../../helpers/certificates.ts'
import { hasOpenssl } from '../../helpers/openssl.ts'
import { loadText, shown } from '../config/helpers.ts'

const made = hasOpenssl ? makeCertificates() : undefined
const folder = mkdtempSync(join(tmpdir(), 'feedoo-pem-'))
writeFileSync(join(folder, 'text'), 'hello')
afterAll(() => {
  made?.remove()
  rmSync(folder, { recursive: true })
})

const { crt = '', key = '' } = made?.server ?? {}
const ca = made?.ca ?? ''
const text = join(folder, 'text')

describe.skipIf(!hasOpenssl)('PEM files (needs openssl)', () => {
  it.each<[string, PemPaths]>([
    ['a certificate, its key and authorities', { cert: crt, key, ca }],
    ['authorities alone', { ca }],
    ['none', {}],
  ])('are good: %s', (_, paths) => {
    expect(lintPemFiles(paths)).toEqual([])
    expect(Object.keys(readPemFiles(paths)).sort()).toEqual(Object.keys(paths).sort())
  })

  it.each<[string, PemPaths, [string, RegExp][]]>([
    [
      'no files',
      { cert: '/nowhere/crt', key: '/nowhere/key' },
      [
        ['crt_file', /cannot read \/nowhere\/crt: there is no such file$/],
        ['key_file', /cannot read \/nowhere\/key: there is no such file$/],
      ],
    ],
    ['a folder', { ca: folder }, [['ca_file', /it is a folder$/]]],
    ['a key of another', { cert: crt, key: made?.client.key }, [['key_file', /does not belong to the certificate/]]],
    [
      'text',
      { cert: text, key: text, ca: text },
      [
        ['crt_file', /holds no certificate in PEM form$/],
        ['key_file', /holds no private key/],
        ['ca_file', /holds no certificate in PEM form$/],
      ],
    ],
    [
      'certificate and key in the place of the other',
      { cert: key, key: crt },
      [
        ['crt_file', /holds no certificate/],
        ['key_file', /holds no private key/],
      ],
    ],
  ])('are errors at their parameters: %s', (_, paths, expected) => {
    const lints = lintPemFiles(paths)
    expect(lints).toEqual(
      expected.map(([parameter, message]) => ({
        path: [parameter],
        message: expect.stringMatching(message),
        severity: 'error',
      })),
    )
    const [first] = expected
    expect(() => readPemFiles(paths)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => readPemFiles(paths)).toThrow(`${first?.[0]}: `)
  })

  it('are looked at by the configuration, for inputs and outputs', async () => {
    const yaml = `pipelines:
  web:
    - name: input_forward
      tls_enable: true
      crt_file: ${crt}
      key_file: /nowhere/key
    - name: output_forward
      tls_enable: true
      ca_file: ${text}
`
    const loaded = await loadText(yaml)
    expect(loaded.config).toBeUndefined()
    expect(shown(loaded)).toEqual([
      '6:17 error `key_file`: cannot read /nowhere/key: there is no such file',
      `9:16 error \`ca_file\`: ${text} holds no certificate in PEM form`,
    ])
  })
})

it.skipIf(process.getuid?.() === 0)('files that we may not read are a warning: another user may', () => {
  expect(lintPemFiles({ key: '/etc/shadow' })).toMatchObject([{ path: ['key_file'], severity: 'warning' }])
})
