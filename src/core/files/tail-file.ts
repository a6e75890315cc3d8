// One file that is read line by line as it grows: where it stands, and by what it is known again.
import { readSync } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Json } from '../action.ts'
import type { Event } from '../event.ts'
import { type Compression, compressionOf, type Decompressor, decompressor } from './decompress.ts'
import { beforeLimit, type Fingerprint, fits, headLimit } from './fingerprint.ts'
import { LineEvents, type LineOptions } from './line-events.ts'
import { LineSplitter } from './line-splitter.ts'
import { lastLineEnd, readPosition } from './position.ts'
import { Progress } from './progress.ts'
import { type Content, openFile, readRange } from './rotation.ts'
import { type FileStat, fileStat } from './walk.ts'

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
  /** `device:inode`, or empty when its content is no longer in a file that is known. */
  key: string
  readonly compression: Compression | undefined
  /** `draining`: no longer among the files that match, but open still. `gone`: only remembered. */
  state: 'follow' | 'draining' | 'gone' = 'follow'
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
  readonly #progress = new Progress()
  #mtime = ''
  /** Size and time of change of a compressed file that was read to its end. */
  #done = ''
  #handle: FileHandle | undefined
  #splitter: LineSplitter | undefined
  #decoder: Decompressor | undefined
  #ending = false
  #skip = false
  #checkHead = false

  constructor(id: string, path: string, key: string, options: LineOptions) {
    this.id = id
    this.path = path
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
    return file
  }

  /** Goes on where other content ended that this file holds a copy of. */
  adopt(content: Content): void {
    this.#progress.adopt(content)
    this.#skip = content instanceof TailFile && content.#skip
  }

  /** Of the first byte that was not emitted in a whole line; of decoded bytes. */
  get offset(): number {
    return this.#progress.offset
  }

  get head(): Fingerprint {
    return this.#progress.head
  }

  get before(): Fingerprint {
    return this.#progress.before
  }

  position(): Json {
    const { path, key, offset } = this
    return {
      path,
      key,
      offset,
      head: { ...this.head },
      before: { ...this.before },
      ...(this.#skip ? { skip: true } : {}),
      ...(this.#done === '' ? {} : { done: this.#done }),
    }
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

  /** The state of the open file, whatever has become of its name. */
  async look(): Promise<FileStat | undefined> {
    return this.#handle === undefined ? undefined : fileStat(await this.#handle.stat({ bigint: true }))
  }

  /** Bytes of the file, not decoded, wherever reading stands. */
  async peek(from: number, to: number): Promise<Buffer> {
    if (this.#handle !== undefined) return readRange(this.#handle, from, to)
    const handle = await openFile(this.path)
    return readRange(handle, from, to).finally(() => handle.close())
  }

  /** Whether what was read of it is still there. A compressed file is taken at its word. */
  async isIntact(): Promise<boolean> {
    if (this.compression !== undefined) return true
    const head = await this.peek(0, headLimit)
    const before = await this.peek(Math.max(0, this.offset - beforeLimit), this.offset)
    return this.#progress.fits(head, before)
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
    this.#progress.flush()
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
        if (!this.#progress.resume(head, before)) return await closing(handle, 'replaced')
        this.rawRead = this.offset
      } else {
        this.#decoder = decompressor(this.compression)
        this.#progress.rewind()
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
    const { offset, skip } = await lastLineEnd(handle, size, encoding, maxLine)
    this.#skip = skip
    const head = await readRange(handle, 0, Math.min(headLimit, offset))
    const before = await readRange(handle, Math.max(0, offset - beforeLimit), offset)
    this.#progress.seek(offset, head, before)
  }

  async #readPlain(buffer: Buffer): Promise<Buffer | 'end' | 'replaced'> {
    const handle = this.#handle
    if (handle === undefined) return 'end'
    if (this.#checkHead) {
      this.#checkHead = false
      if (!fits(this.head, await readRange(handle, 0, headLimit))) return 'replaced'
    }
    // Each read begins with bytes that are known: so a file that was truncated and has grown again is never mixed up.
    const { last, read } = this.#progress
    const known = last.length
    // Synchronous: the bytes are mostly in the page cache, and another thread's copy of them would be in the cache of
    // another core. Others get their turn in between.
    await nextTurn()
    const bytesRead = readSync(handle.fd, buffer, 0, known + chunkSize, read - known)
    if (bytesRead < known || buffer.compare(last, 0, known, 0, known) !== 0) return 'replaced'
    if (bytesRead === known) return 'end'
    this.rawRead += bytesRead - known
    return buffer.subarray(known, bytesRead)
  }

  async #readDecoded(buffer: Buffer): Promise<Buffer | 'end' | 'replaced'> {
    for (;;) {
      const piece = await this.#decoder?.next()
      if (piece !== undefined) {
        if (this.fromEnd) {
          this.#progress.skip(piece)
          continue
        }
        const rest = this.#progress.passOver(piece)
        if (rest === 'replaced' || rest.length > 0) return rest
        continue
      }
      if (this.#ending || this.#handle === undefined) return 'end'
      const { bytesRead } = await this.#handle.read(buffer, 0, rawChunkSize, this.rawRead)
      if (bytesRead === 0) {
        this.fromEnd = false
        return this.rawRead > this.size ? 'replaced' : 'end'
      }
      this.rawRead += bytesRead
      this.#decoder?.feed(buffer.subarray(0, bytesRead))
    }
  }

  #take(bytes: Buffer): Batch {
    const splitter = this.#splitter
    if (splitter === undefined) return { events: [], bytes: 0 }
    this.#lines.begin(this.path)
    splitter.push(bytes)
    this.#progress.take(bytes, splitter.pending)
    this.#skip = splitter.skipping
    return { events: this.#lines.batch, bytes: bytes.length }
  }
}

async function closing<T>(handle: FileHandle, result: T): Promise<T> {
  await handle.close()
  return result
}
