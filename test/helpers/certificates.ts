// Certificates for tests, made by openssl: an authority, and what it has signed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface KeyPair {
  crt: string
  key: string
}

export interface Certificates {
  ca: string
  /** For localhost, 127.0.0.1 and receiver.test. */
  server: KeyPair
  client: KeyPair
  /** Signed by itself, for localhost. */
  stranger: KeyPair
  remove(): void
}

/** Paths of PEM files in a folder of their own. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-certificates-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const pair = (name: string): KeyPair => ({ crt: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) })
  const selfSigned = (name: string, subject: string) => {
    openssl('req', '-x509', ...curve, '-days', '2', '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.crt`)
  }
  const names = 'subjectAltName=DNS:localhost,DNS:receiver.test,IP:127.0.0.1,IP:::1'
  writeFileSync(join(folder, 'names.cnf'), names)
  const signed = (name: string) => {
    openssl('req', ...curve, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names.cnf']
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`)
  }
  selfSigned('ca', '/CN=test authority')
  selfSigned('stranger', '/CN=localhost')
  signed('server')
  signed('client')
  return {
    ca: join(folder, 'ca.crt'),
    server: pair('server'),
    client: pair('client'),
    stranger: pair('stranger'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
