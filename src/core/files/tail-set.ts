// Scans for files to tail: finds them, knows them again by other names, and tells them apart from rotated copies.
import type { Json } from '../action.ts'
import { systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'
import { compressionOf } from './decompress.ts'
import { KnownFiles, type KnownFilesOptions, searches } from './known-files.ts'
import { Newcomers } from './newcomers.ts'
import { Relations } from './relations.ts'
import { compareContent, isRotationOf } from './rotation.ts'
import type { TailFile } from './tail-file.ts'
import { type FileStat, type Found, type Search, walk } from './walk.ts'

export interface TailSetOptions extends Search, KnownFilesOptions {
  /** Files there at the very first scan are read from their end on. */
  fromEnd: boolean
  /** Seconds a new file that looks like the beginning of a copy is given to become one. */
  rotateWait: number
  signal: AbortSignal
}

interface Orphan {
  /** Where it is, once that is known. */
  path: string | undefined
  /** Scans in which it is still looked for. */
  searches: number
}

export class TailSet {
  readonly known: KnownFiles
  /** Something was found out that only another scan can settle. */
  again = false
  /** Folders, and files that match, which could not be read since the last scan began, with the reason. */
  readonly unreadable = new Map<string, string>()
  readonly #options: TailSetOptions
  readonly #newcomers: Newcomers
  /** Inodes that were read under a name that matched, and hold something else since they have another name. */
  readonly #orphans = new Map<string, Orphan>()
  readonly #matches: (path: string) => boolean
  #warned = new Map<string, string>()
  #first: boolean
  #scans = 0

  constructor(options: TailSetOptions, positions: ReadonlyMap<string, Json>) {
    this.#options = options
    this.known = new KnownFiles(options, positions)
    this.#newcomers = new Newcomers(options)
    this.#matches = remember(options.matches)
    this.#first = positions.size === 0
  }

  /** Looks at the folders once. `settled`: nothing is waited for, as a job that ends cannot. */
  async scan(settled: boolean): Promise<void> {
    const { root, deep, signal } = this.#options
    this.again = false
    const { lost } = this.known
    const unnamed = this.#unnamed()
    const warned = this.#warned
    this.#warned = new Map()
    this.unreadable.clear()
    const found = await walk(root, {
      deep,
      signal,
      wants: (path) => this.#matches(path) || unnamed.has(path) || lost.some((file) => isRotationOf(path, file.path)),
      problem: (path, reason, kind) => {
        this.#warnOnce(path, reason, warned)
        if (kind === 'folder' || (kind === 'file' && this.#matches(path))) this.unreadable.set(path, reason)
      },
    })
    if (signal.aborted) return
    // Oldest first: the order in which a person would read them.
    found.sort((a, b) => (BigInt(a.stat.mtime) < BigInt(b.stat.mtime) ? -1 : 1))
    const paths = new Map([...this.known.live].map((file) => [file, file.path]))
    await this.#freeInodes(found, lost)
    const { seen, strangers } = await this.#recognise(found, lost)
    await this.#missSome(seen)
    await this.#meet(strangers, paths, settled, warned)
    for (const file of lost) file.searches--
    this.#first = false
    this.#scans++
    this.known.bound()
  }

  /** Another file stands where this one was: it is remembered, and the next scan finds the new one. */
  async replaced(file: TailFile): Promise<void> {
    if (file.state === 'draining' && file.key !== '') this.#orphans.set(file.key, { path: undefined, searches })
    await this.#detach(file)
  }

  /** Takes the inode from a file that was read to its end, where a copy that is looked for has got it. */
  async #freeInodes(found: readonly Found[], lost: readonly TailFile[]): Promise<void> {
    for (const { path, stat } of found) {
      const file = this.known.withKey(stat.key)
      if (file?.state !== 'gone' || lost.includes(file) || this.#matches(path)) continue
      // What cannot be read is not the copy that is looked for.
      const comparison = await compareContent(path, file.content).catch(() => undefined)
      if (comparison === undefined || comparison.likeness === 'same') continue
      this.known.dropKey(file)
    }
  }

  /** Paths that do not match, of files that are to be read all the same and are not held open. */
  #unnamed(): Set<string> {
    const paths = new Set<string>()
    for (const file of this.known.live) if (file.state === 'draining' && !file.isOpen) paths.add(file.path)
    for (const [key, orphan] of this.#orphans) {
      if (orphan.path !== undefined) paths.add(orphan.path)
      if (orphan.searches-- === 0) this.#orphans.delete(key)
    }
    return paths
  }

  async #recognise(
    found: readonly Found[],
    lost: readonly TailFile[],
  ): Promise<{ seen: Set<TailFile>; strangers: Found[] }> {
    const now = this.#options.clock.now()
    const seen = new Set<TailFile>()
    const strangers = new Map<string, Found>()
    for (const item of found) {
      const file = this.known.withKey(item.stat.key)
      const matches = this.#matches(item.path)
      if (file === undefined) {
        if (!strangers.has(item.stat.key)) strangers.set(item.stat.key, item)
      } else if (seen.has(file)) {
        // A second name of the same file.
      } else if (!matches && !lost.includes(file) && (file.isOpen || file.state !== 'draining')) {
        // Known, open still or read to its end, and renamed to what is not read.
      } else if (file.compression !== compressionOf(item.path) || (!file.isOpen && isTruncated(file, item.stat))) {
        // Another scan, as the copy that a rotation made may be younger than this one's list.
        await this.#detach(file)
      } else if (file.blank && item.stat.size > 0 && (file.size === 0 || file.path !== item.path)) {
        // By nothing but its inode: that may be a copy's now.
        await file.close()
        this.known.forget(file)
        strangers.set(item.stat.key, item)
      } else {
        seen.add(file)
        if (file.state === 'gone') file.ready = !file.finished
        if (file.path !== item.path) {
          this.#options.log.debug({ path: item.path, before: file.path }, 'a file has another name')
          file.rename(item)
          if (file.renamed) this.known.changes[file.id] = file.position()
        }
        file.state = matches ? 'follow' : 'draining'
        this.known.see(file)
        file.notice(item.stat, now)
        if (file.failed) file.ready = true
      }
    }
    return { seen, strangers: [...strangers.values()] }
  }

  /** What becomes of files that are no longer among those that match. */
  async #missSome(seen: ReadonlySet<TailFile>): Promise<void> {
    for (const file of this.known.live) {
      if (seen.has(file)) continue
      const stat = await file.look()
      if (stat === undefined) {
        this.again = true
        this.known.lose(file)
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
    const blank = new Map([...paths.keys()].filter((file) => file.state === 'gone').map((file) => [file.key, file]))
    const fresh = new Map<Found, TailFile>()
    const relations = new Relations()
    if (strangers.length > 0) for (const file of [...this.known.gone, ...this.known.live]) relations.add(file)
    // What has the shorter name may be what the others are copies of.
    for (const item of [...strangers].sort((a, b) => a.path.length - b.path.length)) {
      const orphan = this.#orphans.get(item.stat.key)
      if (orphan !== undefined) Object.assign(orphan, { path: item.path, searches })
      const matches = this.#matches(item.path)
      const wanted = matches || orphan !== undefined
      const related = relations.of(item.path).filter((file) => this.known.has(file))
      // Devices may get other numbers when a machine starts: then content and name tell.
      if (this.#scans === 0) for (const file of this.known.gone) if (file.path === item.path) related.push(file)
      try {
        const verdict = await this.#newcomers.judge(item, related, settled || !wanted)
        if (verdict === 'again') this.again = true
        if (verdict === 'wait' || verdict === 'again' || (verdict === 'new' && !wanted)) continue
        const file = this.known.add(item, matches ? 'follow' : 'draining')
        relations.add(file)
        this.#orphans.delete(item.stat.key)
        if (verdict === 'new') {
          fresh.set(item, file)
          continue
        }
        const { of, content, further } = verdict
        file.content.adopt(content)
        file.rotated = of.path !== item.path
        this.#options.log.debug({ path: item.path, of: of.path }, 'reading goes on in a copy')
        before.set(of.path, file)
        if (!further) this.known.forget(of)
        this.known.changes[file.id] = file.position()
      } catch (error) {
        // Gone since: the next scan will see.
        if (systemCode(error) === 'ENOENT') continue
        const reason = fileReason(error)
        this.#warnOnce(item.path, reason, warned)
        if (matches) this.unreadable.set(item.path, reason)
      }
    }
    for (const item of strangers) {
      const file = fresh.get(item)
      if (file === undefined) continue
      // Again, as they are read in the order in which they were found.
      this.known.live.delete(file)
      this.known.live.add(file)
      file.content.fromEnd = this.#first && this.#options.fromEnd
      const former = before.get(item.path) ?? blank.get(item.stat.key)?.after
      if (former === undefined) continue
      // The lines of a rotated file come before those of the file that took its name.
      former.drained = false
      former.ready = true
      file.after = former
    }
    this.#newcomers.keep(new Set(strangers.map((item) => item.stat.key)))
  }

  async #detach(file: TailFile): Promise<void> {
    this.again = true
    await this.known.detach(file)
  }

  #warnOnce(path: string, reason: string, warned: ReadonlyMap<string, string>): void {
    if (warned.get(path) !== reason) this.#options.log.warn({ path }, `cannot read ${path}: ${reason}`)
    this.#warned.set(path, reason)
  }
}

function isTruncated(file: TailFile, stat: FileStat): boolean {
  return file.compression === undefined && stat.size < file.content.offset
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
