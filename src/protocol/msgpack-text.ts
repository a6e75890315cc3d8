// Texts out of UTF-8 bytes, fast where the same short ones come again and again.

declare global {
  interface Buffer {
    // In every Node, though not in the types of Node 20; a third faster than toString.
    utf8Slice(start: number, end: number): string
  }
}

/**
 * Short texts come again and again (hosts, services, levels), and to look one up is cheaper than to make it. Memory: 4096
 * texts of at most 24 bytes, and the bytes they were made of.
 */
const maxCached = 24
const cacheBits = 12
const texts: string[] = new Array(1 << cacheBits).fill('')
const lengths = new Uint8Array(1 << cacheBits)
const known = new DataView(new ArrayBuffer(maxCached << cacheBits))

/** The text of `length` bytes at `start`. What is not UTF-8 becomes U+FFFD. `view` is of the same bytes as `buffer`. */
export function readText(buffer: Buffer, view: DataView, start: number, length: number): string {
  if (length > maxCached) return buffer.utf8Slice(start, start + length)
  if (length === 0) return ''
  const slot = hashBytes(view, start, length) >>> (32 - cacheBits)
  const place = slot * maxCached
  if (lengths[slot] === length && sameBytes(view, start, known, place, length)) return texts[slot] ?? ''
  const text = buffer.utf8Slice(start, start + length)
  texts[slot] = text
  lengths[slot] = length
  for (let i = 0; i < length; i++) known.setUint8(place + i, view.getUint8(start + i))
  return text
}

/*
 * Both go by four bytes at a time; the last four overlap those before them. The order of the bytes does not matter here,
 * and machines read the little end first.
 */

/** True when `length` bytes of both are the same. */
export function sameBytes(a: DataView, atA: number, b: DataView, atB: number, length: number): boolean {
  if (length < 4) {
    for (let i = 0; i < length; i++) if (a.getUint8(atA + i) !== b.getUint8(atB + i)) return false
    return true
  }
  const last = length - 4
  for (let i = 0; i < last; i += 4) if (a.getInt32(atA + i, true) !== b.getInt32(atB + i, true)) return false
  return a.getInt32(atA + last, true) === b.getInt32(atB + last, true)
}

/** A hash of 32 bits, of which the high ones are the best. */
function hashBytes(view: DataView, start: number, length: number): number {
  let hash = length
  if (length < 4) {
    for (let i = 0; i < length; i++) hash = (hash << 8) | view.getUint8(start + i)
    return Math.imul(hash, multiplier)
  }
  const last = start + length - 4
  for (let at = start; at < last; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), multiplier)
    hash ^= hash >>> 15
  }
  return Math.imul(hash ^ view.getInt32(last, true), multiplier)
}

/** 2^32 divided by the golden ratio: neighbours land far from each other. */
const multiplier = 0x9e3779b1
