// Numbers and words that look random and are the same for the same seed everywhere.

/** From 0 to below 1. */
export type Random = () => number

/** Mulberry32: small, and the same row for the same seed. */
export function seeded(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A whole number between two, both included. */
export function int(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1))
}

export function pick(random: Random, list: readonly string[]): string {
  return list[Math.floor(random() * list.length)] ?? ''
}

export function hex(random: Random, digits: number): string {
  let text = ''
  while (text.length < digits) text += Math.floor(random() * 16).toString(16)
  return text
}

export const users = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace']
export const levels = ['debug', 'info', 'info', 'info', 'warn', 'error']
export const words = [
  ...['login', 'catalog', 'images', 'static', 'api', 'search', 'orders', 'account', 'blog', 'assets', 'mail'],
]
export const messages = [
  'request handled for order',
  'cache miss on key',
  'connection from peer closed after bytes',
  'retrying the upload of part',
  'user signed in with session',
]
