// Texts out of UTF-8 bytes, fast where the same short ones come again and again.

declare global {
  interface Buffer {
    // In every Node, though not in the types of Node 20; a third faster than toString.
    latin1Slice(start: number, end: number): string
    utf8Slice(start: number, end: number): string
  }
}

/** The text of `length` bytes at `start`. What is not UTF-8 becomes U+FFFD. */
export function readText(buffer: Buffer, start: number, length: number): string {
  return length <= MAX_CACHED ? cachedText(buffer, start, length) : buffer.utf8Slice(start, start + length)
}

/**
 * Short texts come again and again (keys, hosts, services), and to look one up is cheaper than to make it. Memory: 4096
 * texts of at most 24 bytes.
 */
const MAX_CACHED = 24
const CACHE_MASK = 4095
const cache: string[] = new Array(CACHE_MASK + 1).fill('')

function cachedText(buffer: Buffer, start: number, length: number): string {
  const end = start + length
  let hash = length
  let bits = 0
  for (let i = start; i < end; i++) {
    const byte = buffer[i] ?? 0
    bits |= byte
    hash = (hash * 31 + byte) | 0
  }
  if (bits > 0x7f) return buffer.utf8Slice(start, end)
  const slot = (hash ^ (hash >>> 12)) & CACHE_MASK
  const known = cache[slot] ?? ''
  if (known.length === length) {
    let i = 0
    while (i < length && known.charCodeAt(i) === buffer[start + i]) i++
    if (i === length) return known
  }
  const text = buffer.latin1Slice(start, end)
  cache[slot] = text
  return text
}
