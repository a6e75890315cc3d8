// Many files that are appended to, of which only so many are open at a time.
import { AppendFile } from './append-file.ts'
import type { Logger } from './log.ts'

/** Files that wait for the disk at the same time: more would take the threads that others wait for. */
const parallelSyncs = 4

export class AppendFiles {
  readonly #maxOpen: number
  readonly #head: string
  readonly #log: Logger | undefined
  /** By path; the least recently used first. */
  readonly #files = new Map<string, AppendFile>()
  /** Written since the last sync; closed ones too. */
  #unsynced = new Set<AppendFile>()
  #last: AppendFile | undefined

  /** `maxOpen` files at most are open; `head` begins each new file; the debug log tells what is opened and closed. */
  constructor(maxOpen: number, head = '', log?: Logger) {
    this.#maxOpen = maxOpen
    this.#head = head
    this.#log = log
  }

  /** Appends lines to the file at a path. Throws as AppendFile does. */
  append(path: string, lines: readonly string[]): void {
    let file = this.#open(path)
    while (!file.append(lines, this.#head)) {
      // Removed by somebody: what it held is gone with it, what comes goes to a new file.
      this.#log?.debug({ path }, 'the file was removed; a new one takes its place')
      this.#forget(file)
      file = this.#open(path)
    }
    this.#unsynced.add(file)
  }

  /** Resolves when everything appended so far would survive a power cut. Rejects with OUTPUT_UNAVAILABLE, retriable. */
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
