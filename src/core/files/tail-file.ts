// One file that is read line by line as it grows: where it stands, and by what it is known again.
import { readSync } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Json } from '../action.ts'
import { systemCode } from '../errors.ts'
import type { Event } from '../event.ts'
import { type Compression, compressionOf, type Decompressor, decompressor } from './decompress.ts'
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
import { LineEvents, type LineOptions } from './line-events.ts'
import { LineSplitter } from './line-splitter.ts'
import { lastLineEnd, readPosition } from './position.ts'
import { type Content, openFile, readRange } from './rotation.ts'
import { type FileStat, type Found, fileStat } from './walk.ts'

/** Bytes read at a time. */
export const chunkSize = 256 * 1024
/** Bytes read at a time of a compressed file. */
const rawChunkSize = 64 * 1024

export interface Batch {
  events: Event[]
  /** Bytes, decoded, that were read for them. */
  bytes: number
}

/**
 * `end`: there is nothing more for now. `replaced`: what was read before is no longer there, so this is another file
 * now. `moved`: the path leads elsewhere; the next scan will tell.
 */
export type Step = Batch | 'end' | 'replaced' | 'moved'

export class TailFile implements Content {
  /** Key of its position. */
  readonly id: string
  path: string
  /** The path by which what was read was last found intact. */
  readAs: string
  /** `device:inode`, or empty when its content is no longer in a file that is known. */
  key: string
  readonly compression: Compression | undefined
  /** `draining`: no longer among the files that match, but open still. `gone`: only remembered. */
  state: 'follow' | 'draining' | 'gone' = 'follow'
  /** Of the first byte that was not emitted in a whole line; of decoded bytes. */
  offset = 0
  head: Fingerprint = noFingerprint
  before: Fingerprint = noFingerprint
  /** Worth a step. */
  ready = true
  /** Read to its end since somebody began to wait for that. */
  drained = false
  /** Not read before this one has been drained: the order of lines across a rotation. */
  after: TailFile | undefined
  /** Where a file without a position begins. */
  fromEnd = false
  /** Bytes as of the last scan. */
  size = 0
  /** Unix seconds of the last change that was seen. */
  changedAt = 0
  /** Unix seconds of the last step that found something. */
  activeAt = 0
  /** Scans since the last change. */
  quiet = 0
  /** Batches emitted and not yet safe. */
  unsafe = 0
  /** Of a compressed file: decoded to its end, or as far as it goes. */
  finished = false
  /** Steps since it was opened. */
  steps = 0
  /** No longer written to: renamed, or the copy that a rotation made. */
  rotated = false
  /** It could not be read; the log says so. */
  failed = false
  /** Scans in which a file is still looked for that went out of sight before it was read to its end. */
  searches = 0
  /** Bytes of the file, not decoded, that were read. */
  rawRead = 0

  readonly #options: LineOptions
  readonly #lines: LineEvents
  #mtime = ''
  /** Size and time of change of a compressed file that was read to its end. */
  #done = ''
  #handle: FileHandle | undefined
  #splitter: LineSplitter | undefined
  #decoder: Decompressor | undefined
  #ending = false
  #skip = false
  #checkHead = false
  /** The path in the position that was last made. */
  #savedAs = ''
  /** The last bytes, not decoded, of a compressed file that were read. */
  #rawLast: Buffer = Buffer.alloc(0)
  #read = 0
  /** Kept when the file is closed: a copy may be shorter than the head. */
  #headBytes: Buffer = Buffer.alloc(0)
  /** The bytes before `#read`. */
  #last: Buffer = Buffer.alloc(0)

  constructor(id: string, path: string, key: string, options: LineOptions) {
    this.id = id
    this.path = path
    this.readAs = path
    this.key = key
    this.compression = compressionOf(path)
    this.#options = options
    this.#lines = new LineEvents(options)
  }

  /** A file as a stored position tells of it, or undefined when the position is of no known form. */
  static restore(id: string, position: Json, options: LineOptions): TailFile | undefined {
    const data = readPosition(position)
    if (data === undefined) return undefined
    const file = new TailFile(id, data.path, data.key, options)
    file.state = 'gone'
    file.adopt(data)
    file.#skip = data.skip
    file.#done = data.done
    file.#savedAs = data.path
    return file
  }

  /** Goes on where other content ended that this file holds a copy of. */
  adopt(content: Content): void {
    this.offset = content.offset
    this.head = content.head
    this.before = content.before
    this.#skip = content instanceof TailFile && content.#skip
  }

  position(): Json {
    const { readAs, key, offset } = this
    this.#savedAs = readAs
    return {
      path: readAs,
      key,
      offset,
      head: { ...this.head },
      before: { ...this.before },
      ...(this.#skip ? { skip: true } : {}),
      ...(this.#done === '' ? {} : { done: this.#done }),
    }
  }

  /** Whether nothing was read of it, so that it cannot be recognised by what it holds. */
  get blank(): boolean {
    return this.offset === 0 && this.head.length === 0 && this.#done === ''
  }

  /** Whether it has another name than in its position. */
  get renamed(): boolean {
    return this.offset > 0 && this.readAs !== this.#savedAs
  }

  get isOpen(): boolean {
    return this.#handle !== undefined
  }

  /** Whether a line was begun that nothing has ended yet. */
  get halfLine(): boolean {
    return (this.#splitter?.pending ?? 0) > 0
  }

  /** Whether `endInput` has been called. */
  get ending(): boolean {
    return this.#ending
  }

  /** Whether the file at its path is the one that was read, and as long as it was at the last scan. */
  async isUnchanged(): Promise<boolean> {
    const now = fileStat(await stat(this.path, { bigint: true }))
    return now.key === this.key && now.size === this.size && now.mtime === this.#mtime
  }

  /** Whether everything in it has been emitted, as far as the last scan knows. */
  get complete(): boolean {
    return this.compression === undefined ? this.offset === this.size : this.finished
  }

  /** Takes what a scan found out. Returns whether the file has changed. */
  notice(stat: FileStat, now: number): boolean {
    const changed = stat.size !== this.size || stat.mtime !== this.#mtime
    this.size = stat.size
    this.#mtime = stat.mtime
    this.quiet = changed ? 0 : this.quiet + 1
    if (!changed) return false
    this.changedAt = now
    // A finished file that changed is read again from its beginning, past what is known of it.
    if (this.compression !== undefined) {
      if (this.#done === this.#version()) this.finished = true
      else this.#reopenLater()
    }
    this.ready = this.compression === undefined || !this.finished
    this.#checkHead = true
    return true
  }

  /** Takes another name. Whether what was read came with it, or only the inode, the next step will tell. */
  rename({ path, stat }: Found): void {
    this.path = path
    this.rotated = true
    if (this.compression === undefined) this.doubt()
    // To decode it would be dear: a compressed file that did not change is taken at its word.
    else if (stat.size === this.size && stat.mtime === this.#mtime) this.readAs = path
  }

  /** The state of the open file, whatever has become of its name. */
  async look(): Promise<FileStat | undefined> {
    return this.#handle === undefined ? undefined : fileStat(await this.#handle.stat({ bigint: true }))
  }

  /** Calls `look` with the file and its size in bytes. Undefined when another file stands at its path now, or none. */
  async lookInto<T>(look: (handle: FileHandle, size: number) => Promise<T>): Promise<T | undefined> {
    if (this.#handle !== undefined) return look(this.#handle, Number((await this.#handle.stat()).size))
    let handle: FileHandle
    try {
      handle = await openFile(this.path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
    try {
      const { key, size } = fileStat(await handle.stat({ bigint: true }))
      return key === this.key ? await look(handle, size) : undefined
    } finally {
      await handle.close()
    }
  }

  /** Whether what was read still stands in this plain file. */
  async isIntact(handle: FileHandle): Promise<boolean> {
    const head = await readRange(handle, 0, headLimit)
    const before = await readRange(handle, Math.max(0, this.offset - beforeLimit), this.offset)
    return fits(this.head, head) && fits(this.before, before)
  }

  /** Whether `bytes`, fewer than the head, are the first ones that were read; undefined when it is no longer known. */
  beganWith(bytes: Buffer): boolean | undefined {
    if (this.#headBytes.length < bytes.length) return undefined
    return this.#headBytes.subarray(0, bytes.length).equals(bytes)
  }

  /** Has the next step look whether what was read still stands there, whatever the next scan finds. */
  doubt(): void {
    this.#mtime = ''
    this.#checkHead = true
    if (!this.finished) this.ready = true
  }

  /** Reads on by at most one chunk, into `buffer`. Throws what opening and reading throws, and FILE_DAMAGED. */
  async step(buffer: Buffer): Promise<Step> {
    if (this.#handle === undefined) {
      const opened = await this.#open()
      if (opened !== 'open') return opened
    }
    this.steps++
    const bytes = this.compression === undefined ? await this.#readPlain(buffer) : await this.#readDecoded(buffer)
    return typeof bytes === 'string' ? bytes : this.#take(bytes)
  }

  /** Says that a compressed file has all that it will have; the steps that follow read what the decoder still holds. */
  endInput(): void {
    this.#decoder?.end()
    this.#ending = true
    this.ready = true
  }

  /** The last line, which no newline ends, as nothing more will come. */
  flush(): Batch {
    this.#lines.begin(this.path)
    this.#splitter?.finish()
    this.#skip = false
    this.offset = this.#read
    this.before = fingerprint(this.#last)
    return { events: this.#lines.batch, bytes: 0 }
  }

  /** Marks a compressed file as read as far as it goes. Returns the text of the line that was cut off, if any. */
  finish(): string {
    const rest = this.#splitter?.rest() ?? ''
    this.finished = true
    this.ready = false
    this.#done = this.#version()
    return rest
  }

  async close(): Promise<void> {
    this.#decoder?.close()
    const handle = this.#handle
    this.#handle = undefined
    this.#decoder = undefined
    this.#splitter = undefined
    this.steps = 0
    await handle?.close()
  }

  #version(): string {
    return `${this.size} ${this.#mtime}`
  }

  #reopenLater(): void {
    // Opened again, a closed decoder starts anew; that the old descriptor closes matters to nobody.
    if (this.#ending) this.close().catch(() => {})
    this.#ending = false
    this.finished = false
    this.#done = ''
  }

  async #open(): Promise<'open' | 'replaced' | 'moved'> {
    const handle = await openFile(this.path)
    try {
      const found = fileStat(await handle.stat({ bigint: true }))
      if (found.key !== this.key) return await closing(handle, 'moved')
      if (this.compression === undefined) {
        if (this.fromEnd) await this.#seekEnd(handle, found.size)
        const head = await readRange(handle, 0, headLimit)
        const before = await readRange(handle, Math.max(0, this.offset - beforeLimit), this.offset)
        if (!fits(this.head, head) || !fits(this.before, before)) return await closing(handle, 'replaced')
        this.#checkHead = false
        this.readAs = this.path
        this.#headBytes = head.subarray(0, Math.max(this.head.length, Math.min(headLimit, this.offset)))
        this.#last = before
        this.#read = this.offset
        this.rawRead = this.offset
      } else {
        this.#decoder = decompressor(this.compression)
        this.#headBytes = Buffer.alloc(0)
        this.#last = Buffer.alloc(0)
        this.#rawLast = Buffer.alloc(0)
        this.#read = 0
        this.rawRead = 0
        this.#ending = false
      }
    } catch (error) {
      await handle.close()
      throw error
    }
    this.#splitter = new LineSplitter(this.#options.encoding, this.#options.maxLine, this.#lines, {
      skipping: this.#skip,
      atStart: this.offset === 0,
    })
    this.#handle = handle
    return 'open'
  }

  /** Puts the offset behind the last newline, so that the line that is being written is read whole. */
  async #seekEnd(handle: FileHandle, size: number): Promise<void> {
    this.fromEnd = false
    const { encoding, maxLine } = this.#options
    const end = await lastLineEnd(handle, size, encoding, maxLine)
    this.offset = end.offset
    this.#skip = end.skip
    this.head = fingerprint(await readRange(handle, 0, Math.min(headLimit, this.offset)))
    this.before = fingerprint(await readRange(handle, Math.max(0, this.offset - beforeLimit), this.offset))
  }

  async #readPlain(buffer: Buffer): Promise<Buffer | 'end' | 'replaced'> {
    const handle = this.#handle
    if (handle === undefined) return 'end'
    if (this.#checkHead) {
      this.#checkHead = false
      if (!fits(this.head, await readRange(handle, 0, headLimit))) return 'replaced'
      this.readAs = this.path
    }
    // Each read begins with bytes that are known: so a file that was truncated and has grown again is never mixed up.
    const known = this.#last.length
    // Synchronous: the bytes are mostly in the page cache, and another thread's copy of them would be in the cache of
    // another core. Others get their turn in between.
    await nextTurn()
    const bytesRead = readSync(handle.fd, buffer, 0, known + chunkSize, this.#read - known)
    if (bytesRead < known || buffer.compare(this.#last, 0, known, 0, known) !== 0) return 'replaced'
    if (bytesRead === known) return 'end'
    this.rawRead += bytesRead - known
    return buffer.subarray(known, bytesRead)
  }

  async #readDecoded(buffer: Buffer): Promise<Buffer | 'end' | 'replaced'> {
    for (;;) {
      const piece = await this.#decoder?.next()
      if (piece !== undefined) {
        const rest = this.#passOver(piece)
        if (rest === 'replaced' || rest.length > 0) return rest
        continue
      }
      if (this.#ending || this.#handle === undefined) {
        // Shorter than what was read, it is a copy that was made before, or something else.
        return this.#read < this.offset && !fits(this.head, this.#headBytes) ? 'replaced' : 'end'
      }
      // As with a plain file, each read begins with bytes that are known.
      const known = this.#rawLast.length
      const { bytesRead } = await this.#handle.read(buffer, 0, known + rawChunkSize, this.rawRead - known)
      if (bytesRead < known || buffer.compare(this.#rawLast, 0, known, 0, known) !== 0) return 'replaced'
      if (bytesRead === known) {
        this.fromEnd = false
        return 'end'
      }
      const bytes = buffer.subarray(known, bytesRead)
      this.rawRead += bytes.length
      this.#rawLast = lastBytes(this.#rawLast, bytes, bytes.length)
      this.#decoder?.feed(bytes)
    }
  }

  /** Passes over what was emitted in an earlier life; what comes back is new. */
  #passOver(piece: Buffer): Buffer | 'replaced' {
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
    if (this.#read === this.offset) this.readAs = this.path
    return piece.subarray(known)
  }

  #take(bytes: Buffer): Batch {
    const splitter = this.#splitter
    if (splitter === undefined) return { events: [], bytes: 0 }
    this.#lines.begin(this.path)
    splitter.push(bytes)
    const head = growHead(this.#headBytes, bytes, this.#read)
    if (head !== this.#headBytes) {
      this.#headBytes = head
      this.head = fingerprint(head)
    }
    const start = this.#read
    this.#read += bytes.length
    const offset = this.#read - splitter.pending
    if (offset !== this.offset) {
      this.offset = offset
      this.before = fingerprint(lastBytes(this.#last, bytes, offset - start))
    }
    this.#last = lastBytes(this.#last, bytes, bytes.length)
    this.#skip = splitter.skipping
    return { events: this.#lines.batch, bytes: bytes.length }
  }
}

async function closing<T>(handle: FileHandle, result: T): Promise<T> {
  await handle.close()
  return result
}
