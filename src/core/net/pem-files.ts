// The PEM files of TLS parameters: read, and checked to be what they should be and to belong together.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Lint } from '../action.ts'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'

/** Paths, by what they hold; those that are undefined are not asked for. */
export interface PemPaths {
  /** The key of `cert`. */
  key?: string | undefined
  cert?: string | undefined
  /** Authorities. */
  ca?: string | undefined
}

export type PemContents = Pick<SecureContextOptions, 'key' | 'cert' | 'ca'>

/** Reads the files. Throws CONFIG_INVALID for the first that cannot be read, is no PEM, or does not belong to another. */
export function readPemFiles(paths: PemPaths): PemContents {
  const { contents, mistakes } = inspect(paths)
  const [first] = mistakes
  if (first === undefined) return contents
  throw new FeedooError('CONFIG_INVALID', `${first.parameter}: ${first.message}`, { cause: first.cause })
}

/**
 * What is wrong with the files, for a spec's `lint`. Files that we may not read are a warning: who checks a
 * configuration, or reloads it after giving up privileges, may not be who reads the files at start.
 */
export function lintPemFiles(paths: PemPaths): Lint[] {
  return inspect(paths).mistakes.map(({ parameter, message, cause }) => {
    const isForbidden = ['EACCES', 'EPERM'].includes(systemCode(cause) ?? '')
    return { path: [parameter], message: `\`${parameter}\`: ${message}`, severity: isForbidden ? 'warning' : 'error' }
  })
}

type Parameter = 'key_file' | 'crt_file' | 'ca_file'

interface Mistake {
  parameter: Parameter
  message: string
  cause: unknown
}

function inspect(paths: PemPaths): { contents: PemContents; mistakes: Mistake[] } {
  const mistakes: Mistake[] = []
  const { cert: certPath, key: keyPath, ca: caPath } = paths
  const note = (parameter: Parameter, message: string, cause: unknown) => mistakes.push({ parameter, message, cause })

  function read(parameter: Parameter, path: string | undefined): Buffer | undefined {
    try {
      return path === undefined ? undefined : readFileSync(path)
    } catch (cause) {
      note(parameter, `cannot read ${path}: ${fileReason(cause)}`, cause)
      return undefined
    }
  }

  /** Whether `use` takes the file. */
  function isGood(parameter: Parameter, use: () => unknown, message: string, withReason = false): boolean {
    try {
      use()
      return true
    } catch (cause) {
      note(parameter, withReason ? `${message} (${messageOf(cause)})` : message, cause)
      return false
    }
  }

  const cert = read('crt_file', certPath)
  const key = read('key_file', keyPath)
  const ca = read('ca_file', caPath)
  const isCertificate = (parameter: Parameter, path: string | undefined, pem: Buffer) =>
    isGood(parameter, () => new X509Certificate(pem), `${path} holds no certificate in PEM form`)
  const certIsGood = cert !== undefined && isCertificate('crt_file', certPath, cert)
  const noKey = `${keyPath} holds no private key without a passphrase, in PEM form`
  const keyIsGood = key !== undefined && isGood('key_file', () => createSecureContext({ key }), noKey, true)
  if (certIsGood && keyIsGood) {
    const message = `${keyPath} does not belong to the certificate in crt_file, ${certPath}`
    isGood('key_file', () => createSecureContext({ key, cert }), message, true)
  }
  // To TLS a file without any certificate is one that adds none.
  if (ca !== undefined) isCertificate('ca_file', caPath, ca)
  const contents = {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
  }
  return { contents, mistakes }
}
