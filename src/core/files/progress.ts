// How far a file was read and emitted, and the fingerprints by which what was emitted is known again.
import { type Fingerprint, fingerprint, fits, growHead, headLimit, lastBytes, noFingerprint } from './fingerprint.ts'
import type { Content } from './rotation.ts'

/** Counted in decoded bytes. */
export class Progress implements Content {
  /** Of the first byte that was not emitted in a whole line. */
  offset = 0
  head: Fingerprint = noFingerprint
  before: Fingerprint = noFingerprint
  /** Of the first byte that was not read yet. */
  read = 0
  /** The bytes before `read`. */
  last: Buffer = Buffer.alloc(0)
  /** The first bytes of the file, as far as they were read. */
  #headBytes: Buffer = Buffer.alloc(0)

  /** Goes on where other content ended that this file holds a copy of. */
  adopt(content: Content): void {
    this.offset = content.offset
    this.head = content.head
    this.before = content.before
  }

  /** Puts the offset where nothing was read, between bytes that are there: the first ones, and those before it. */
  seek(offset: number, head: Buffer, before: Buffer): void {
    this.offset = offset
    this.head = fingerprint(head)
    this.before = fingerprint(before)
  }

  /** Reading goes on at the offset. Returns false when the bytes there are not those that were emitted. */
  resume(head: Buffer, before: Buffer): boolean {
    if (!this.fits(head, before)) return false
    this.#headBytes = head.subarray(0, Math.max(this.head.length, Math.min(headLimit, this.offset)))
    this.last = before
    this.read = this.offset
    return true
  }

  /** Reading begins at the first byte, whatever was emitted. */
  rewind(): void {
    this.#headBytes = Buffer.alloc(0)
    this.last = Buffer.alloc(0)
    this.read = 0
  }

  /** Whether a file with these first bytes, and these before the offset, is the one that was read. */
  fits(head: Buffer, before: Buffer): boolean {
    return fits(this.head, head) && fits(this.before, before)
  }

  /** Counts `piece` as read after a rewind, and gives what of it was not emitted in an earlier life. */
  passOver(piece: Buffer): Buffer | 'replaced' {
    const known = Math.min(piece.length, this.offset - this.read)
    if (known <= 0) return piece
    this.#pass(piece, known)
    if (this.read === this.offset && !this.fits(this.#headBytes, this.last)) return 'replaced'
    return piece.subarray(known)
  }

  /** Counts `piece` as read and as emitted, though it was not. */
  skip(piece: Buffer): void {
    this.#pass(piece, piece.length)
    this.seek(this.read, this.#headBytes, this.last)
  }

  /** Counts `bytes` as read. `pending`: bytes at the end of all that was read that are in no line that was emitted. */
  take(bytes: Buffer, pending: number): void {
    const head = growHead(this.#headBytes, bytes, this.read)
    if (head !== this.#headBytes) {
      this.#headBytes = head
      this.head = fingerprint(head)
    }
    const start = this.read
    this.read += bytes.length
    const offset = this.read - pending
    if (offset !== this.offset) {
      this.offset = offset
      this.before = fingerprint(lastBytes(this.last, bytes, offset - start))
    }
    this.last = lastBytes(this.last, bytes, bytes.length)
  }

  /** Counts all that was read as emitted. */
  flush(): void {
    this.offset = this.read
    this.before = fingerprint(this.last)
  }

  #pass(piece: Buffer, length: number): void {
    this.#headBytes = growHead(this.#headBytes, piece, this.read)
    this.last = lastBytes(this.last, piece, length)
    this.read += length
  }
}
