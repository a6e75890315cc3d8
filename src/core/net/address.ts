// IP addresses and networks out of text, as numbers: one address, however it is spelt.

/** Which addresses: 4, 6, or 0 for a text that is none. */
export type Family = 0 | 4 | 6

/** An address, or all those that begin with its first `prefix` bits. */
export interface Network {
  family: 4 | 6
  /** One word for IPv4, four for IPv6, the first bits first; 0 after the prefix. */
  words: readonly number[]
  /** Bits: up to 32 or 128. */
  prefix: number
}

const colon = 58
const dot = 46
const percent = 37
const slash = 47
/** IPv4 in IPv6 (`::ffff:192.0.2.1`, RFC 4291): what the third word then is, and the bits before the address. */
const mappedWord = 0xffff
const mappedPrefix = 96

/** The longest address, all groups of it written out and IPv4 at its end; a zone may follow. */
const maxLength = 45
const groups = new Uint16Array(8)

/**
 * Reads an address into `words`, which holds four: the first of them for IPv4. An IPv4 address in IPv6 is that IPv4 address;
 * the zone of an IPv6 address is left out. Leading zeros in IPv4, which some read as octal, make it no address.
 */
export function parseAddress(text: string, words: Uint32Array): Family {
  const zone = text.indexOf('%')
  if (zone === -1) return parsePart(text, text.length, words)
  const family = zone < text.length - 1 && text.indexOf(':') !== -1 ? parsePart(text, zone, words) : 0
  return family === 6 ? 6 : 0
}

const read = new Uint32Array(4)

/**
 * A network (`10.0.0.0/8`, `2001:db8::/32`) or a single address; undefined for any other text. What is set after the prefix does
 * not count. An address with a zone is none.
 */
export function parseNetwork(text: string): Network | undefined {
  const end = text.lastIndexOf('/')
  const address = end === -1 ? text : text.slice(0, end)
  if (address.includes('%')) return undefined
  const family = parsePart(address, address.length, read)
  if (family === 0) return undefined
  const bits = family === 4 ? 32 : 128
  let prefix = bits
  if (end !== -1) {
    const digits = text.slice(end + 1)
    if (!/^(?:0|[1-9]\d{0,2})$/.test(digits)) return undefined
    prefix = Number(digits)
    // Of an IPv4 address in IPv6, the prefix counts the bits of IPv6.
    if (family === 4 && address.includes(':')) {
      if (prefix < mappedPrefix) return networkOf(6, [0, 0, mappedWord, read[0] ?? 0], prefix)
      prefix -= mappedPrefix
    }
    if (prefix > bits) return undefined
  }
  return networkOf(family, family === 4 ? read.subarray(0, 1) : read, prefix)
}

function networkOf(family: 4 | 6, words: Iterable<number>, prefix: number): Network {
  return { family, prefix, words: Array.from(words, (word, index) => maskWord(word, prefix - 32 * index)) }
}

/** The first `bits` bits of a word; none for 0 and less. */
function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? word : (word & (-1 << (32 - bits))) >>> 0
}

function parsePart(text: string, end: number, words: Uint32Array): Family {
  if (end < 2 || end > maxLength) return 0
  // Most values of a field that are no addresses are told by this alone.
  const first = text.charCodeAt(0)
  if (first !== colon && hexDigit(first) < 0) return 0
  for (let i = 0; i < end; i++) {
    const unit = text.charCodeAt(i)
    if (unit === colon) return parseV6(text, end, words)
    if (unit === dot) {
      const address = parseV4(text, 0, end)
      if (address < 0) return 0
      words[0] = address
      return 4
    }
    if (unit === slash || unit === percent) return 0
  }
  return 0
}

/** The number of an address, or -1. */
function parseV4(text: string, from: number, end: number): number {
  let address = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let i = from; i < end; i++) {
    const unit = text.charCodeAt(i)
    if (unit === dot) {
      if (digits === 0 || ++dots > 3) return -1
      address = address * 256 + part
      part = 0
      digits = 0
      continue
    }
    const digit = unit - 48
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1
    part = part * 10 + digit
    if (++digits > 3 || part > 255) return -1
  }
  return dots === 3 && digits > 0 ? address * 256 + part : -1
}

function parseV6(text: string, end: number, words: Uint32Array): Family {
  let count = 0
  /** How many groups stand before `::`. */
  let gap = -1
  let at = 0
  if (text.charCodeAt(0) === colon) {
    if (text.charCodeAt(1) !== colon) return 0
    gap = 0
    at = 2
  }
  while (at < end) {
    if (count === 8) return 0
    const start = at
    let value = 0
    for (; at < end; at++) {
      const digit = hexDigit(text.charCodeAt(at))
      if (digit < 0) break
      value = value * 16 + digit
      if (at - start === 4) return 0
    }
    if (at < end && text.charCodeAt(at) === dot) {
      const address = parseV4(text, start, end)
      if (address < 0 || count > 6) return 0
      groups[count++] = address >>> 16
      groups[count++] = address & 0xffff
      break
    }
    if (at === start) return 0
    groups[count++] = value
    if (at === end) break
    // A colon comes next, and then a group or another colon.
    if (text.charCodeAt(at) !== colon || ++at === end) return 0
    if (text.charCodeAt(at) !== colon) continue
    if (gap !== -1) return 0
    gap = count
    at++
  }
  if (gap === -1 ? count !== 8 : count > 7) return 0
  if (gap !== -1) {
    groups.copyWithin(8 - (count - gap), gap, count)
    groups.fill(0, gap, 8 - (count - gap))
  }
  for (let i = 0; i < 4; i++) words[i] = ((groups[2 * i] ?? 0) * 65_536 + (groups[2 * i + 1] ?? 0)) >>> 0
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== mappedWord) return 6
  words[0] = words[3] ?? 0
  return 4
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(unit: number): number {
  if (unit >= 48 && unit <= 57) return unit - 48
  const small = unit | 32
  return small >= 97 && small <= 102 ? small - 87 : -1
}
