// Ends a connection so that its peer gets all that was written to it.
import type { Socket } from 'node:net'

/** Milliseconds for the peer to close its side when we have closed ours. */
const closeGrace = 1000

/** Closes our side; what still comes is read and thrown away, since unread bytes would take our last answer with them. */
export function hangUp(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), closeGrace)
  socket.once('close', () => clearTimeout(timer))
  socket.end()
  socket.resume()
}
