// Decides what a file that was not there before is: a new one, or the copy that a rotation makes of one that is known.
import type { Clock } from '../clock.ts'
import { compressionOf } from './decompress.ts'
import { beforeLimit, fingerprint, fits, headLimit } from './fingerprint.ts'
import { type Comparison, type Content, compareContent } from './rotation.ts'
import type { TailFile } from './tail-file.ts'
import type { Found } from './walk.ts'

/** `wait`: it may be a copy that is being made, or the copy of a file that goes on. */
export type Verdict = 'new' | 'wait' | { of: TailFile; content: Content }

interface Waiting {
  /** Unix seconds of its last change. */
  since: number
  version: string
  /** A compressed file that was found to be a copy of this one, as long as neither changes. */
  copyOf: string | undefined
}

export class Newcomers {
  readonly #options: { clock: Clock; rotateWait: number }
  readonly #waiting = new Map<string, Waiting>()

  /** `rotateWait` in seconds: how long a file that may become a copy is waited for after its last change. */
  constructor(options: { clock: Clock; rotateWait: number }) {
    this.#options = options
  }

  /** `candidates`: files it may be a copy of, by its name. `settled`: it is not waited for. */
  async judge(item: Found, candidates: readonly TailFile[], settled: boolean): Promise<Verdict> {
    const known = candidates.filter((file) => file.head.length > 0)
    if (known.length === 0) return 'new'
    const head = await compareContent(item.path, nothing)
    const alike = known.filter((file) => begins(file, head.head))
    const sources = alike.filter((file) => file.state === 'gone')
    for (const file of sources) {
      const content = await this.#goOn(item, file, head.head, sources.length === 1)
      if (content !== undefined) return { of: file, content }
    }
    const waiting = this.#note(item)
    const late = settled || this.#options.clock.now() - waiting.since >= this.#options.rotateWait
    for (const file of alike) {
      if (file.state !== 'gone' && (await this.#mayBeCopy(item, file, waiting, late))) return 'wait'
    }
    return 'new'
  }

  /** Drops what is known of files that are no longer strangers. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#waiting.keys()) if (!keys.has(key)) this.#waiting.delete(key)
  }

  /** Where to go on in what may be a copy of a file that is gone. */
  async #goOn(item: Found, file: TailFile, head: Buffer, only: boolean): Promise<Content | undefined> {
    if (head.length < file.head.length) return undefined
    // A compressed copy is verified when it is read as far as that: not twice, and not while other files wait.
    if (compressionOf(item.path) !== undefined && only) return file
    const { likeness, length, last } = await compareContent(item.path, file)
    if (likeness === 'same') return file
    if (likeness === 'different' || last === undefined) return undefined
    // The file was written to after the copy was made: all of the copy has been read.
    return { offset: length, head: fingerprint(head.subarray(0, length)), before: fingerprint(last) }
  }

  /** Whether what is in the file is in a file that goes on, too. */
  async #mayBeCopy(item: Found, file: TailFile, waiting: Waiting, late: boolean): Promise<boolean> {
    if (file.state === 'draining') return true
    const copy =
      compressionOf(item.path) === undefined
        ? await this.#isCopy(item, file, late)
        : !late || (await this.#decodesToCopy(item, file, waiting))
    // A file that was truncated meanwhile has been compared with what is no longer there: the next scan knows.
    return copy || !(await file.isIntact())
  }

  async #isCopy(item: Found, file: TailFile, late: boolean): Promise<boolean> {
    const comparison = await compareContent(item.path, file)
    if (comparison.likeness === 'same') return comparison.length <= (await sizeOf(file))
    if (comparison.likeness === 'different' || !(await isPrefix(comparison, file))) return false
    return !late || comparison.length >= headLimit
  }

  async #decodesToCopy(item: Found, file: TailFile, waiting: Waiting): Promise<boolean> {
    // Decoding all of it is dear: once is enough.
    waiting.copyOf ??= (await compareContent(item.path, file)).likeness === 'same' ? file.id : ''
    return waiting.copyOf === file.id
  }

  #note(item: Found): Waiting {
    const version = `${item.stat.size} ${item.stat.mtime}`
    const waiting = this.#waiting.get(item.stat.key)
    if (waiting?.version === version) return waiting
    const noted = { since: this.#options.clock.now(), version, copyOf: undefined }
    this.#waiting.set(item.stat.key, noted)
    return noted
  }
}

const nothing: Content = { offset: 0, head: fingerprint(Buffer.alloc(0)), before: fingerprint(Buffer.alloc(0)) }

/** Whether `head` is the beginning of what the file holds, as far as it goes. */
function begins(file: TailFile, head: Buffer): boolean {
  return head.length < file.head.length || fits(file.head, head)
}

async function sizeOf(file: TailFile): Promise<number> {
  return (await file.look())?.size ?? file.size
}

/** Whether the beginning and the end of a shorter file stand at the same places of a file that is there. */
async function isPrefix({ length, head, last }: Comparison, file: TailFile): Promise<boolean> {
  if (file.compression !== undefined || last === undefined) return false
  const start = await file.peek(0, head.length)
  const end = await file.peek(Math.max(0, length - beforeLimit), length)
  return start.equals(head) && end.equals(last)
}
