// The key and certificates of a TLS server, read again when their files change.
import { statSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { systemCode } from '../errors.ts'
import { readPemFiles } from './pem-files.ts'

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
  return { ...readPemFiles(paths), minVersion: 'TLSv1.2' }
}
