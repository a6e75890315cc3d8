// How a file is recognised by what stands in it: a hash of its beginning, and one of the bytes before an offset.
import { createHash } from 'node:crypto'

/** Bytes at the beginning of a file that are hashed, at most. */
export const headLimit = 1024
/** Bytes before an offset that are hashed, at most. */
export const beforeLimit = 256

export interface Fingerprint {
  /** Bytes it was made of. */
  length: number
  hash: string
}

export const noFingerprint: Fingerprint = Object.freeze({ length: 0, hash: '' })

export function fingerprint(bytes: Uint8Array): Fingerprint {
  if (bytes.length === 0) return noFingerprint
  return { length: bytes.length, hash: createHash('sha256').update(bytes).digest('base64url').slice(0, 22) }
}

/** Whether `bytes` begin with what the fingerprint was made of. Fewer bytes than that do not fit. */
export function fits(print: Fingerprint, bytes: Uint8Array): boolean {
  if (bytes.length < print.length) return false
  return fingerprint(bytes.subarray(0, print.length)).hash === print.hash
}

/** A copy of the last bytes, up to `beforeLimit`, of `previous` followed by the first `end` bytes of `piece`. */
export function lastBytes(previous: Buffer, piece: Buffer, end: number): Buffer {
  if (end >= beforeLimit) return Buffer.from(piece.subarray(end - beforeLimit, end))
  const kept = previous.subarray(Math.max(0, previous.length - (beforeLimit - end)))
  return Buffer.concat([kept, piece.subarray(0, end)])
}

/** `head` with what `piece`, which stands at `offset` of the file, adds to it. */
export function growHead(head: Buffer, piece: Buffer, offset: number): Buffer {
  const from = head.length - offset
  if (head.length >= headLimit || from < 0 || from >= piece.length) return head
  return Buffer.concat([head, piece.subarray(from, from + headLimit - head.length)])
}
