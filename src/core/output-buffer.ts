// The engine's buffer in front of an output: batches, retries with back-off and jitter, dead letters. No output has its own.
import { ExponentialBackoff, handleWhen, type RetryPolicy, retry } from 'cockatiel'
import type { Output, Position } from './action.ts'
import { crashPoint } from './crash-points.ts'
import { FeedooError, messageOf } from './errors.ts'
import { cloneEvent, type Event } from './event.ts'
import type { Logger } from './log.ts'

export interface OutputBufferOptions {
  /** Events held before they are written. */
  bufferSize: number
  /** Seconds before the first retry; it doubles, with jitter. */
  retryDelay: number
  /** Seconds, the longest time between two retries. */
  retryMaxDelay: number
  /** Retries of a write before its events are refused; without end when not given. */
  retryLimit?: number | undefined
  /** An action behind this output may still change the events: keep copies. */
  copy: boolean
  log: Logger
  /** Aborts when retries must end because the daemon stops. */
  signal: AbortSignal
  /** Takes an event that the target refused for good. */
  reject(event: Event, error: FeedooError): void
  /** Called when the target goes away. */
  onFailing?: () => void
}

export class OutputBuffer {
  /** Times a write or a sync was tried again. */
  retries = 0
  readonly #output: Output
  readonly #options: OutputBufferOptions
  readonly #writes: RetryPolicy
  readonly #syncs: RetryPolicy
  #held: Event[] = []
  #chain: Promise<void> = Promise.resolve()
  /** Calls that have not ended. */
  #queued = 0
  #written = 0
  #synced = 0
  #failing = false
  #marked: Position | undefined
  /** Handed over to be saved. */
  #taken: Position | undefined

  constructor(output: Output, options: OutputBufferOptions) {
    this.#output = output
    this.#options = options
    this.#writes = this.#policy(options.retryLimit ?? Number.MAX_SAFE_INTEGER)
    this.#syncs = this.#policy(Number.MAX_SAFE_INTEGER)
  }

  /** Whether the target does not take events right now. */
  get failing(): boolean {
    return this.#failing
  }

  /** Takes an event; a full buffer starts to be written in the background. */
  add(event: Event): void {
    this.#held.push(this.#options.copy ? cloneEvent(event) : event)
    if (this.#held.length >= this.#options.bufferSize) this.#flush()
  }

  /**
   * Resolves when every event added so far is in the target for good, or in the dead letters. Waits as long as the
   * target is away; rejects when the signal aborts, or when the target cannot make safe what it has taken.
   */
  makeSafe(mark = false): Promise<void> {
    if (this.#held.length > 0) this.#flush()
    // Between the writes before this commit and those after it.
    if (mark) this.#enqueue(async () => this.#readMark()).catch(() => {})
    if (this.#output.writesDuringSync) return this.#syncBeside(this.#chain)
    return this.#enqueue(() => this.#sync())
  }

  /** What changed of how far the target is written, up to the last `makeSafe`. */
  takeMark(): Position | undefined {
    this.#taken = this.#marked
    this.#marked = undefined
    return this.#taken
  }

  /** What is marked now, at once, is newer than any mark that waits to be saved with its commit. */
  intended(marks: Position): void {
    for (const name of Object.keys(marks)) {
      delete this.#marked?.[name]
      delete this.#taken?.[name]
    }
  }

  /** Writes a batch behind those before it. Settles as `makeSafe` does. */
  send(batch: readonly Event[], name: string): Promise<void> {
    return this.#enqueue(() => this.#write(batch, name))
  }

  #readMark(): void {
    const mark = this.#output.mark?.()
    if (mark !== undefined) this.#marked = { ...this.#marked, ...mark }
  }

  /** Syncs while the queue goes on. When that fails, the queue is closed as by any rejection. */
  async #syncBeside(written: Promise<void>): Promise<void> {
    await written
    try {
      await this.#sync()
    } catch (error) {
      await this.#enqueue(() => Promise.reject(error))
    }
  }

  #flush(): void {
    const batch = this.#held
    this.#held = []
    // A rejection is seen by makeSafe; without this it would also count as unhandled in the meantime.
    this.#enqueue(() => this.#write(batch)).catch(() => {})
  }

  /**
   * Calls of the output never overlap, so they queue. After a rejection nothing further is tried. A call that need
   * not wait starts in this turn: the sooner an output has made its text, the fewer events live long enough to be
   * copied by the garbage collector.
   */
  #enqueue(call: () => Promise<void>): Promise<void> {
    const queued = this.#queued === 0 ? call() : this.#chain.then(call)
    this.#queued++
    // Not on a rejection: the queue then stays closed.
    this.#chain = queued.then(() => {
      this.#queued--
    })
    return this.#chain
  }

  async #sync(): Promise<void> {
    const upTo = this.#written
    if (upTo === this.#synced) return
    crashPoint('before_sync')
    await this.#retry(this.#syncs, () => this.#output.sync?.() ?? Promise.resolve())
    crashPoint('after_sync')
    this.#synced = upTo
  }

  async #write(batch: readonly Event[], name?: string): Promise<void> {
    try {
      crashPoint('before_write')
      await this.#retry(this.#writes, () => this.#output.write(batch, name))
      crashPoint('after_write')
    } catch (error) {
      if (this.#options.signal.aborted || isEndOfOutput(error)) throw error
      this.#rejectLeft(batch, error)
    }
    this.#written++
  }

  #rejectLeft(batch: readonly Event[], cause: unknown): void {
    const left = cause instanceof FeedooError ? (cause.events ?? batch) : batch
    const code = cause instanceof FeedooError ? cause.code : 'OUTPUT_REJECTED'
    const error = new FeedooError(code, messageOf(cause), { cause })
    for (const event of left) this.#options.reject(event, error)
  }

  #policy(maxAttempts: number): RetryPolicy {
    const { retryDelay, retryMaxDelay, log } = this.#options
    const policy = retry(
      handleWhen((error) => error instanceof FeedooError && error.retriable),
      {
        maxAttempts,
        backoff: new ExponentialBackoff({ initialDelay: retryDelay * 1000, maxDelay: retryMaxDelay * 1000 }),
      },
    )
    policy.onFailure(({ reason }) => this.#warn('error' in reason ? reason.error : undefined))
    policy.onRetry(({ delay }) => {
      this.retries++
      log.debug({ retry_in: delay / 1000 }, 'the output is tried again')
    })
    return policy
  }

  async #retry(policy: RetryPolicy, attempt: () => Promise<void>): Promise<void> {
    await policy.execute(attempt, this.#options.signal)
    if (!this.#failing) return
    this.#failing = false
    this.#options.log.info({ retries: this.retries }, 'the output takes events again')
  }

  /** One line when the target goes away; the retries that follow are counted, not logged. */
  #warn(error: unknown): void {
    if (!(error instanceof FeedooError && error.retriable) || this.#failing) return
    this.#failing = true
    this.#options.log.warn({ code: error.code }, `${messageOf(error)}; trying again until it works`)
    this.#options.onFailing?.()
  }
}

/** The reader of a pipe has left: there is nothing to write for any more, and no event is at fault. */
function isEndOfOutput(error: unknown): boolean {
  return error instanceof FeedooError && error.code === 'STDOUT_CLOSED'
}
