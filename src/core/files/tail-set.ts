// The files that are tailed: found, recognised again under other names, and told apart from their rotated copies.
import type { Json, Position } from '../action.ts'
import type { Clock } from '../clock.ts'
import { systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'
import type { Logger } from '../log.ts'
import type { LineOptions } from './line-events.ts'
import { Newcomers } from './newcomers.ts'
import { compareContent, isRotationOf } from './rotation.ts'
import { TailFile } from './tail-file.ts'
import { type Found, type Search, walk } from './walk.ts'

export interface TailSetOptions extends Search {
  /** Files there at the very first scan are read from their end on. */
  fromEnd: boolean
  /** Seconds a new file that looks like the beginning of a copy is given to become one. */
  rotateWait: number
  /** Files out of sight whose positions are kept. */
  maxRemembered: number
  lines: LineOptions
  clock: Clock
  log: Logger
  signal: AbortSignal
}

/** Scans in which a file that went out of sight unread is looked for under other names. */
const searches = 3
/** Files that are looked for at a time. */
const maxLost = 1000
/** Position that tells that the input has run before. */
const startedKey = 'started'

export class TailSet {
  /** Files to be read, in the order in which they were found. */
  readonly live = new Set<TailFile>()
  /** Positions that changed without an event. */
  changes: Position = {}
  /** Something was found out that only another scan can settle. */
  again = false
  /** Folders, and files that match, which could not be read since the last scan began, with the reason. */
  readonly unreadable = new Map<string, string>()
  readonly #options: TailSetOptions
  /** Files out of sight, the oldest first. */
  readonly #gone = new Set<TailFile>()
  readonly #byKey = new Map<string, TailFile>()
  readonly #newcomers: Newcomers
  readonly #matches: (path: string) => boolean
  #warned = new Map<string, string>()
  #nextId = 1
  #first: boolean
  #scans = 0

  constructor(options: TailSetOptions, positions: ReadonlyMap<string, Json>) {
    this.#options = options
    this.#newcomers = new Newcomers(options)
    this.#matches = remember(options.matches)
    this.#first = positions.size === 0
    for (const [id, position] of positions) {
      const file = TailFile.restore(id, position, options.lines)
      if (file === undefined) continue
      file.searches = searches
      this.#nextId = Math.max(this.#nextId, Number(id) + 1 || 0)
      this.#gone.add(file)
      if (file.key !== '') this.#byKey.set(file.key, file)
    }
    if (this.#first) this.changes[startedKey] = true
  }

  /** Looks at the folders once. `settled`: nothing is waited for, as a job that ends cannot. */
  async scan(settled: boolean): Promise<void> {
    const { root, deep, signal } = this.#options
    this.again = false
    const lost = [...this.#gone].filter((file) => file.searches > 0).slice(-maxLost)
    const warned = this.#warned
    this.#warned = new Map()
    this.unreadable.clear()
    const found = await walk(root, {
      deep,
      signal,
      wants: (path) => this.#matches(path) || lost.some((file) => isRotationOf(path, file.path)),
      problem: (path, reason, kind) => {
        this.#warnOnce(path, reason, warned)
        if (kind === 'folder' || (kind === 'file' && this.#matches(path))) this.unreadable.set(path, reason)
      },
    })
    if (signal.aborted) return
    // Oldest first: the order in which a person would read them.
    found.sort((a, b) => (BigInt(a.stat.mtime) < BigInt(b.stat.mtime) ? -1 : 1))
    const paths = new Map([...this.live].map((file) => [file, file.path]))
    await this.#freeInodes(found, lost)
    const { seen, strangers } = this.#recognise(found, lost)
    await this.#missSome(seen)
    await this.#meet(strangers, paths, settled, warned)
    for (const file of lost) file.searches--
    this.#first = false
    this.#scans++
    this.#bound()
  }

  /** Another file stands where this one was: it is remembered, and the next scan finds the new one. */
  async replaced(file: TailFile): Promise<void> {
    await file.close()
    this.#detach(file)
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

  async close(): Promise<void> {
    for (const file of this.live) await file.close()
  }

  /** Takes the inode from a file that was read to its end, where a copy that is looked for has got it. */
  async #freeInodes(found: readonly Found[], lost: readonly TailFile[]): Promise<void> {
    for (const { path, stat } of found) {
      const file = this.#byKey.get(stat.key)
      if (file?.state !== 'gone' || lost.includes(file) || this.#matches(path)) continue
      // What cannot be read is not the copy that is looked for.
      const comparison = await compareContent(path, file).catch(() => undefined)
      if (comparison === undefined || comparison.likeness === 'same') continue
      this.#byKey.delete(file.key)
      file.key = ''
    }
  }

  #recognise(found: readonly Found[], lost: readonly TailFile[]): { seen: Set<TailFile>; strangers: Found[] } {
    const now = this.#options.clock.now()
    const seen = new Set<TailFile>()
    const strangers = new Map<string, Found>()
    for (const item of found) {
      const file = this.#byKey.get(item.stat.key)
      const matches = this.#matches(item.path)
      if (file === undefined) {
        if (!strangers.has(item.stat.key)) strangers.set(item.stat.key, item)
      } else if (seen.has(file)) {
        // A second name of the same file.
      } else if (!matches && !lost.includes(file)) {
        // Known, open still or read to its end, and renamed to what is not read.
      } else if (!file.isOpen && file.compression === undefined && item.stat.size < file.offset) {
        // Another scan, as the copy that a rotation made may be younger than this one's list.
        this.#detach(file)
      } else {
        seen.add(file)
        if (file.path !== item.path) {
          file.rotated = true
          this.#options.log.debug({ path: item.path, before: file.path }, 'a file has another name')
        }
        if (file.state === 'gone') file.ready = !file.finished
        file.path = item.path
        file.state = matches ? 'follow' : 'draining'
        this.#gone.delete(file)
        this.live.add(file)
        file.notice(item.stat, now)
        if (file.failed) file.ready = true
      }
    }
    return { seen, strangers: [...strangers.values()] }
  }

  /** What becomes of files that are no longer among those that match. */
  async #missSome(seen: ReadonlySet<TailFile>): Promise<void> {
    for (const file of this.live) {
      if (seen.has(file)) continue
      const stat = await file.look()
      if (stat === undefined) {
        file.searches = searches
        this.again = true
        this.#remember(file)
        continue
      }
      if (file.state === 'follow') file.ready = true
      file.state = 'draining'
      file.rotated = true
      file.notice(stat, this.#options.clock.now())
    }
  }

  async #meet(
    strangers: readonly Found[],
    paths: ReadonlyMap<TailFile, string>,
    settled: boolean,
    warned: ReadonlyMap<string, string>,
  ): Promise<void> {
    const before = new Map([...paths].filter(([file]) => file.isOpen).map(([file, path]) => [path, file]))
    const fresh: Found[] = []
    // Devices may get other numbers when a machine starts: then content and name tell.
    const restored = this.#scans === 0 ? this.#gone : new Set<TailFile>()
    for (const item of strangers) {
      const matches = this.#matches(item.path)
      const candidates = [...this.#gone, ...this.live].filter(
        (file) => isRotationOf(item.path, file.path) || (file.path === item.path && restored.has(file)),
      )
      try {
        const verdict = await this.#newcomers.judge(item, candidates, settled || !matches)
        if (verdict === 'new') {
          if (matches) fresh.push(item)
        } else if (verdict !== 'wait') {
          const copy = this.#add(item, matches ? 'follow' : 'draining')
          copy.adopt(verdict.content)
          copy.rotated = verdict.of.path !== item.path
          this.#options.log.debug({ path: item.path, of: verdict.of.path }, 'reading goes on in a copy')
          before.set(verdict.of.path, copy)
          this.forget(verdict.of)
          this.changes[copy.id] = copy.position()
        }
      } catch (error) {
        // Gone since: the next scan will see.
        if (systemCode(error) === 'ENOENT') continue
        const reason = fileReason(error)
        this.#warnOnce(item.path, reason, warned)
        if (matches) this.unreadable.set(item.path, reason)
      }
    }
    for (const item of fresh) {
      const file = this.#add(item, 'follow')
      file.fromEnd = this.#first && this.#options.fromEnd
      const former = before.get(item.path)
      if (former === undefined) continue
      // The lines of a rotated file come before those of the file that took its name.
      former.drained = false
      former.ready = true
      file.after = former
    }
    this.#newcomers.keep(new Set(strangers.map((item) => item.stat.key)))
  }

  #add(item: Found, state: 'follow' | 'draining'): TailFile {
    const file = new TailFile(String(this.#nextId++), item.path, item.stat.key, this.#options.lines)
    file.state = state
    file.notice(item.stat, this.#options.clock.now())
    this.live.add(file)
    this.#byKey.set(file.key, file)
    return file
  }

  #detach(file: TailFile): void {
    this.#options.log.debug({ path: file.path }, 'a file was truncated or replaced')
    if (this.#byKey.get(file.key) === file) this.#byKey.delete(file.key)
    file.key = ''
    file.searches = searches
    this.again = true
    this.#remember(file)
  }

  #remember(file: TailFile): void {
    file.state = 'gone'
    this.live.delete(file)
    if (file.offset === 0) this.forget(file)
    else this.#gone.add(file)
  }

  #bound(): void {
    for (const file of this.#gone) {
      if (this.#gone.size <= this.#options.maxRemembered) return
      this.forget(file)
    }
  }

  #warnOnce(path: string, reason: string, warned: ReadonlyMap<string, string>): void {
    if (warned.get(path) !== reason) this.#options.log.warn({ path }, `cannot read ${path}: ${reason}`)
    this.#warned.set(path, reason)
  }
}

/** The answers of one scan are those of the next for as long as a path is asked about. */
function remember(matches: (path: string) => boolean): (path: string) => boolean {
  const limit = 100_000
  let known = new Map<string, boolean>()
  let older = known
  return (path) => {
    const answer = known.get(path) ?? older.get(path) ?? matches(path)
    if (known.size >= limit) {
      older = known
      known = new Map()
    }
    known.set(path, answer)
    return answer
  }
}
