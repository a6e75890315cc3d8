// The files that are known: those that are read, and those out of sight whose positions are kept.
import type { Json, Position } from '../action.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { LineOptions } from './line-events.ts'
import { TailFile } from './tail-file.ts'
import type { Found } from './walk.ts'

export interface KnownFilesOptions {
  /** Files out of sight whose positions are kept. */
  maxRemembered: number
  lines: LineOptions
  clock: Clock
  log: Logger
}

/** Scans in which a file that went out of sight unread is looked for under other names. */
export const searches = 3
/** Files that are looked for at a time. */
const maxLost = 1000
/** Position that tells that the input has run before. */
const startedKey = 'started'

export class KnownFiles {
  /** Files to be read, in the order in which they were found. */
  readonly live = new Set<TailFile>()
  /** Positions that changed without an event. */
  changes: Position = {}
  readonly #options: KnownFilesOptions
  /** The oldest first. */
  readonly #gone = new Set<TailFile>()
  readonly #byKey = new Map<string, TailFile>()
  #nextId = 1

  constructor(options: KnownFilesOptions, positions: ReadonlyMap<string, Json>) {
    this.#options = options
    for (const [id, position] of positions) {
      const file = TailFile.restore(id, position, options.lines)
      if (file === undefined) continue
      file.searches = searches
      this.#nextId = Math.max(this.#nextId, Number(id) + 1 || 0)
      this.#gone.add(file)
      this.#restoreKey(file)
    }
    if (positions.size === 0) this.changes[startedKey] = true
  }

  /** Files out of sight. */
  get gone(): ReadonlySet<TailFile> {
    return this.#gone
  }

  /** The files out of sight that are looked for under other names. */
  get lost(): TailFile[] {
    return [...this.#gone].filter((file) => file.searches > 0).slice(-maxLost)
  }

  /** The file with this `device:inode`. */
  withKey(key: string): TailFile | undefined {
    return this.#byKey.get(key)
  }

  has(file: TailFile): boolean {
    return this.live.has(file) || this.#gone.has(file)
  }

  add(item: Found, state: 'follow' | 'draining'): TailFile {
    const file = new TailFile(String(this.#nextId++), item.path, item.stat.key, this.#options.lines)
    file.state = state
    file.notice(item.stat, this.#options.clock.now())
    this.live.add(file)
    this.#byKey.set(file.key, file)
    return file
  }

  /** It is in sight, whether it was before or not. */
  see(file: TailFile): void {
    this.#gone.delete(file)
    this.live.add(file)
  }

  /** It went out of sight before it was read to its end, as far as that is known. */
  lose(file: TailFile): void {
    file.searches = searches
    this.#remember(file)
  }

  /** What was read of the file no longer stands in it: it is remembered by itself, as a copy may have it. */
  async detach(file: TailFile): Promise<void> {
    this.#options.log.debug({ path: file.path }, 'a file was truncated or replaced')
    await file.close()
    this.dropKey(file)
    file.path = file.content.readAs
    this.changes[file.id] = file.position()
    this.lose(file)
  }

  /** Its inode is another file's now. */
  dropKey(file: TailFile): void {
    if (this.#byKey.get(file.key) === file) this.#byKey.delete(file.key)
    file.key = ''
  }

  /** The file is read to its end and out of sight. */
  async leave(file: TailFile): Promise<void> {
    await file.close()
    this.#remember(file)
  }

  /** Nothing is kept of the file. */
  forget(file: TailFile): void {
    file.state = 'gone'
    this.live.delete(file)
    this.#gone.delete(file)
    if (this.#byKey.get(file.key) === file) this.#byKey.delete(file.key)
    this.changes[file.id] = null
  }

  /** Forgets the oldest of those out of sight, where they are too many. */
  bound(): void {
    for (const file of this.#gone) {
      if (this.#gone.size <= this.#options.maxRemembered) return
      this.forget(file)
    }
  }

  async close(): Promise<void> {
    for (const file of this.live) await file.close()
  }

  #remember(file: TailFile): void {
    file.state = 'gone'
    this.live.delete(file)
    if (file.content.offset === 0) this.forget(file)
    else this.#gone.add(file)
  }

  /** Of two with one inode, the younger has it. */
  #restoreKey(file: TailFile): void {
    const other = this.#byKey.get(file.key)
    if (file.key === '') return
    const loser = other !== undefined && Number(other.id) > Number(file.id) ? file : other
    if (loser !== undefined) loser.key = ''
    if (loser !== file) this.#byKey.set(file.key, file)
  }
}
