// Listens for connections on a Unix socket.
import { once } from 'node:events'
import { chmodSync, lstatSync, statSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { FeedooError, systemCode } from '../errors.ts'
import { listenError } from './listen-error.ts'

export interface UnixOptions {
  path: string
  /** Who may connect, as file mode. */
  mode: number
  /** Bytes of a connection that are read ahead while nobody takes them. */
  readAhead: number
  onConnection(socket: Socket): void
  onError(error: Error): void
}

/**
 * A socket that a process left behind is replaced; one that somebody listens on, and a file that is no socket, are not:
 * LISTEN_FAILED.
 */
export async function listenUnix(options: UnixOptions): Promise<{ close(): void }> {
  const { path, mode, onConnection, onError } = options
  await removeStale(path)
  const server = createServer({ allowHalfOpen: true, highWaterMark: options.readAhead })
  server.on('connection', onConnection)
  try {
    server.listen({ path })
    await once(server, 'listening')
    chmodSync(path, mode)
  } catch (cause) {
    server.close()
    throw listenError(path, cause)
  }
  server.on('error', onError)
  return { close: () => void server.close() }
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean
  try {
    // Without the folder, libuv would speak of a permission.
    statSync(dirname(path))
  } catch (error) {
    throw listenError(path, error)
  }
  try {
    isSocket = lstatSync(path).isSocket()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw listenError(path, error)
  }
  if (!isSocket) throw new FeedooError('LISTEN_FAILED', `cannot listen on ${path}: there is a file that is no socket`)
  if (await answers(path)) {
    throw new FeedooError('LISTEN_FAILED', `cannot listen on ${path}: something listens there already`)
  }
  try {
    unlinkSync(path)
  } catch (cause) {
    throw listenError(path, cause)
  }
}

/** True unless it is sure that nobody listens. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    return systemCode(error) !== 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
