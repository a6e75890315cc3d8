// Who is at the other end of a connection, for people and for telling senders apart.
import type { Socket } from 'node:net'

/** Characters of a name in the log. */
const maxShown = 100

/** For people. A Unix socket has no address, nor has a connection that is gone already. */
export function peerOf({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'no address' : `${remoteAddress}:${remotePort}`
}

/** The sender's address without the port, which is another one for each connection. Empty on a Unix socket. */
export function senderAt({ remoteAddress = '' }: Socket): string {
  return remoteAddress.replace(/^::ffff:/i, '')
}

/** For the log: what a stranger says is cut, and has no characters that do anything. */
export function quoted(text: string): string {
  const cut = text.length > maxShown ? `${text.slice(0, maxShown)}...` : text
  return JSON.stringify(cut).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}
