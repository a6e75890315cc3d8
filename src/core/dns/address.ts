// An address as block lists know it: one spelling for each, whether it is of the public network, and its name in a list.
import { type Network, parseAddress, parseNetwork } from '../net/address.ts'

/** Networks of which no list can say anything, because each site has its own or nobody sends from there. */
const innerNetworks: readonly Network[] = [
  // This network, private (RFC 1918), shared by the customers of a provider (RFC 6598), loopback, link-local.
  '0.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  // Multicast and broadcast.
  '224.0.0.0/4',
  '255.255.255.255',
  // Unspecified, loopback, unique-local (RFC 4193), link-local, once site-local, multicast.
  '::',
  '::1',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
].flatMap((text) => parseNetwork(text) ?? [])

const words = new Uint32Array(4)

/**
 * The one spelling of an address: IPv4 with dots, also one that is mapped into IPv6; IPv6 as eight groups of four small
 * hexadecimal digits, without a zone. Undefined for a text that is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  const family = parseAddress(text, words)
  if (family === 0) return undefined
  if (family === 4) {
    const [word = 0] = words
    return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`
  }
  let spelling = ''
  for (const word of words) spelling += `${spelling && ':'}${fourDigits(word >>> 16)}:${fourDigits(word & 0xffff)}`
  return spelling
}

/** False for private, loopback, link-local, multicast and unspecified addresses, and for what is no address. */
export function isPublic(address: string): boolean {
  const family = parseAddress(address, words)
  return family !== 0 && !innerNetworks.some((network) => network.family === family && holds(network))
}

/** What stands before the domain of a list, RFC 5782: the numbers, or the 32 digits, backwards. Takes the one spelling. */
export function reversedAddress(address: string): string {
  if (!address.includes(':')) return address.split('.').reverse().join('.')
  return [...address.replaceAll(':', '')].reverse().join('.')
}

function fourDigits(group: number): string {
  return (0x10000 + group).toString(16).slice(1)
}

/** Whether the network holds the address in `words`. */
function holds({ words: start, prefix }: Network): boolean {
  return start.every((word, index) => {
    const bits = prefix - 32 * index
    if (bits <= 0) return true
    const differs = (words[index] ?? 0) ^ word
    return (bits >= 32 ? differs : differs >>> (32 - bits)) === 0
  })
}
