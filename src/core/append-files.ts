// Many files that are appended to, of which only so many are open at a time.
import { resolve } from 'node:path'
import { z } from 'zod'
import type { Marks, Position } from './action.ts'
import { AppendFile, cutFile } from './append-file.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Logger } from './log.ts'

/** Files that wait for the disk at the same time: more would take the threads that others wait for. */
const parallelSyncs = 4

/** How far a file was written at a commit. */
const fileMark = z.object({ length: z.number(), inode: z.number() })

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
  /** Files of which the state knows how far they were written, closed ones too; for a durable state only. */
  readonly #marked = new Map<string, AppendFile>()
  /** Paths written to since the last mark. */
  readonly #grown = new Set<string>()

  /** The debug log tells what is opened and closed. */
  constructor({ maxOpen, head = '', log, intend }: AppendFilesOptions) {
    this.#maxOpen = maxOpen
    this.#head = head
    this.#log = log
    this.#intend = intend
  }

  /** Cuts off what was written after the last commit. Throws OUTPUT_UNAVAILABLE when a file cannot be cut. */
  recover(marks: Marks): void {
    for (const [path, saved] of marks) {
      const { data } = fileMark.safeParse(saved)
      if (data === undefined) continue
      const cut = this.#cut(path, data.length, data.inode)
      if (cut === undefined) this.#log?.info({ path }, 'the file was moved or removed since the last commit')
      else if (cut > 0) this.#log?.info({ path, bytes: cut }, 'cut off what was written after the last commit')
      else if (cut < 0) this.#log?.error({ path, bytes: -cut }, 'the file has lost bytes since the last commit')
    }
  }

  /** How far the files are written that were written since the last call; null for those that are closed by now. */
  mark(): Position {
    const marks: Position = {}
    for (const [path, file] of this.#marked) {
      if (this.#grown.has(path)) marks[path] = markOf(file)
      else if (this.#files.get(file.path) !== file) {
        // All of it was safe at the mark before: whoever opens it again says so first.
        marks[path] = null
        this.#marked.delete(path)
      }
    }
    this.#grown.clear()
    return marks
  }

  /** Appends lines to the file at a path. Throws as AppendFile does. */
  append(path: string, lines: readonly string[]): void {
    let file = this.#open(path)
    this.#announce(file)
    while (!file.append(lines, this.#head)) {
      // Removed by somebody: what it held is gone with it, what comes goes to a new file.
      this.#log?.debug({ path }, 'the file was removed; a new one takes its place')
      this.#forget(file)
      file = this.#open(path)
      this.#announce(file)
    }
    this.#unsynced.add(file)
    if (this.#intend !== undefined) this.#grown.add(resolve(file.path))
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

  /** The state must know of a file before it is written to: what it does not know of it does not cut. */
  #announce(file: AppendFile): void {
    if (this.#intend === undefined) return
    const path = resolve(file.path)
    const known = this.#marked.get(path)
    if (known === file) return
    // The same file, closed and opened again since the last commit: its mark stands.
    if (known?.inode !== file.inode) {
      try {
        this.#intend({ [path]: markOf(file) })
      } catch (cause) {
        const message = `cannot write to ${path}, because the state cannot be saved: ${messageOf(cause)}`
        throw new FeedooError('OUTPUT_UNAVAILABLE', message, { cause, retriable: true })
      }
    }
    this.#marked.set(path, file)
  }

  #cut(path: string, length: number, inode: number): number | undefined {
    try {
      return cutFile(path, length, inode)
    } catch (cause) {
      throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot cut ${path}: ${messageOf(cause)}`, { cause })
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

function markOf({ length, inode }: AppendFile): { length: number; inode: number } {
  return { length, inode }
}
