// Does TLS with connections that are already accepted.
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { messageOf, systemCode } from '../errors.ts'
import { readTlsFiles, type TlsFiles, type TlsPaths } from './tls-files.ts'

export interface TlsAcceptorOptions {
  paths: TlsPaths
  /** Milliseconds. */
  handshakeTimeout: number
  onSecure(socket: TLSSocket): void
  /** The connection is closed. */
  onRefused(kind: 'not_tls' | 'tls_failed' | 'handshake_timeout' | 'broken', message: string, socket: TLSSocket): void
  /** The files have changed; with an error, what was read before goes on. */
  onReload(error: unknown): void
}

export interface TlsAcceptor {
  accept(socket: Socket): void
}

/** Throws CONFIG_INVALID. With `paths.ca` a client needs a certificate signed by it. */
export function createTlsAcceptor(options: TlsAcceptorOptions): TlsAcceptor {
  const files = readTlsFiles(options.paths)
  const needsCertificate = options.paths.ca !== undefined
  // It never listens: connections are handed to it.
  const server = createServer({
    ...files.current,
    requestCert: needsCertificate,
    rejectUnauthorized: needsCertificate,
    handshakeTimeout: options.handshakeTimeout,
  })
  server.on('secureConnection', (socket) => {
    socket.allowHalfOpen = true
    options.onSecure(socket)
  })
  server.on('tlsClientError', (error, socket) => refused(error, socket, options))
  return {
    accept(socket) {
      reload(server, files, options)
      // Who leaves during the handshake has left; what TLS makes of the connection is half-open again.
      socket.allowHalfOpen = false
      server.emit('connection', socket)
    },
  }
}

function reload(server: Server, files: TlsFiles, { onReload }: TlsAcceptorOptions): void {
  try {
    const changed = files.changed()
    if (changed === undefined) return
    server.setSecureContext(changed)
    onReload(undefined)
  } catch (error) {
    onReload(error)
  }
}

function refused(error: Error, socket: TLSSocket, { onRefused }: TlsAcceptorOptions): void {
  const code = systemCode(error) ?? ''
  // For Node a certificate that it refuses is a connection that ends.
  const reason: unknown = socket.authorizationError
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') onRefused('handshake_timeout', 'no TLS handshake in time', socket)
  else if (notTls.has(code)) onRefused('not_tls', 'a client that speaks no TLS on a port with TLS', socket)
  // Who looks whether the port is open comes and goes like this.
  else if (reason == null && code === 'ECONNRESET') onRefused('broken', 'it ended before TLS began', socket)
  else if (reason == null) onRefused('tls_failed', `no TLS: ${messageOf(error)}`, socket)
  else onRefused('tls_failed', `no TLS: the client's certificate is not good (${String(reason)})`, socket)
  socket.destroy()
}

const notTls = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
])
