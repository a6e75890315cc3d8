// What is known of a file's content by having read it: how far, and by what it is known again.
import type { FileHandle } from 'node:fs/promises'
import {
  beforeLimit,
  type Fingerprint,
  fingerprint,
  fits,
  growHead,
  headLimit,
  lastBytes,
  noFingerprint,
} from './fingerprint.ts'
import { type Content, readRange } from './rotation.ts'

export class ReadContent implements Content {
  /** Of the first byte that was not emitted in a whole line; of decoded bytes. */
  offset = 0
  head: Fingerprint = noFingerprint
  before: Fingerprint = noFingerprint
  /** Reading stands inside a line that is too long. */
  skip = false
  /** Of a file without a position: what is there already is taken as read. */
  fromEnd = false
  /** The path by which it was last found intact. */
  readAs: string
  /** Bytes, decoded, up to which the file was read, also inside of a line. */
  #read = 0
  /** Kept when the file is closed: a copy may be shorter than the head. */
  #headBytes: Buffer = Buffer.alloc(0)
  /** The bytes before `#read`. */
  #last: Buffer = Buffer.alloc(0)

  constructor(path: string) {
    this.readAs = path
  }

  get read(): number {
    return this.#read
  }

  /** The bytes before `read`, up to `beforeLimit`. */
  get last(): Buffer {
    return this.#last
  }

  /** Whether the file, if this was its end, is too short and begins with something else than what was read. */
  get isMissing(): boolean {
    return this.#read < this.offset && !fits(this.head, this.#headBytes)
  }

  /** Goes on where other content ended that this file holds a copy of. */
  adopt(content: Content): void {
    this.offset = content.offset
    this.head = content.head
    this.before = content.before
    this.skip = content.skip ?? false
  }

  /** Whether it still stands in this plain file. */
  async isIntact(handle: FileHandle): Promise<boolean> {
    return (await this.#find(handle)) !== undefined
  }

  /** Whether the plain file begins with what it did. */
  async hasHead(handle: FileHandle): Promise<boolean> {
    return fits(this.head, await readRange(handle, 0, headLimit))
  }

  /** Whether `bytes`, fewer than the head, are the first ones that were read; undefined when it is no longer known. */
  beganWith(bytes: Buffer): boolean | undefined {
    if (this.#headBytes.length < bytes.length) return undefined
    return this.#headBytes.subarray(0, bytes.length).equals(bytes)
  }

  /** All of a plain file up to `offset` is taken as read. */
  async seek(handle: FileHandle, offset: number): Promise<void> {
    this.offset = offset
    this.head = fingerprint(await readRange(handle, 0, Math.min(headLimit, offset)))
    this.before = fingerprint(await readRange(handle, Math.max(0, offset - beforeLimit), offset))
  }

  /** Has a plain file that was opened read on from the offset. False when what was read is not there. */
  async resume(handle: FileHandle): Promise<boolean> {
    const found = await this.#find(handle)
    if (found === undefined) return false
    this.#headBytes = found.head.subarray(0, Math.max(this.head.length, Math.min(headLimit, this.offset)))
    this.#last = found.before
    this.#read = this.offset
    return true
  }

  /** Has a compressed file that was opened decoded from its beginning. */
  restart(): void {
    this.#headBytes = Buffer.alloc(0)
    this.#last = Buffer.alloc(0)
    this.#read = 0
  }

  /** Passes over what was emitted in an earlier life of the file at `path`; what comes back is new. */
  passOver(piece: Buffer, path: string): Buffer | 'replaced' {
    const known = this.fromEnd ? piece.length : Math.min(piece.length, this.offset - this.#read)
    if (known <= 0) return piece
    this.#headBytes = growHead(this.#headBytes, piece, this.#read)
    this.#last = lastBytes(this.#last, piece, known)
    this.#read += known
    if (this.fromEnd) {
      this.offset = this.#read
      this.head = fingerprint(this.#headBytes)
      this.before = fingerprint(this.#last)
    } else if (this.#read === this.offset && !(fits(this.head, this.#headBytes) && fits(this.before, this.#last))) {
      return 'replaced'
    }
    if (this.#read === this.offset) this.readAs = path
    return piece.subarray(known)
  }

  /** The next bytes were read; `pending` bytes up to their end belong to a line that is not finished. */
  take(bytes: Buffer, pending: number): void {
    const head = growHead(this.#headBytes, bytes, this.#read)
    if (head !== this.#headBytes) {
      this.#headBytes = head
      this.head = fingerprint(head)
    }
    const start = this.#read
    this.#read += bytes.length
    const offset = this.#read - pending
    if (offset !== this.offset) {
      this.offset = offset
      this.before = fingerprint(lastBytes(this.#last, bytes, offset - start))
    }
    this.#last = lastBytes(this.#last, bytes, bytes.length)
  }

  /** The line that is not finished was emitted, too. */
  takeRest(): void {
    this.skip = false
    this.offset = this.#read
    this.before = fingerprint(this.#last)
  }

  async #find(handle: FileHandle): Promise<{ head: Buffer; before: Buffer } | undefined> {
    const head = await readRange(handle, 0, headLimit)
    const before = await readRange(handle, Math.max(0, this.offset - beforeLimit), this.offset)
    return fits(this.head, head) && fits(this.before, before) ? { head, before } : undefined
  }
}
