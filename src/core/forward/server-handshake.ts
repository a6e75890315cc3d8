// The handshake of one connection, from our HELO to the PONG.
import {
  encodeHelo,
  handshakeLimits,
  newHelo,
  type PingVerdict,
  type ServerSecurity,
  verifyPing,
} from '../../protocol/handshake.ts'
import { MsgpackScanner } from '../../protocol/msgpack-scanner.ts'
import { PushReader } from '../../protocol/push-reader.ts'

export interface ServerHandshake {
  /** To be sent first. */
  helo: Buffer
  /**
   * Takes bytes as they come. When PING is complete: what it came to, and the bytes behind it. Throws a ProtocolError
   * for what is no PING.
   */
  push(bytes: Buffer): { verdict: PingVerdict; rest: Buffer } | undefined
}

export function beginHandshake(security: ServerSecurity): ServerHandshake {
  const helo = newHelo(security)
  const reader = new PushReader(new MsgpackScanner(handshakeLimits))
  return {
    helo: encodeHelo(helo),
    push(bytes) {
      reader.push(bytes)
      const ping = reader.take()
      return ping === undefined ? undefined : { verdict: verifyPing(ping, helo, security), rest: reader.rest() }
    },
  }
}
