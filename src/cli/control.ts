// The socket on which a running daemon takes orders: which one it is, and both of its ends.
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, realpathSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { listenUnix } from '../core/net/unix-listener.ts'

/** What an order led to: text for a person, and the exit code of the command. */
export interface Outcome {
  code: number
  text: string
}

const order = 'reload\n'
/** Milliseconds that a connection may take to give its order. */
const orderTimeout = 5000
/** Permissions: only who may send the daemon a signal may give it orders. */
const socketMode = 0o600
const folderMode = 0o700

/**
 * Takes orders for the daemon that runs `file`. Without the socket it runs as well, and then takes signals alone: why is
 * told to the log.
 */
export async function startControl(
  file: string,
  reload: () => Promise<Outcome>,
  log: Logger,
): Promise<{ close(): void } | undefined> {
  const [folder] = folders()
  if (folder === undefined) return undefined
  const open = new Set<Socket>()
  try {
    mkdirSync(folder.path, { recursive: true, mode: folderMode })
    if (!isSafe(folder)) throw new Error(`${folder.path} belongs to somebody else, or is open to others`)
  } catch (error) {
    log.debug(`there is no control socket, only signals: ${messageOf(error)}`)
    return undefined
  }
  const listeners: { close(): void }[] = []
  for (const name of socketNames(file)) {
    try {
      const listener = await listenUnix({
        path: join(folder.path, name),
        mode: socketMode,
        readAhead: order.length,
        onConnection(socket) {
          open.add(socket)
          socket.on('error', () => {})
          socket.once('close', () => open.delete(socket))
          serve(socket, reload)
        },
        onError: (error) => log.debug(`the control socket: ${messageOf(error)}`),
      })
      listeners.push(listener)
    } catch (error) {
      log.debug(`${name} is no control socket of this process: ${messageOf(error)}`)
    }
  }
  return {
    close() {
      for (const listener of listeners) listener.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** Has the daemon that runs `file` read it again. */
export async function askReload(file: string): Promise<Outcome> {
  const names = socketNames(file)
  const paths = folders().flatMap((folder) => (isSafe(folder) ? names.map((name) => join(folder.path, name)) : []))
  for (const path of paths) {
    const answer = await ask(path)
    if (answer === undefined) continue
    if (answer === '') return { code: 1, text: 'feedoo: the daemon ended before it had answered\n' }
    return JSON.parse(answer) as Outcome
  }
  return { code: 1, text: `feedoo: no daemon runs ${file} that takes orders from this user\n` }
}

function serve(socket: Socket, reload: () => Promise<Outcome>): void {
  let text = ''
  socket.setTimeout(orderTimeout, () => socket.destroy())
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part
    if (text.length < order.length) return
    socket.pause()
    socket.setTimeout(0)
    if (text !== order) socket.destroy()
    else void reload().then((outcome) => socket.end(JSON.stringify(outcome)))
  })
}

/** The answer; undefined when nobody listens there. */
function ask(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer: string | undefined
    const socket = createConnection(path, () => {
      answer = ''
      socket.write(order)
    })
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part
    })
    // Its end says all there is to say.
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}

interface Folder {
  path: string
  /** Others may make files around it: it has to be the user's own. */
  isExposed: boolean
}

/** Where the socket may be: systemd's `RuntimeDirectory`, the folder of the session, root's, and else one of our own. */
function folders(): Folder[] {
  const { RUNTIME_DIRECTORY: service, XDG_RUNTIME_DIR: session } = process.env
  const uid = process.getuid?.() ?? 0
  return [
    ...(service ? [{ path: service, isExposed: false }] : []),
    ...(session ? [{ path: join(session, 'feedoo'), isExposed: true }] : []),
    // Also that of the service: root may give it orders.
    ...(uid === 0 ? [{ path: '/run/feedoo', isExposed: false }] : []),
    { path: join(tmpdir(), `feedoo-${uid}`), isExposed: true },
  ]
}

function isSafe({ path, isExposed }: Folder): boolean {
  if (!isExposed) return true
  try {
    const stat = lstatSync(path)
    return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0
  } catch {
    // It is not there.
    return false
  }
}

/** One for the path as it was given, behind which another file may stand at any time, and one for the file that stands there now. */
function socketNames(file: string): string[] {
  const paths = new Set([resolve(file)])
  try {
    paths.add(realpathSync(file))
  } catch {
    // It is gone for the moment: the daemon says so.
  }
  return [...paths].map((path) => `${createHash('sha256').update(path).digest('hex').slice(0, 16)}.sock`)
}
