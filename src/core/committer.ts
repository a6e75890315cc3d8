// The commit: what inputs sent is safe when every output has it; then positions are saved and the inputs are answered.
import type { Json, Position } from './action.ts'
import { addCommitTime, noCommitTimes } from './commit-times.ts'
import { crashPoint } from './crash-points.ts'

/** Seconds from the first unsafe event to a commit, at most. */
const commitInterval = 0.1
/** Unsafe events that start a commit before its time. */
const commitEvents = 25_000

/** Positions by the place of their input, then by the input's own keys. */
export type ChangedPositions = ReadonlyMap<number, ReadonlyMap<string, Json>>

interface Waiter {
  input: number
  events: number
  position: Position | undefined
  urgent: boolean
  resolve(): void
}

export interface CommitterOptions {
  /**
   * Runs `cut` as soon as no batch is half way through the pipeline. What the inputs sent before the cut is what the
   * commit covers: whatever of the pipeline's state it saves must be taken at the cut, synchronously.
   */
  atBoundary(cut: () => void): void
  /** Called at the cut. Resolves when all that came before it is safe, and the positions are saved with it. */
  makeSafe(positions: ChangedPositions): Promise<void>
  /** Seconds; a shorter time-out of an output makes commits come sooner. */
  interval: number
  /**
   * Seconds from the start of one commit to that of the next, at least, while somebody waits for answers. What comes
   * meanwhile shares the next one: under load, commits that cost something are few.
   */
  pause?: number
  /** Called when a commit fails: what it held is not safe, and there is no further commit. */
  failed(error: unknown): void
}

export class Committer {
  commits = 0
  /** From the cut to the moment that all is safe. */
  readonly times = noCommitTimes()
  #committed = performance.now()
  /** Events processed and not yet safe. */
  inFlight = 0
  readonly #options: CommitterOptions
  readonly #interval: number
  #waiters: Waiter[] = []
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Immediate | undefined
  #next: NodeJS.Timeout | undefined
  /** Milliseconds of the process's clock, when the last commit began. */
  #began = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #broken = false

  constructor(options: CommitterOptions) {
    this.#options = options
    this.#interval = Math.min(options.interval, commitInterval) * 1000
  }

  /** Seconds since the last commit, or since the beginning. */
  get age(): number {
    return (performance.now() - this.#committed) / 1000
  }

  /** Comes back when the events an input has just sent are safe. Called at a batch boundary. */
  whenSafe(input: number, events: number, position: Position | undefined, urgent: boolean): Promise<void> {
    this.inFlight += events
    return new Promise((resolve) => {
      this.#waiters.push({ input, events, position, urgent, resolve })
      this.#schedule(urgent || this.inFlight >= commitEvents)
    })
  }

  /** Commits until nothing waits. Throws when a commit fails. */
  async drain(): Promise<void> {
    while (this.#waiters.length > 0 || this.#running !== undefined) await this.#commit()
  }

  #schedule(now: boolean): void {
    if (this.#running !== undefined || this.#broken) return
    const pause = (this.#options.pause ?? 0) * 1000 - (performance.now() - this.#began)
    if (now && pause > 0) {
      this.#next ??= setTimeout(() => this.#start(), pause)
    } else if (now) {
      // Not in this turn: what other connections have ready joins the same commit.
      this.#soon ??= setImmediate(() => this.#start())
    } else {
      this.#timer ??= setTimeout(() => this.#start(), this.#interval)
    }
  }

  #start(): void {
    // `failed` has been told.
    this.#commit().catch(() => {})
  }

  #commit(): Promise<void> {
    clearTimeout(this.#timer)
    clearImmediate(this.#soon)
    clearTimeout(this.#next)
    this.#timer = undefined
    this.#soon = undefined
    this.#next = undefined
    this.#running ??= this.#commitOnce().finally(() => {
      this.#running = undefined
      if (this.#waiters.length === 0) return
      this.#schedule(this.inFlight >= commitEvents || this.#waiters.some((waiter) => waiter.urgent))
    })
    return this.#running
  }

  async #commitOnce(): Promise<void> {
    this.#began = performance.now()
    let waiters: Waiter[] = []
    let cutAt = 0
    try {
      await new Promise<void>((resolve, reject) => {
        this.#options.atBoundary(() => {
          cutAt = performance.now()
          waiters = this.#waiters
          this.#waiters = []
          this.#options.makeSafe(positionsOf(waiters)).then(resolve, reject)
        })
      })
    } catch (error) {
      this.#waiters = [...waiters, ...this.#waiters]
      this.#broken = true
      this.#options.failed(error)
      throw error
    }
    this.commits++
    this.#committed = performance.now()
    addCommitTime(this.times, (this.#committed - cutAt) / 1000)
    crashPoint('before_acknowledge')
    for (const waiter of waiters) {
      this.inFlight -= waiter.events
      waiter.resolve()
    }
    // What hangs on these promises has been done by then.
    setImmediate(crashPoint, 'after_acknowledge')
  }
}

function positionsOf(waiters: readonly Waiter[]): ChangedPositions {
  const changed = new Map<number, Map<string, Json>>()
  for (const { input, position } of waiters) {
    if (position === undefined) continue
    const positions = changed.get(input) ?? new Map<string, Json>()
    for (const key of Object.keys(position)) positions.set(key, position[key] ?? null)
    changed.set(input, positions)
  }
  return changed
}
