// Which heartbeats over UDP are answered: their source may be forged, and an answer looks like a heartbeat.
import { addressKey } from './address-key.ts'

export interface HeartbeatGate {
  /** True when an answer may go there. `now` is in milliseconds. */
  mayAnswer(address: string, port: number, now: number): boolean
}

/** Answers per second to one address: some for each sender behind it, and few enough for two receivers in a circle. */
const maxAnswers = 100
/** Addresses that are counted in one second. More get no answer in it. */
const maxAddresses = 10_000
/** Ports below it belong to services, of which none sends heartbeats, and some answer anything. */
const firstFreePort = 1024
/** Milliseconds. */
const window = 1000

/** `ownPort`: a datagram that says it comes from there may be our own answer. */
export function createHeartbeatGate(ownPort: number): HeartbeatGate {
  const counts = new Map<string, number>()
  let since = Number.NEGATIVE_INFINITY
  return {
    mayAnswer(address, port, now) {
      if (port < firstFreePort || port === ownPort) return false
      if (now - since >= window) {
        since = now
        counts.clear()
      }
      const key = addressKey(address)
      const count = counts.get(key) ?? 0
      if (count >= maxAnswers || (count === 0 && counts.size >= maxAddresses)) return false
      counts.set(key, count + 1)
      return true
    },
  }
}
