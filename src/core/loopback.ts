// Which addresses only this machine can reach.
import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Of an address in any notation, and of the name localhost. Any other name is none. */
export function isLoopback(address: string): boolean {
  const family = isIP(address)
  return address === 'localhost' || (family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4'))
}
