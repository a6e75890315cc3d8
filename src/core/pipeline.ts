// One pipeline as it runs: it opens, takes what its inputs send to the commit that answers them, and ends or makes way.
import type { Position } from './action.ts'
import type { Committer } from './committer.ts'
import type { PipelineConfig } from './config/types.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import type { Flow } from './flow.ts'
import type { Handover } from './handover.ts'
import type { Logger } from './log.ts'
import type { PipelineStats } from './metrics.ts'
import { type DeadLetters, makeParts, type PartsOptions } from './pipeline-parts.ts'
import { type Place, statsOf } from './place.ts'
import type { Positions } from './positions.ts'
import type { Receiver, RunningInput, RunningInputs } from './running-input.ts'
import type { Safekeeping } from './safekeeping.ts'
import { EventTimeline } from './timeline.ts'

/** Milliseconds between two looks at the clock in case the stream is silent. */
const clockInterval = 250

export interface PipelineOptions extends PartsOptions {
  log: Logger
  /** Where the inputs go on. */
  positions?: Positions
  /** What the pipeline has left whose place this one takes. */
  remains?: Remains | undefined
  /** What an input tells of its progress. */
  progress?(input: number, done: number, total: number): void
}

/** What is left of a pipeline that made way for another. */
export interface Remains {
  /** Inputs that run on, by their names in the state. */
  inputs: ReadonlyMap<string, RunningInput>
  handover: Handover | undefined
}

export class Pipeline {
  readonly name: string
  readonly #options: PipelineOptions
  readonly #log: Logger
  readonly #places: readonly Place[]
  readonly #inputs: RunningInputs
  readonly #flow: Flow
  readonly #committer: Committer
  readonly #deadLetters: DeadLetters
  readonly #safekeeping: Safekeeping
  readonly #stopping = new AbortController()
  readonly #giveUp = new AbortController()
  /** Resolves when the pipeline is to make way, with the inputs that run on. */
  readonly #way: Promise<ReadonlySet<string>>
  /** Called with their names in the state. */
  readonly makeWay: (keep: ReadonlySet<string>) => void
  #handover: Handover | undefined
  /** Events emitted whose batch has not got through the asynchronous filters. */
  #waiting = 0
  #events = 0
  /** Rejects when events can no longer become safe: the time is up, or a commit failed. */
  readonly #lost: Promise<never>
  readonly #lose: (error: unknown) => void

  constructor(config: PipelineConfig, options: PipelineOptions) {
    this.name = config.name
    this.#options = options
    let lose: (error: unknown) => void = () => {}
    this.#lost = new Promise((_, reject) => {
      lose = reject
    })
    this.#lost.catch(() => {})
    this.#lose = lose
    let makeWay: (keep: ReadonlySet<string>) => void = () => {}
    this.#way = new Promise((resolve) => {
      makeWay = resolve
    })
    this.makeWay = makeWay
    const log = options.log.child({ pipeline: config.name })
    this.#log = log
    const parts = makeParts(config, options, {
      ...options.remains,
      log,
      stopping: this.#stopping.signal,
      giveUp: this.#giveUp.signal,
      failed: lose,
    })
    this.#places = parts.places
    this.#inputs = parts.inputs
    this.#flow = parts.flow
    this.#committer = parts.committer
    this.#safekeeping = parts.safekeeping
    this.#deadLetters = parts.deadLetters
  }

  /**
   * Binds sockets and opens files, for every action, before the process may give up its privileges. Actions wait for
   * nothing any more when `signal` aborts.
   */
  async open(signal: AbortSignal = this.#giveUp.signal): Promise<void> {
    this.#safekeeping.restore()
    for (const alarms of this.#flow.alarms) alarms.look()
    for (const place of this.#places.keys()) {
      if (!this.#inputs.at(place)?.isRunning) await this.#safekeeping.open(place, signal)
    }
  }

  /**
   * Runs until every input has ended, `signal` has aborted or it has to make way, then drains and closes. `giveUp` aborts
   * when the time to drain is over. Throws what an input threw or why a commit failed, and SHUTDOWN_TIMEOUT when events
   * are left that are not safe.
   */
  async run(signal: AbortSignal, giveUp?: AbortSignal): Promise<void> {
    const stop = () => {
      this.#stopping.abort()
      this.#inputs.stop()
    }
    const abandon = () => this.#abandon()
    if (giveUp?.aborted) abandon()
    giveUp?.addEventListener('abort', abandon)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    const ticking = this.#watchClock()
    this.#tellLeft('events of an earlier run are in the state and are written now')
    this.#safekeeping.start()
    this.#inputs.connect((place) => this.#receiver(place), this.#options.positions)
    try {
      // Inputs wait for their events to be safe: what is lost must not be waited for.
      await Promise.race([this.#drain(ticking), this.#lost])
    } catch (error) {
      this.#inputs.kept.clear()
      throw error
    } finally {
      // These signals may outlive many pipelines.
      giveUp?.removeEventListener('abort', abandon)
      signal.removeEventListener('abort', stop)
      clearInterval(ticking)
      if (this.#inputs.kept.size === 0) this.#inputs.stop()
      await this.#close()
    }
  }

  /** What is left after `run`, when it has made way. */
  get remains(): Remains | undefined {
    return this.#handover === undefined ? undefined : { inputs: this.#inputs.kept, handover: this.#handover }
  }

  /** Sends events in at the top, as an input that stands before every action would; resolves when they are safe. */
  async inject(events: readonly Event[]): Promise<void> {
    const safe = this.#emit(-1, events, undefined, true)
    await this.#flow.idle
    // Now is when these events came: what `elapse` finds gone by is counted from here.
    for (const { time } of this.#flow.alarms) if (time instanceof EventTimeline) time.silentNow()
    await safe
  }

  stats(): PipelineStats {
    return {
      actions: this.#places.map((place, index) => statsOf(place, index, this.#flow.router)),
      events: this.#events,
      commits: this.#committer.commits,
      commit_times: this.#committer.times,
      in_flight: this.#committer.inFlight + this.#waiting,
      restarts: 0,
      commit_age: this.#committer.age,
      trouble: this.#options.state?.trouble,
    }
  }

  /** Labels of the outputs whose target does not take events right now. */
  failingOutputs(): string[] {
    const failing = this.#places.filter((place) => place.buffer?.failing).map((place) => place.config.label)
    return this.#deadLetters.failing ? [...failing, 'dead_letters'] : failing
  }

  async #drain(ticking: NodeJS.Timeout): Promise<void> {
    let keep: ReadonlySet<string> | undefined
    try {
      keep = await Promise.race([this.#inputs.ended.then(() => undefined), this.#way])
      if (keep !== undefined) {
        this.#stopping.abort()
        await this.#inputs.leave(keep)
      }
    } catch (error) {
      this.#inputs.stop()
      await this.#inputs.settled()
      throw error
    } finally {
      clearInterval(ticking)
      await this.#flow.idle
      await this.#committer.drain()
      await this.#safekeeping.finish()
      this.#tellLeft('events wait in the state, and are written at the next start')
    }
    if (keep === undefined) return
    if (this.#safekeeping.left > 0) await this.#leaveUnwritten()
    this.#handover = this.#safekeeping.handOver()
  }

  /** What waits for a target that is away is in the state: the next pipeline writes it, and this one must not any more. */
  async #leaveUnwritten(): Promise<void> {
    this.#giveUp.abort()
    await this.#safekeeping.settle()
    // An attempt that was under way may have succeeded.
    await this.#safekeeping.finish()
  }

  #tellLeft(what: string): void {
    const { left } = this.#safekeeping
    if (left > 0) this.#log.info({ events: left }, `${left} ${what}`)
  }

  #abandon(): void {
    this.#giveUp.abort()
    if (this.#safekeeping.finishing) return
    const left = this.stats().in_flight
    const what = left === 0 ? 'an input did not end in time' : `${left} events could not be written in time`
    this.#lose(new FeedooError('SHUTDOWN_TIMEOUT', what))
  }

  /** Closes everything but the inputs that run on, also when something does not close well. */
  async #close(): Promise<void> {
    for (const [place, { built, config }] of this.#places.entries()) {
      if (this.#inputs.isKept(place)) continue
      try {
        await built.action.close?.()
      } catch (error) {
        this.#log.warn({ action: config.label }, `cannot close: ${messageOf(error)}`)
      }
    }
    await this.#deadLetters.close()
    this.#options.state?.close()
  }

  /** Looks at the clock now and then: in a silent stream nothing else would tell rules that time goes by. */
  #watchClock(): NodeJS.Timeout {
    return setInterval(() => {
      // A commit that fails has been told to `run`.
      if (this.#flow.alarms.length > 0) void this.elapse()
    }, clockInterval)
  }

  /**
   * Lets rules see that time has gone by, after `patience` seconds of silence. Resolves when what they had to say about
   * it is safe. The engine does this by itself while it runs; for `feedoo test`, with a clock of its own.
   */
  async elapse(patience?: number): Promise<void> {
    if (await this.#flow.elapse(patience)) await this.#committer.whenSafe(-1, 0, undefined, true)
  }

  #receiver(place: number): Receiver {
    return {
      emit: (events, position, urgent) => this.#emit(place, events, position, urgent),
      deadLetter: (event, error) => this.#deadLetters.add(place, event, error),
      progress: (done, total) => this.#options.progress?.(place, done, total),
    }
  }

  /** Not an async function: one that waits would hold the events, long written, until the commit. */
  #emit(place: number, events: readonly Event[], position: Position | undefined, urgent: boolean): Promise<void> {
    const count = events.length
    this.#events += count
    if (!this.#flow.waits) {
      this.#flow.process(events, place + 1)
      return this.#committer.whenSafe(place, count, position, urgent)
    }
    this.#waiting += count
    this.#flow.inTurn(() => this.#flow.process(events, place + 1))
    return this.#whenProcessed(place, count, position, urgent)
  }

  async #whenProcessed(place: number, count: number, position: Position | undefined, urgent: boolean): Promise<void> {
    await this.#flow.idle
    this.#waiting -= count
    await this.#committer.whenSafe(place, count, position, urgent)
  }
}
