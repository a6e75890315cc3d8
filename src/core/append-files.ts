// Many files that are appended to, of which only so many are open at a time.
import { resolve } from 'node:path'
import type { Json, Marks, Position } from './action.ts'
import { AppendFile } from './append-file.ts'
import { cutToMarks, fileMarkOf, liveLength, noOthers, settle } from './append-file-marks.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Logger } from './log.ts'

/** Files that wait for the disk at the same time: more would take the threads that others wait for. */
const parallelSyncs = 4

/** Milliseconds between two looks into the states of other pipelines. */
const lookInterval = 1000

interface LiveFile {
  file: AppendFile
  path: string
  /** Bytes, as of the last write, or the last mark. */
  length: number
  /** Written to since the last mark. */
  grown: boolean
}

export interface AppendFilesOptions {
  /** Files that are open at a time, at most. */
  maxOpen: number
  /** Begins each new file. */
  head?: string | undefined
  log?: Logger
  /** Saves at once how far files were written: when the pipeline keeps durable state. */
  intend?: ((marks: Position) => void) | undefined
}

export class AppendFiles {
  readonly #maxOpen: number
  readonly #head: string
  readonly #log: Logger | undefined
  /** By path; the least recently used first. */
  readonly #files = new Map<string, AppendFile>()
  /** Written since the last sync; closed ones too. */
  #unsynced = new Set<AppendFile>()
  #last: AppendFile | undefined

  readonly #intend: ((marks: Position) => void) | undefined
  #others = noOthers
  /** Files that were written to since the last commit but one: the state knows how far. By identity; closed ones too. */
  readonly #live = new Map<string, LiveFile>()
  /** Marks in the state of files of which everything is committed. */
  readonly #idle = new Map<string, Json>()
  /** Milliseconds of the process's clock, from which they may be looked at again. */
  #nextLook = 0

  /** The debug log tells what is opened and closed. */
  constructor({ maxOpen, head = '', log, intend }: AppendFilesOptions) {
    this.#maxOpen = maxOpen
    this.#head = head
    this.#log = log
    this.#intend = intend
  }

  /** Cuts off what was written after the last commit. Throws OUTPUT_UNAVAILABLE when a file cannot be cut. */
  recover(marks: Marks, others = noOthers): void {
    this.#others = others
    cutToMarks(marks, others, this.#log)
    // They have done what they were there for: an old mark must not cut what comes later.
    for (const [key, mark] of marks) this.#idle.set(key, mark)
  }

  /**
   * How far the files are written that were written since the last call. Those that were not need no mark: everything
   * in them is committed, and whoever writes to them next says so first.
   */
  mark(): Position {
    const marks: Position = {}
    for (const [key, live] of this.#live) {
      if (live.grown) {
        live.length = sizeOf(live.file)
        live.grown = false
        marks[key] = fileMarkOf(live.path, live.length)
      } else {
        const mark = fileMarkOf(live.path, live.length, true)
        marks[key] = mark
        this.#live.delete(key)
        this.#idle.set(key, mark)
      }
    }
    if (this.#idle.size > 0 && performance.now() >= this.#nextLook) Object.assign(marks, this.#settleIdle())
    return marks
  }

  /** After the last commit: the marks that keep other pipelines from cutting what is committed here. */
  lastingMarks(): Position {
    for (const [key, { path, length }] of this.#live) this.#idle.set(key, fileMarkOf(path, length, true))
    this.#live.clear()
    const settled = { ...Object.fromEntries(this.#idle), ...this.#settleIdle() }
    return Object.fromEntries(Object.entries(settled).filter(([, mark]) => mark !== null))
  }

  /**
   * Says at once of many files, of which some are new, that they will be written to: with durable state that waits for the
   * disk, one time instead of one time a file. Throws OUTPUT_UNAVAILABLE, retriable, when the state cannot be saved.
   */
  announce(paths: Iterable<string>): void {
    if (this.#intend === undefined) return
    const marks: Position = {}
    const announced: [file: AppendFile, size: number][] = []
    for (const path of paths) {
      if (announced.length === this.#maxOpen) break
      try {
        const file = this.#open(path)
        const size = file.size()
        if (this.#isKnown(file, size)) continue
        marks[file.identity] = this.#newMark(file, size)
        announced.push([file, size])
      } catch {
        // The write says what is wrong with it.
      }
    }
    if (announced.length === 0) return
    this.#save(marks, 'files')
    for (const [file, size] of announced) this.#follow(file, size)
  }

  /** Appends lines to the file at a path. Throws as AppendFile does. */
  append(path: string, lines: readonly string[]): void {
    let file = this.#open(path)
    while (!this.#appendTo(file, lines)) {
      // Removed by somebody: what it held is gone with it, what comes goes to a new file.
      this.#log?.debug({ path }, 'the file was removed; a new one takes its place')
      this.#forget(file)
      file = this.#open(path)
    }
    this.#unsynced.add(file)
  }

  /** Resolves when everything appended so far would survive a power cut. Rejects as AppendFile.sync does. */
  async sync(): Promise<void> {
    const files = this.#unsynced
    this.#unsynced = new Set()
    const waiting = files.values()
    const work = async () => {
      for (const file of waiting) {
        await file.sync()
        files.delete(file)
      }
    }
    try {
      const results = await Promise.allSettled(Array.from({ length: parallelSyncs }, work))
      for (const result of results) if (result.status === 'rejected') throw result.reason
    } finally {
      for (const file of files) this.#unsynced.add(file)
    }
  }

  close(): void {
    for (const file of this.#files.values()) file.close()
    this.#files.clear()
    this.#last = undefined
  }

  #appendTo(file: AppendFile, lines: readonly string[]): boolean {
    if (this.#intend === undefined) return file.append(lines, this.#head)
    if (!file.append(lines, this.#head, (size) => this.#announceOne(file, size))) return false
    const live = this.#live.get(file.identity)
    if (live !== undefined) {
      live.length = file.length
      live.grown = true
    }
    return true
  }

  /** The state must know of a file before it is written to: what it does not know of it does not cut. */
  #announceOne(file: AppendFile, size: number): void {
    if (this.#isKnown(file, size)) return
    this.#save({ [file.identity]: this.#newMark(file, size) }, file.path)
    this.#follow(file, size)
  }

  #isKnown(file: AppendFile, size: number): boolean {
    const live = this.#live.get(file.identity)
    // Not when somebody has emptied it.
    if (live === undefined || size < live.length) return false
    // It may have been closed and opened again since: its mark stands.
    live.file = file
    return true
  }

  #newMark({ identity, path }: AppendFile, size: number): Json {
    // What another output of the pipeline has written since the last commit is not committed.
    const length = Math.min(size, ...this.#others.here(identity).flatMap((mark) => liveLength(mark) ?? []))
    return fileMarkOf(resolve(path), length)
  }

  #save(marks: Position, what: string): void {
    try {
      this.#intend?.(marks)
    } catch (cause) {
      const message = `cannot write to ${what}, because the state cannot be saved: ${messageOf(cause)}`
      throw new FeedooError('OUTPUT_UNAVAILABLE', message, { cause, retriable: true })
    }
  }

  #follow(file: AppendFile, size: number): void {
    this.#live.set(file.identity, { file, path: resolve(file.path), length: size, grown: false })
    this.#idle.delete(file.identity)
  }

  /** Takes away what no other pipeline makes necessary. */
  #settleIdle(): Position {
    try {
      const elsewhere = this.#others.elsewhere()
      const settled = settle(this.#idle, elsewhere)
      if (elsewhere !== undefined) this.#nextLook = performance.now() + lookInterval
      for (const [key, mark] of Object.entries(settled)) {
        if (mark === null) this.#idle.delete(key)
        else this.#idle.set(key, mark)
      }
      return settled
    } catch (error) {
      this.#log?.debug({ reason: messageOf(error) }, 'marks stay: the states of other pipelines cannot be read')
      return {}
    }
  }

  #open(path: string): AppendFile {
    let file = this.#last?.path === path ? this.#last : this.#files.get(path)
    if (file === undefined) {
      this.#makeRoom()
      file = new AppendFile(path)
      this.#files.set(path, file)
      this.#log?.debug({ path, length: file.length }, 'opened')
    } else if (file !== this.#last) {
      // The most recently used stands last in the order of the map.
      this.#files.delete(path)
      this.#files.set(path, file)
    }
    this.#last = file
    return file
  }

  #makeRoom(): void {
    for (const file of this.#files.values()) {
      if (this.#files.size < this.#maxOpen) return
      this.#forget(file)
    }
  }

  #forget(file: AppendFile): void {
    file.close()
    this.#log?.debug({ path: file.path, length: file.length }, 'closed')
    this.#files.delete(file.path)
    if (this.#last === file) this.#last = undefined
  }
}

/** Not only what this output has written: what others have committed must not be cut with it. */
function sizeOf(file: AppendFile): number {
  try {
    return file.size()
  } catch {
    return file.length
  }
}
