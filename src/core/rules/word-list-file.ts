// A list of words in a file: read piece by piece, and again when the file has changed, beside the stream.
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { FeedooError, systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'
import type { Logger } from '../log.ts'
import { WordLines } from './word-list-lines.ts'

export interface WordFileOptions<Built> {
  path: string
  /** Bytes: a larger file is not read. */
  maxSize: number
  clock: Clock
  log: Logger
  /** Makes of the words what is used, in steps of a few milliseconds. */
  build(words: readonly string[]): Generator<void, Built>
  /** Takes what was made, also at the start. */
  use(built: Built, words: number): void
}

/** Seconds between two looks at the file. One that was the same at two looks is no longer being written. */
const lookInterval = 1
/** Bytes read in one go. */
const pieceSize = 64 * 1024
/** A named pipe is opened, and then refused, without waiting for somebody to write into it. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK

export class WordFile<Built> {
  readonly #options: WordFileOptions<Built>
  readonly #closing = new AbortController()
  #following: Promise<void> = Promise.resolve()
  /** What the file was when the list in use was read from it. */
  #used = ''
  /** The last complaint, said once. */
  #complaint = ''

  constructor(options: WordFileOptions<Built>) {
    this.#options = options
  }

  /** Reads the list, and follows the file from then on. Throws CONFIG_INVALID when it cannot be read. */
  async open(): Promise<void> {
    const { path } = this.#options
    try {
      await this.#load()
    } catch (cause) {
      throw new FeedooError('CONFIG_INVALID', `cannot read the list ${path}: ${fileReason(cause)}`, { cause })
    }
    this.#following = this.#follow(this.#closing.signal)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#following
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { path, clock, log } = this.#options
    let last = this.#used
    while (!signal.aborted) {
      await clock.sleep(lookInterval, signal)
      if (signal.aborted) return
      try {
        const now = stampOf(await stat(path, { bigint: true }))
        const isSettled = now === last
        last = now
        if (isSettled && now !== this.#used) await this.#load(now)
        if (now === this.#used) this.#complaint = ''
      } catch (error) {
        const reason = fileReason(error)
        // A file that is replaced may be away for a moment.
        const isPassing = systemCode(error) === 'ENOENT' && reason !== last
        last = reason
        if (isPassing || reason === this.#complaint) continue
        this.#complaint = reason
        log.warn({ path }, `the list stays as it was: cannot read its file: ${reason}`)
      }
    }
  }

  /** `settled`: what the file has to be, from its first byte to its last; without it, it is taken as it comes. */
  async #load(settled?: string): Promise<void> {
    const { path, maxSize, log, build, use } = this.#options
    const file = await open(path, flags)
    let stamp: string
    let lines: WordLines
    try {
      stamp = stampOf(checked(await file.stat({ bigint: true }), maxSize))
      lines = await readLines(file, maxSize)
      if (settled !== undefined && (stamp !== settled || stampOf(await file.stat({ bigint: true })) !== settled)) return
    } finally {
      await file.close()
    }
    const { words, invalid, firstInvalid } = lines
    const built = await inSteps(build(words), this.#closing.signal)
    if (built === undefined) return
    this.#used = stamp
    use(built, words.length)
    if (settled !== undefined) log.info({ path, words: words.length }, 'the list was read again')
    if (words.length === 0) log.warn({ path }, 'the list is empty')
    if (invalid > 0) log.warn({ path }, invalidLines(invalid, firstInvalid))
  }
}

/** The list right now, for `feedoo check`. Throws what reading throws. */
export function readWordFile(path: string, maxSize: number): WordLines {
  const lines = new WordLines()
  const file = openSync(path, flags)
  try {
    checked(fstatSync(file, { bigint: true }), maxSize)
    lines.push(readFileSync(file))
  } finally {
    closeSync(file)
  }
  lines.finish()
  return lines
}

export function invalidLines(count: number, first: number): string {
  const what = count === 1 ? `line ${first} of the list is` : `${count} lines of the list, from line ${first} on, are`
  return `${what} not UTF-8 text and left out`
}

async function readLines(file: FileHandle, maxSize: number): Promise<WordLines> {
  const lines = new WordLines()
  const piece = Buffer.allocUnsafe(pieceSize)
  for (let size = 0; ; ) {
    const { bytesRead } = await file.read(piece, 0, pieceSize, null)
    if (bytesRead === 0) break
    size += bytesRead
    // It may grow while it is read.
    if (size > maxSize) throw tooLarge(maxSize)
    lines.push(piece.subarray(0, bytesRead))
  }
  lines.finish()
  return lines
}

/** Runs the steps, with a turn for everybody else between two. Undefined when the signal aborts. */
async function inSteps<Built>(steps: Generator<void, Built>, signal: AbortSignal): Promise<Built | undefined> {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    await setImmediate()
    if (signal.aborted) return undefined
  }
}

function checked(stats: BigIntStats, maxSize: number): BigIntStats {
  if (stats.isDirectory()) throw new Error('it is a folder')
  if (!stats.isFile()) throw new Error('it is not a regular file')
  if (stats.size > maxSize) throw tooLarge(maxSize)
  return stats
}

function tooLarge(maxSize: number): Error {
  return new Error(`it is larger than ${maxSize} bytes: see max_list_size`)
}

/** Differs when a file was written, replaced, or had its rights changed. */
function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs}`
}
