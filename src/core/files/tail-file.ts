// One file that is read line by line as it grows: what scans find out about it, and what is left to do for it.
import { type FileHandle, stat } from 'node:fs/promises'
import type { Json } from '../action.ts'
import { systemCode } from '../errors.ts'
import { type Compression, compressionOf } from './decompress.ts'
import type { LineOptions } from './line-events.ts'
import { type Batch, type OpenFile, openToRead } from './open-file.ts'
import { readPosition } from './position.ts'
import { ReadContent } from './read-content.ts'
import { openFile } from './rotation.ts'
import { type FileStat, type Found, fileStat } from './walk.ts'

/**
 * `end`: there is nothing more for now. `replaced`: what was read before is no longer there, so this is another file
 * now. `moved`: the path leads elsewhere; the next scan will tell.
 */
export type Step = Batch | 'end' | 'replaced' | 'moved'

export class TailFile {
  /** Key of its position. */
  readonly id: string
  path: string
  /** `device:inode`, or empty when its content is no longer in a file that is known. */
  key: string
  readonly compression: Compression | undefined
  /** What was read of it. */
  readonly content: ReadContent
  /** `draining`: no longer among the files that match, but open still. `gone`: only remembered. */
  state: 'follow' | 'draining' | 'gone' = 'follow'
  /** Worth a step. */
  ready = true
  /** Read to its end since somebody began to wait for that. */
  drained = false
  /** Not read before this one has been drained: the order of lines across a rotation. */
  after: TailFile | undefined
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
  #mtime = ''
  /** Size and time of change of a compressed file that was read to its end. */
  #done = ''
  #open: OpenFile | undefined
  /** It may hold something else since it was last looked at. */
  #doubted = false
  /** The path in the position that was last made. */
  #savedAs = ''

  constructor(id: string, path: string, key: string, options: LineOptions) {
    this.id = id
    this.path = path
    this.content = new ReadContent(path)
    this.key = key
    this.compression = compressionOf(path)
    this.#options = options
  }

  /** A file as a stored position tells of it, or undefined when the position is of no known form. */
  static restore(id: string, position: Json, options: LineOptions): TailFile | undefined {
    const data = readPosition(position)
    if (data === undefined) return undefined
    const file = new TailFile(id, data.path, data.key, options)
    file.state = 'gone'
    file.content.adopt(data)
    file.#done = data.done
    file.#savedAs = data.path
    return file
  }

  position(): Json {
    const { readAs, offset, head, before, skip } = this.content
    this.#savedAs = readAs
    return {
      path: readAs,
      key: this.key,
      offset,
      head: { ...head },
      before: { ...before },
      ...(skip ? { skip: true } : {}),
      ...(this.#done === '' ? {} : { done: this.#done }),
    }
  }

  /** Whether nothing was read of it, so that it cannot be recognised by what it holds. */
  get blank(): boolean {
    return this.content.offset === 0 && this.content.head.length === 0 && this.#done === ''
  }

  /** Whether it has another name than in its position. */
  get renamed(): boolean {
    return this.content.offset > 0 && this.content.readAs !== this.#savedAs
  }

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Whether a line was begun that nothing has ended yet. */
  get halfLine(): boolean {
    return this.#open?.halfLine ?? false
  }

  /** Whether `endInput` has been called. */
  get ending(): boolean {
    return this.#open?.ending ?? false
  }

  /** Whether the file at its path is the one that was read, and as long as it was at the last scan. */
  async isUnchanged(): Promise<boolean> {
    const now = fileStat(await stat(this.path, { bigint: true }))
    return now.key === this.key && now.size === this.size && now.mtime === this.#mtime
  }

  /** Whether everything in it has been emitted, as far as the last scan knows. */
  get complete(): boolean {
    return this.compression === undefined ? this.content.offset === this.size : this.finished
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
    this.#doubted = true
    return true
  }

  /** Takes another name. Whether what was read came with it, or only the inode, the next step will tell. */
  rename({ path, stat }: Found): void {
    this.path = path
    this.rotated = true
    if (this.compression === undefined) this.doubt()
    // To decode it would be dear: a compressed file that did not change is taken at its word.
    else if (stat.size === this.size && stat.mtime === this.#mtime) this.content.readAs = path
  }

  /** The state of the open file, whatever has become of its name. */
  async look(): Promise<FileStat | undefined> {
    return this.#open?.look()
  }

  /** Calls `look` with the file and its size in bytes. Undefined when another file stands at its path now, or none. */
  async lookInto<T>(look: (handle: FileHandle, size: number) => Promise<T>): Promise<T | undefined> {
    if (this.#open !== undefined) return look(this.#open.handle, (await this.#open.look()).size)
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

  /** Has the next step look whether what was read still stands there, whatever the next scan finds. */
  doubt(): void {
    this.#mtime = ''
    this.#doubted = true
    if (!this.finished) this.ready = true
  }

  /** Reads on by at most one chunk, into `buffer`. Throws what opening and reading throws, and FILE_DAMAGED. */
  async step(buffer: Buffer): Promise<Step> {
    if (this.#open === undefined) {
      const opened = await openToRead(this.path, this.key, this.content, this.#options)
      if (typeof opened === 'string') return opened
      this.#open = opened
      this.#doubted = false
    }
    const open = this.#open
    const doubted = this.#doubted
    this.#doubted = false
    this.steps++
    try {
      return await open.step(buffer, this.path, doubted)
    } finally {
      this.rawRead = open.rawRead
    }
  }

  /** Says that a compressed file has all that it will have; the steps that follow read what the decoder still holds. */
  endInput(): void {
    this.#open?.endInput()
    this.ready = true
  }

  /** The last line, which no newline ends, as nothing more will come. */
  flush(): Batch {
    return this.#open?.flush(this.path) ?? { events: [], bytes: 0 }
  }

  /** Marks a compressed file as read as far as it goes. Returns the text of the line that was cut off, if any. */
  finish(): string {
    this.finished = true
    this.ready = false
    this.#done = this.#version()
    return this.#open?.rest() ?? ''
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    this.steps = 0
    await open?.close()
  }

  #version(): string {
    return `${this.size} ${this.#mtime}`
  }

  #reopenLater(): void {
    // Opened again, a closed decoder starts anew; that the old descriptor closes matters to nobody.
    if (this.ending) this.close().catch(() => {})
    this.finished = false
    this.#done = ''
  }
}
