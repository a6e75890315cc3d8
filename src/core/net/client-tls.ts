// The TLS options of a connection that feedoo opens, from the files that its parameters name.
import type { ConnectionOptions } from 'node:tls'
import { type PemPaths, readPemFiles } from './pem-files.ts'

export interface ClientTlsFiles extends PemPaths {
  /** Compare the receiver's certificate with the authorities (the system's when no `ca` is given) and its name. */
  verify: boolean
  /** The name that is asked for (SNI) and that the certificate must have. */
  serverName: string | undefined
}

/** Reads the files anew. Throws CONFIG_INVALID for files that cannot be read, are no PEM, or do not belong together. */
export function clientTls({ verify, serverName, ...paths }: ClientTlsFiles): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    ...readPemFiles(paths),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
