// An address as block lists know it: one spelling for each, whether it is of the public network, and its name in a list.
import { isIPv4, isIPv6 } from 'node:net'

/** First and last address of networks that no list can say anything about: IPv4 as a number. */
const innerIPv4 = (
  [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    // Shared by the customers of a provider, RFC 6598.
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['224.0.0.0', 4],
    ['255.255.255.255', 32],
  ] as const
).map(([network, bits]) => ({ first: numberOf(network), last: numberOf(network) + 2 ** (32 - bits) - 1 }))

/**
 * The one spelling of an address: IPv4 as it is, also one that is mapped into IPv6; IPv6 as eight groups of four small
 * hexadecimal digits, without a zone. Undefined for a text that is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text)) return undefined
  const groups = groupsOf(text.replace(/%.*$/s, ''))
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >>> 8, group & 0xff])
      .join('.')
  return groups.map((group) => group.toString(16).padStart(4, '0')).join(':')
}

/** False for private, loopback, link-local, multicast and unspecified addresses. Takes the one spelling. */
export function isPublic(address: string): boolean {
  if (address.includes(':')) return isPublicIPv6(address)
  const number = numberOf(address)
  return !innerIPv4.some(({ first, last }) => number >= first && number <= last)
}

/** What stands before the domain of a list, RFC 5782: the numbers, or the 32 digits, backwards. Takes the one spelling. */
export function reversedAddress(address: string): string {
  if (!address.includes(':')) return address.split('.').reverse().join('.')
  return [...address.replaceAll(':', '')].reverse().join('.')
}

function isPublicIPv6(address: string): boolean {
  if (address.startsWith('0000:0000:0000:0000:0000:0000:0000:')) return !/000[01]$/.test(address)
  const first = Number.parseInt(address.slice(0, 4), 16)
  const uniqueLocal = (first & 0xfe00) === 0xfc00
  // Link-local, and what once was site-local.
  const local = (first & 0xff80) === 0xfe80
  const multicast = (first & 0xff00) === 0xff00
  return !uniqueLocal && !local && !multicast
}

function numberOf(address: string): number {
  let number = 0
  for (const part of address.split('.')) number = number * 256 + Number(part)
  return number
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const first = partsOf(head)
  if (tail === undefined) return first
  const last = partsOf(tail)
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
}

function partsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const number = numberOf(part)
    return [Math.floor(number / 0x10000), number % 0x10000]
  })
}
