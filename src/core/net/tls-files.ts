// The key and certificates of a TLS server, read again when their files change.
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'

export interface TlsPaths {
  key: string
  cert: string
  /** Authorities that sign clients' certificates. */
  ca?: string
}

export interface TlsFiles {
  /** What was read last. */
  readonly current: SecureContextOptions
  /**
   * Looks at the files, a few microseconds each. New contents, or undefined when nothing changed. Throws CONFIG_INVALID
   * when they changed and cannot be used: once for each change.
   */
  changed(): SecureContextOptions | undefined
}

/** Throws CONFIG_INVALID for files that cannot be read, are no PEM, or do not belong together. */
export function readTlsFiles(paths: TlsPaths): TlsFiles {
  let stamp = stampOf(paths)
  let current = readAll(paths)
  return {
    get current() {
      return current
    },
    changed() {
      const now = stampOf(paths)
      if (now === stamp) return undefined
      stamp = now
      current = readAll(paths)
      return current
    },
  }
}

function stampOf({ key, cert, ca }: TlsPaths): string {
  return [key, cert, ca].map((path) => (path === undefined ? '' : fileStamp(path))).join(' ')
}

function fileStamp(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path)
    return `${ino}:${size}:${mtimeMs}`
  } catch (error) {
    // Reading it will tell.
    return systemCode(error) ?? 'gone'
  }
}

function readAll(paths: TlsPaths): SecureContextOptions {
  const cert = read('crt_file', paths.cert)
  const key = read('key_file', paths.key)
  checkCertificate('crt_file', paths.cert, cert)
  attempt({ key }, `key_file: ${paths.key} holds no private key without a passphrase, in PEM form`)
  attempt({ key, cert }, `key_file: ${paths.key} does not belong to the certificate in crt_file, ${paths.cert}`)
  if (paths.ca === undefined) return { key, cert, minVersion: 'TLSv1.2' }
  const ca = read('ca_file', paths.ca)
  checkCertificate('ca_file', paths.ca, ca)
  return { key, cert, ca, minVersion: 'TLSv1.2' }
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new FeedooError('CONFIG_INVALID', `${name}: cannot read ${path}: ${fileReason(cause)}`, { cause })
  }
}

function checkCertificate(name: string, path: string, pem: Buffer): void {
  try {
    new X509Certificate(pem)
  } catch (cause) {
    throw new FeedooError('CONFIG_INVALID', `${name}: ${path} holds no certificate in PEM form`, { cause })
  }
}

function attempt(options: SecureContextOptions, message: string): void {
  try {
    createSecureContext(options)
  } catch (cause) {
    throw new FeedooError('CONFIG_INVALID', `${message} (${messageOf(cause)})`, { cause })
  }
}
