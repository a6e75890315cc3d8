// The TLS options of a connection that feedoo opens, from the files that its parameters name.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import { FeedooError, messageOf } from '../errors.ts'

export interface ClientTlsFiles {
  /** Compare the receiver's certificate with the authorities and its name. */
  verify: boolean
  /** Authorities that are trusted instead of the system's, PEM. */
  caFile: string | undefined
  /** Our own certificate and its key, PEM. */
  crtFile: string | undefined
  keyFile: string | undefined
  /** The name that is asked for (SNI) and that the certificate must have. */
  serverName: string | undefined
}

/** Reads the files anew. Throws an Error that names the file. */
export function clientTls({ verify, caFile, crtFile, keyFile, serverName }: ClientTlsFiles): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    ...(caFile === undefined ? {} : { ca: read('ca_file', caFile) }),
    ...(crtFile === undefined ? {} : { cert: read('crt_file', crtFile) }),
    ...(keyFile === undefined ? {} : { key: read('key_file', keyFile) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}

/** Throws a FeedooError (CONFIG_INVALID) when the files cannot be read or do not fit together. */
export function checkClientTls(files: ClientTlsFiles): void {
  const { caFile, crtFile, keyFile } = files
  try {
    createSecureContext(clientTls(files))
    // A file without any certificate would pass: it adds none.
    if (caFile !== undefined) checkCertificate('ca_file', caFile)
  } catch (cause) {
    const names = [caFile, crtFile, keyFile].filter((name) => name !== undefined).join(', ')
    throw new FeedooError('CONFIG_INVALID', `the TLS files ${names} cannot be used: ${messageOf(cause)}`, { cause })
  }
}

function checkCertificate(parameter: string, path: string): void {
  try {
    new X509Certificate(readFileSync(path))
  } catch (cause) {
    throw new Error(`${parameter}: ${path} holds no certificate in PEM form`, { cause })
  }
}

function read(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new Error(`${parameter}: ${messageOf(cause)}`, { cause })
  }
}
