// Reads the files of a set round by round, a chunk of each, and sends their lines on.
import { unlink } from 'node:fs/promises'
import type { InputRun } from '../action.ts'
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import { setOwn } from '../event.ts'
import { fileReason } from '../file-reason.ts'
import { createWindow } from '../in-flight.ts'
import { beforeLimit } from './fingerprint.ts'
import type { KnownFiles } from './known-files.ts'
import { type Batch, chunkSize } from './open-file.ts'
import type { Step, TailFile } from './tail-file.ts'
import type { TailSet, TailSetOptions } from './tail-set.ts'

export interface TailReaderOptions extends Pick<TailSetOptions, 'rotateWait' | 'lines' | 'clock' | 'log'> {
  /** Ends when all that matches has been read. */
  once: boolean
  remove: boolean
  /** Seconds without a change before a file is removed. */
  removeAfter: number
  /** Seconds. */
  refreshInterval: number
  /** Seconds without a change before an open file is closed. */
  idleTimeout: number
  maxOpenFiles: number
}

/** Bytes sent and not yet safe, of all files. */
const windowSize = 16 * 1024 * 1024
/** Scans without a change after which a file is taken to be left alone. */
const quietScans = 3
/** Chunks after which an open file makes room for one that waits to be opened. */
const turn = 16
/** Seconds between two reports of progress. */
const progressInterval = 0.2

export class TailReader {
  readonly #options: TailReaderOptions
  readonly #set: TailSet
  readonly #known: KnownFiles
  readonly #run: InputRun
  readonly #window = createWindow(windowSize)
  readonly #buffer = Buffer.allocUnsafeSlow(beforeLimit + chunkSize)
  /** The least recently active first. */
  readonly #open = new Set<TailFile>()
  /** One compressed file at a time is decoded: a decoder may need a large window. */
  #decoding: TailFile | undefined
  #told = 0

  constructor(options: TailReaderOptions, set: TailSet, run: InputRun) {
    this.#options = options
    this.#set = set
    this.#known = set.known
    this.#run = run
  }

  /** Whether some file is known to have more. */
  get busy(): boolean {
    for (const file of this.#known.live) if (file.ready) return true
    return false
  }

  /** Goes round the files until none has more, or it is time for the next scan. */
  async rounds(): Promise<void> {
    const { clock, refreshInterval } = this.#options
    await this.#sendChanges()
    const start = clock.now()
    let more = true
    while (more && clock.now() - start < refreshInterval) {
      more = false
      for (const file of this.#known.live) {
        if (this.#run.signal.aborted) return
        if (file.ready && (await this.#turn(file))) more = true
      }
    }
  }

  /** After the rounds: half lines of files left alone, removal, descriptors of idle files. */
  async tidy(): Promise<void> {
    const now = this.#options.clock.now()
    for (const file of this.#known.live) {
      if (this.#run.signal.aborted) return
      if (file.ready) continue
      await this.#end(file, now)
      if (this.#options.remove && !this.#options.once) await this.#remove(file, now - file.changedAt)
      const idle = now - Math.max(file.activeAt, file.changedAt)
      if (file.state === 'follow' && !file.ready && idle >= this.#options.idleTimeout) await this.#close(file)
    }
    await this.#sendChanges()
  }

  /** Waits until everything is safe. Positions and removals come last. */
  async finish(): Promise<void> {
    // The pipeline itself makes safe what was sent before the stop.
    if (this.#run.signal.aborted) return
    await this.#window.drain()
    if (this.#options.remove) for (const file of this.#known.live) await this.#remove(file, Number.POSITIVE_INFINITY)
    await this.#sendChanges()
    this.#tell(true)
    await this.#window.drain()
  }

  /** One step of a file; whether there may be more. */
  async #turn(file: TailFile): Promise<boolean> {
    const { after } = file
    if (after?.ready && !after.drained && !after.failed && after.state !== 'gone') return false
    file.after = undefined
    if (file.compression !== undefined) {
      const other = this.#decoding
      if (other !== undefined && other !== file && other.ready && other.state !== 'gone') return false
      this.#decoding = file
    }
    if (!file.isOpen && !(await this.#makeRoom())) return false
    const offset = file.content.offset
    const wasOpen = file.isOpen
    let step: Step
    try {
      step = await file.step(this.#buffer)
      file.failed = false
    } catch (error) {
      await this.#failed(file, error)
      return false
    }
    this.#open.delete(file)
    if (file.isOpen) this.#open.add(file)
    if (file.isOpen && !wasOpen) this.#options.log.debug({ path: file.path, offset }, 'opened')
    if (typeof step !== 'string') {
      file.activeAt = this.#options.clock.now()
      await this.#send(file, step, offset)
      this.#tell(false)
      return true
    }
    if (step === 'replaced') await this.#set.replaced(file)
    if (step === 'moved') {
      this.#set.again = true
      file.doubt()
    }
    if (step === 'end' && (file.content.offset !== offset || file.renamed))
      await this.#send(file, { events: [], bytes: 0 }, offset)
    file.ready = false
    file.drained = true
    return false
  }

  async #send(file: TailFile, { events, bytes }: Batch, offset: number): Promise<void> {
    if (events.length === 0 && file.content.offset === offset && !file.renamed) return
    file.unsafe++
    const safe = this.#run.emit(events, { [file.id]: file.position() })
    void safe.then(() => file.unsafe--)
    await this.#window.add(safe, bytes + 1)
  }

  async #sendChanges(): Promise<void> {
    const { changes } = this.#known
    if (Object.keys(changes).length === 0) return
    this.#known.changes = {}
    await this.#window.add(this.#run.emit([], changes), 1)
  }

  /** What is done when a file has been left alone for long enough. */
  async #end(file: TailFile, now: number): Promise<void> {
    const { once, remove, removeAfter, rotateWait } = this.#options
    const quiet = now - file.changedAt
    const left = file.quiet >= quietScans && quiet >= rotateWait
    const last = once || (left && (file.rotated || file.compression !== undefined)) || (remove && quiet >= removeAfter)
    if (!last || !file.isOpen) return
    const offset = file.content.offset
    if (file.compression !== undefined && !file.finished) {
      if (!file.ending) return file.endInput()
      const half = file.flush()
      file.finish()
      // With its position it is remembered that there is no need to decode it again.
      file.content.offset === offset ? this.#mark(file) : await this.#send(file, half, offset)
      if (file.state === 'follow') await this.#close(file)
    } else if (file.halfLine) {
      await this.#send(file, file.flush(), offset)
    }
    if (file.state === 'draining') {
      this.#open.delete(file)
      await this.#known.leave(file)
    }
  }

  #mark(file: TailFile): void {
    this.#known.changes[file.id] = file.position()
  }

  async #failed(file: TailFile, error: unknown): Promise<void> {
    const code = systemCode(error)
    // Gone since the scan: the next one will see where it is.
    if (code === 'ENOENT') file.doubt()
    file.ready = false
    if (code === 'ENOENT') return
    if (error instanceof FeedooError) {
      this.#damaged(file, error)
      await this.#close(file)
      return
    }
    const { path } = file
    const reason = fileReason(error)
    if (!file.failed) this.#options.log.warn({ path }, `cannot read ${path}: ${reason}`)
    this.#set.unreadable.set(path, reason)
    file.failed = true
  }

  #damaged(file: TailFile, cause: FeedooError): void {
    const { lines, clock, log } = this.#options
    const error = new FeedooError('FILE_DAMAGED', `${file.path}: ${messageOf(cause)}`, { cause })
    const record = { path: file.path, log: file.finish() }
    if (lines.pathKey !== undefined) setOwn(record, lines.pathKey, file.path)
    log.warn({ code: error.code, path: file.path }, error.message)
    lines.deadLetter({ tag: lines.tag, timestamp: clock.now(), record }, error)
    this.#mark(file)
  }

  async #remove(file: TailFile, quiet: number): Promise<void> {
    if (file.state !== 'follow' || file.unsafe > 0 || quiet < this.#options.removeAfter || !file.complete) return
    try {
      if (!(await file.isUnchanged())) return
      await unlink(file.path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' && !file.failed) {
        this.#options.log.warn({ path: file.path }, `cannot remove ${file.path}: ${fileReason(error)}`)
      }
      file.failed = true
      return
    }
    this.#options.log.debug({ path: file.path }, 'removed')
    await this.#close(file)
    this.#known.forget(file)
  }

  /** Whether one more file may be opened; an idle one is closed for it, or one that has had its turn. */
  async #makeRoom(): Promise<boolean> {
    for (const file of this.#open) if (!file.isOpen) this.#open.delete(file)
    if (this.#open.size < this.#options.maxOpenFiles) return true
    for (const wanted of [isIdle, hadTurn]) {
      for (const file of this.#open) {
        if (!wanted(file)) continue
        await this.#close(file)
        return true
      }
    }
    return false
  }

  async #close(file: TailFile): Promise<void> {
    this.#open.delete(file)
    if (file.isOpen) this.#options.log.debug({ path: file.path, offset: file.content.offset }, 'closed')
    await file.close()
  }

  #tell(done: boolean): void {
    if (!this.#options.once) return
    const now = this.#options.clock.now()
    if (!done && now - this.#told < progressInterval) return
    this.#told = now
    let read = 0
    let total = 0
    for (const file of this.#known.live) {
      total += file.size
      read += done ? file.size : Math.min(file.size, file.rawRead)
    }
    this.#run.progress(read, total)
  }
}

function isIdle(file: TailFile): boolean {
  return file.state === 'follow' && !file.ready
}

function hadTurn(file: TailFile): boolean {
  return file.state === 'follow' && file.compression === undefined && file.steps >= turn
}
