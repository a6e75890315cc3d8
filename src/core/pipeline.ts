// One pipeline: a list of actions, the routing between them, and the commit that answers its inputs.
import type { CommonParams, DnsAnswers, Emit, Input, Json, Output, Position } from './action.ts'
import type { Clock } from './clock.ts'
import { Committer } from './committer.ts'
import type { PipelineConfig } from './config/types.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings } from './dead-letters.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import { Flow } from './flow.ts'
import type { Logger } from './log.ts'
import { countTag, type PipelineStats } from './metrics.ts'
import { type EventBuffer, makePlace, maxTags, type Place, statsOf } from './place.ts'
import { actionKey, type Positions } from './positions.ts'
import type { Registry } from './registry.ts'
import { type BufferParams, Safekeeping } from './safekeeping.ts'
import type { PipelineState } from './state/pipeline-state.ts'
import { EventTimeline, Timelines } from './timeline.ts'

/** Milliseconds between two looks at the clock in case the stream is silent. */
const clockInterval = 250
/** Bytes in the state that may wait for the target of an output, when nothing else is said. */
const bufferLimit = 256 * 1024 * 1024
const deadLetterBuffering = {
  bufferSize: 100,
  retryDelay: 0.5,
  retryMaxDelay: 30,
  copy: false,
  limit: bufferLimit,
  whenFull: 'block' as const,
}

export interface PipelineOptions {
  registry: Registry
  clock: Clock
  log: Logger
  /** File of the dead letters, or who takes them instead. */
  deadLetters?: string | Output | undefined
  /** Where the inputs go on. */
  positions?: Positions
  savePositions?(input: string, positions: ReadonlyMap<string, Json>): void
  /** What an input tells of its progress. */
  progress?(input: number, done: number, total: number): void
  /** What outlives the process. */
  state?: PipelineState
  /** Answers DNS questions in place of the network. */
  dns?: DnsAnswers
  /** Sees what comes out behind the last action. For tests and `feedoo test`. */
  sink?: Emit
}

export class Pipeline {
  readonly name: string
  readonly #options: PipelineOptions
  readonly #log: Logger
  readonly #places: Place[]
  readonly #flow: Flow
  readonly #committer: Committer
  readonly #deadLetters: EventBuffer
  readonly #safekeeping: Safekeeping
  /** What each place is called in the state. */
  readonly #keys: readonly string[]
  readonly #deadLetterOutput: Output
  readonly #stopping = new AbortController()
  readonly #giveUp = new AbortController()
  /** Events emitted whose batch has not got through the asynchronous filters. */
  #waiting = 0
  #events = 0
  /** Rejects when events can no longer become safe: the time is up, or a commit failed. */
  readonly #lost: Promise<never>
  readonly #lose: (error: unknown) => void

  constructor(config: PipelineConfig, options: PipelineOptions) {
    this.name = config.name
    this.#options = options
    const { clock } = options
    let lose: (error: unknown) => void = () => {}
    this.#lost = new Promise((_, reject) => {
      lose = reject
    })
    this.#lost.catch(() => {})
    this.#lose = lose
    const log = options.log.child({ pipeline: config.name })
    this.#log = log
    const { state } = options
    const keys = config.actions.map((_, place) => actionKey(config.actions, place))
    this.#keys = keys
    const timelines = new Timelines(clock)
    const safekeeping = new Safekeeping({
      pipeline: config.name,
      keys,
      timelines,
      state,
      savePositions: options.savePositions,
      stopping: this.#stopping.signal,
      giveUp: this.#giveUp.signal,
      wantCommit: () => void this.#committer.whenSafe(-1, 0, undefined, false),
      failed: this.#lose,
    })
    this.#safekeeping = safekeeping
    this.#deadLetterOutput =
      typeof options.deadLetters === 'string'
        ? deadLetterFile(options.deadLetters)
        : (options.deadLetters ?? deadLetterWarnings(log, clock))
    this.#deadLetters = safekeeping.deadLetterBuffer(
      this.#deadLetterOutput,
      // Its own output never refuses for good.
      { ...deadLetterBuffering, log, reject: () => {}, dropped: () => {} },
      options.deadLetters !== undefined,
    )
    this.#places = config.actions.map((action, place) =>
      makePlace(action, {
        pipeline: config.name,
        registry: options.registry,
        clock,
        timelines,
        dns: options.dns,
        log,
        intend: state?.isDurable ? (marks) => state.intend(keys[place] ?? '', marks) : undefined,
        deadLetter: (event, error) => this.#deadLetter(place, event, error),
      }),
    )
    safekeeping.setPlaces(this.#places)
    this.#places.forEach((place, index) => {
      if (place.built.kind !== 'output') return
      place.buffer = safekeeping.outputBuffer(
        index,
        place.built.action,
        this.#buffering(place, index, place.built.params),
      )
    })
    this.#flow = new Flow(this.#places, {
      ...{ clock, log, sink: options.sink },
      deadLetter: (place, event, error) => this.#deadLetter(place, event, error),
    })
    const timeouts = this.#places.flatMap(({ built }) =>
      built.kind === 'output' ? (built.params.timeout_flush ?? []) : [],
    )
    this.#committer = new Committer({
      atBoundary: (cut) => this.#flow.atBoundary(cut),
      makeSafe: (positions) => safekeeping.makeSafe(positions),
      interval: Math.min(1, ...timeouts),
      failed: this.#lose,
    })
  }

  /** Binds sockets and opens files, for every action, before the process may give up its privileges. */
  async open(): Promise<void> {
    this.#safekeeping.restore()
    for (const alarms of this.#flow.alarms) alarms.look()
    for (const place of this.#places.keys()) await this.#safekeeping.open(place)
  }

  /**
   * Runs until every input has ended or `signal` has aborted, then drains and closes. `giveUp` aborts when the time
   * to drain is over. Throws what an input threw or why a commit failed, and SHUTDOWN_TIMEOUT when events are left
   * that are not safe.
   */
  async run(signal: AbortSignal, giveUp?: AbortSignal): Promise<void> {
    if (giveUp?.aborted) this.#abandon()
    giveUp?.addEventListener('abort', () => this.#abandon(), { once: true })
    const failed = new AbortController()
    const stop = AbortSignal.any([signal, failed.signal])
    const stopped = () => this.#stopping.abort()
    if (signal.aborted) stopped()
    signal.addEventListener('abort', stopped, { once: true })
    const ticking = this.#watchClock()
    this.#safekeeping.start()
    const running = this.#places.flatMap((place, index) =>
      place.built.kind === 'input' ? [this.#runInput(place.built.action, index, stop)] : [],
    )
    try {
      // Inputs wait for their events to be safe: what is lost must not be waited for.
      await Promise.race([this.#drain(running, failed, ticking), this.#lost])
    } finally {
      clearInterval(ticking)
      failed.abort()
      await this.#close()
    }
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
      in_flight: this.#committer.inFlight + this.#waiting,
      restarts: 0,
    }
  }

  /** Labels of the outputs whose target does not take events right now. */
  failingOutputs(): string[] {
    const failing = this.#places.filter((place) => place.buffer?.failing).map((place) => place.config.label)
    return this.#deadLetters.failing ? [...failing, 'dead_letters'] : failing
  }

  async #drain(running: readonly Promise<void>[], failed: AbortController, ticking: NodeJS.Timeout): Promise<void> {
    try {
      await Promise.all(running)
    } catch (error) {
      failed.abort()
      await Promise.allSettled(running)
      throw error
    } finally {
      clearInterval(ticking)
      await this.#flow.idle
      await this.#committer.drain()
      await this.#safekeeping.finish()
    }
  }

  #abandon(): void {
    const left = this.stats().in_flight
    const what = left === 0 ? 'an input did not end in time' : `${left} events could not be written in time`
    this.#lose(new FeedooError('SHUTDOWN_TIMEOUT', what))
    this.#giveUp.abort()
  }

  /** Closes everything, also when something does not close well. */
  async #close(): Promise<void> {
    for (const { built, config } of this.#places) {
      try {
        await built.action.close?.()
      } catch (error) {
        this.#log.warn({ action: config.label }, `cannot close: ${messageOf(error)}`)
      }
    }
    await this.#deadLetterOutput.close?.()
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

  async #runInput(input: Input, place: number, signal: AbortSignal): Promise<void> {
    await input.run({
      emit: (events, position, urgent = false) => this.#emit(place, events, position, urgent),
      signal,
      positions: this.#options.positions?.get(this.#keys[place] ?? '') ?? new Map(),
      progress: (done, total) => this.#options.progress?.(place, done, total),
    })
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

  #deadLetter(place: number, event: Event, error: FeedooError): void {
    const at = this.#places[place]
    if (at === undefined) return
    countTag(at.errors, event.tag, maxTags)
    countTag(at.deadLetters, event.tag, maxTags)
    this.#deadLetters.add(deadLetter(this.name, at.config.label, event, error, this.#options.clock.now()))
  }

  #buffering({ config, dropped }: Place, index: number, params: CommonParams): BufferParams {
    return {
      bufferSize: params.buffer_size ?? 1000,
      retryDelay: params.retry_delay ?? 0.5,
      retryMaxDelay: params.retry_max_delay ?? 30,
      retryLimit: params.retry_limit,
      limit: params.buffer_limit ?? bufferLimit,
      whenFull: params.when_full ?? 'block',
      copy: this.#places.slice(index + 1).some((place) => place.built.kind === 'filter'),
      log: this.#log.child({ action: config.label }),
      reject: (event, error) => this.#deadLetter(index, event, error),
      dropped: (events) => {
        for (const event of events) countTag(dropped, event.tag, maxTags)
      },
    }
  }
}
