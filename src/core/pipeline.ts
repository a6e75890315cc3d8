// One pipeline: a list of actions, the routing between them, and the commit that answers its inputs.
import type { BatchFilter, Emit, Input, Json, Position } from './action.ts'
import type { Clock } from './clock.ts'
import { Committer } from './committer.ts'
import type { PipelineConfig } from './config/types.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings } from './dead-letters.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import type { Logger } from './log.ts'
import { countTag, type PipelineStats } from './metrics.ts'
import { OutputBuffer } from './output-buffer.ts'
import { makePlace, maxTags, type Place, statsOf, stopOf } from './place.ts'
import { inputKey, type Positions } from './positions.ts'
import type { Registry } from './registry.ts'
import { Router } from './router.ts'

export interface PipelineOptions {
  registry: Registry
  clock: Clock
  log: Logger
  /** File of the dead letters. */
  deadLetters?: string | undefined
  /** Where the inputs go on. */
  positions?: Positions
  savePositions?(input: string, positions: ReadonlyMap<string, Json>): void
  /** What an input tells of its progress. */
  progress?(input: number, done: number, total: number): void
  /** Sees what comes out behind the last action. For tests and `feedoo test`. */
  sink?: Emit
}

export class Pipeline {
  readonly name: string
  readonly #options: PipelineOptions
  readonly #log: Logger
  readonly #places: Place[]
  readonly #router: Router
  readonly #steps: Emit[]
  readonly #committer: Committer
  readonly #deadLetters: OutputBuffer
  readonly #deadLetterOutput: { close?(): Promise<void> }
  readonly #giveUp = new AbortController()
  /** Places where a batch waits for an asynchronous filter, in order, with what has arrived there. */
  readonly #waits = new Map<number, { filter: BatchFilter; arrived: Event[] }>()
  #batches: Promise<void> = Promise.resolve()
  /** Events emitted whose batch has not got through the asynchronous filters. */
  #waiting = 0
  #events = 0
  /** Rejects when events can no longer become safe: the time is up, or a commit failed. */
  readonly #lost: Promise<never>
  readonly #lose: (error: unknown) => void
  /** The place and event in hand, so that a throw is blamed on the right one. */
  #at = 0
  #event: Event | undefined

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
    const deadLetterOutput =
      options.deadLetters === undefined ? deadLetterWarnings(log, clock) : deadLetterFile(options.deadLetters)
    this.#deadLetterOutput = deadLetterOutput
    this.#deadLetters = new OutputBuffer(deadLetterOutput, {
      bufferSize: 100,
      retryDelay: 0.5,
      retryMaxDelay: 30,
      copy: false,
      log,
      signal: this.#giveUp.signal,
      // Its own output never refuses for good.
      reject: () => {},
    })
    this.#places = config.actions.map((action, place) =>
      makePlace(action, {
        pipeline: config.name,
        registry: options.registry,
        clock,
        log,
        deadLetter: (event, error) => this.#deadLetter(place, event, error),
      }),
    )
    this.#places.forEach((place, index) => {
      const buffer = this.#buffer(place, index, log)
      if (buffer !== undefined) place.buffer = buffer
    })
    this.#router = new Router(this.#places.map(stopOf), maxTags)
    this.#steps = this.#places.map((place, index) => this.#step(place, index))
    const buffers = this.#places.flatMap((place) => place.buffer ?? [])
    const timeouts = this.#places.flatMap(({ built }) =>
      built.kind === 'output' ? (built.params.timeout_flush ?? []) : [],
    )
    this.#committer = new Committer({
      atBoundary: (cut) => this.#atBoundary(cut),
      makeSafe: () => this.#makeSafe(buffers),
      interval: Math.min(1, ...timeouts),
      save: (place, positions) => options.savePositions?.(inputKey(config.actions, place), positions),
      failed: this.#lose,
    })
  }

  /** Binds sockets and opens files, for every action, before the process may give up its privileges. */
  async open(): Promise<void> {
    for (const { built } of this.#places) await built.action.open?.()
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
    const running = this.#places.flatMap((place, index) =>
      place.built.kind === 'input' ? [this.#runInput(place.built.action, index, stop)] : [],
    )
    try {
      // Inputs wait for their events to be safe: what is lost must not be waited for.
      await Promise.race([this.#drain(running, failed), this.#lost])
    } finally {
      failed.abort()
      await this.#close()
    }
  }

  /** Sends events in at the top, as an input that stands before every action would; resolves when they are safe. */
  inject(events: readonly Event[]): Promise<void> {
    return this.#emit(-1, events, undefined, true)
  }

  stats(): PipelineStats {
    return {
      actions: this.#places.map((place, index) => statsOf(place, index, this.#router)),
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

  async #drain(running: readonly Promise<void>[], failed: AbortController): Promise<void> {
    try {
      await Promise.all(running)
    } catch (error) {
      failed.abort()
      await Promise.allSettled(running)
      throw error
    } finally {
      await this.#batches
      await this.#committer.drain()
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
  }

  /** Dead letters last: what an output refuses during the commit belongs to it. */
  async #makeSafe(buffers: readonly OutputBuffer[]): Promise<void> {
    await Promise.all(buffers.map((buffer) => buffer.makeSafe()))
    await this.#deadLetters.makeSafe()
  }

  /** Between two batches; in their turn when batches wait at asynchronous filters. */
  #atBoundary(cut: () => void): void {
    if (this.#waits.size === 0) cut()
    else this.#batches = this.#batches.then(cut)
  }

  #inputKey(place: number): string {
    return inputKey(
      this.#places.map(({ config }) => config),
      place,
    )
  }

  async #runInput(input: Input, place: number, signal: AbortSignal): Promise<void> {
    await input.run({
      emit: (events, position, urgent = false) => this.#emit(place, events, position, urgent),
      signal,
      positions: this.#options.positions?.get(this.#inputKey(place)) ?? new Map(),
      progress: (done, total) => this.#options.progress?.(place, done, total),
    })
  }

  /** Not an async function: one that waits would hold the events, long written, until the commit. */
  #emit(place: number, events: readonly Event[], position: Position | undefined, urgent: boolean): Promise<void> {
    const count = events.length
    this.#events += count
    if (this.#waits.size === 0) {
      this.#process(events, place + 1)
      return this.#committer.whenSafe(place, count, position, urgent)
    }
    this.#waiting += count
    this.#batches = this.#processInTurn(events, place + 1)
    return this.#whenProcessed(place, count, position, urgent)
  }

  async #whenProcessed(place: number, count: number, position: Position | undefined, urgent: boolean): Promise<void> {
    await this.#batches
    this.#waiting -= count
    await this.#committer.whenSafe(place, count, position, urgent)
  }

  #processInTurn(events: readonly Event[], from: number): Promise<void> {
    return this.#batches.then(() => this.#processWaiting(events, from))
  }

  /** Takes a batch through the actions that need not wait. */
  #process(events: readonly Event[], from: number): void {
    let i = 0
    while (i < events.length) {
      // One try around the loop instead of one an event: a throw ends the loop, and it goes on behind the event.
      try {
        for (; i < events.length; i++) this.#route(events[i] as Event, from)
      } catch (error) {
        i++
        this.#setAside(error)
      }
    }
  }

  async #processWaiting(events: readonly Event[], from: number): Promise<void> {
    this.#process(events, from)
    for (const [place, wait] of this.#waits) {
      if (wait.arrived.length === 0) continue
      const events = wait.arrived
      wait.arrived = []
      for (const outcome of await this.#applyBatch(place, wait.filter, events)) this.#process(outcome, place + 1)
    }
  }

  async #applyBatch(
    place: number,
    filter: BatchFilter,
    events: readonly Event[],
  ): Promise<readonly (readonly Event[])[]> {
    const takes = events.map((event) => this.#router.takes(event.tag, place))
    const taken = events.filter((_, index) => takes[index])
    let results: readonly (readonly Event[])[] | undefined
    try {
      results = taken.length === 0 ? [] : await filter.applyBatch(taken)
      if (results.length !== taken.length || !results.every(Array.isArray)) {
        throw new Error(`applyBatch must return one list of events for each of its ${taken.length} events`)
      }
    } catch (cause) {
      const error = new FeedooError('ACTION_FAILED', messageOf(cause), { cause })
      for (const event of taken) this.#deadLetter(place, event, error)
      results = undefined
    }
    let next = 0
    return events.map((event, index) => (takes[index] ? (results?.[next++] ?? []) : [event]))
  }

  #route(event: Event, from: number): void {
    const place = this.#router.next(event, from)
    if (place < this.#steps.length) {
      this.#at = place
      this.#event = event
      ;(this.#steps[place] as Emit)(event)
    } else {
      this.#options.sink?.(event)
    }
  }

  /** What happens to an event that stops at a place. */
  #step({ built, buffer }: Place, place: number): Emit {
    const emit: Emit = (event) => {
      const inHand = this.#event
      // A throw further down must not unwind the action that emits: what it would do next is not to blame.
      try {
        this.#route(event, place + 1)
      } catch (error) {
        this.#setAside(error)
      }
      this.#at = place
      this.#event = inHand
    }
    if (buffer !== undefined) {
      return (event) => {
        buffer.add(event)
        this.#route(event, place + 1)
      }
    }
    if (built.kind !== 'filter') return emit
    const filter = built.action
    if ('applyBatch' in filter) {
      const wait: { filter: BatchFilter; arrived: Event[] } = { filter, arrived: [] }
      this.#waits.set(place, wait)
      return (event) => void wait.arrived.push(event)
    }
    return (event) => filter.apply(event, emit)
  }

  #setAside(cause: unknown): void {
    const event = this.#event
    if (event === undefined) throw cause
    this.#deadLetter(this.#at, event, new FeedooError('ACTION_FAILED', messageOf(cause), { cause }))
  }

  #deadLetter(place: number, event: Event, error: FeedooError): void {
    const at = this.#places[place]
    if (at === undefined) return
    countTag(at.errors, event.tag, maxTags)
    countTag(at.deadLetters, event.tag, maxTags)
    this.#deadLetters.add(deadLetter(this.name, at.config.label, event, error, this.#options.clock.now()))
  }

  #buffer({ built, config }: Place, index: number, pipelineLog: Logger): OutputBuffer | undefined {
    if (built.kind !== 'output') return undefined
    return new OutputBuffer(built.action, {
      bufferSize: built.params.buffer_size ?? 1000,
      retryDelay: built.params.retry_delay ?? 0.5,
      retryMaxDelay: built.params.retry_max_delay ?? 30,
      copy: this.#places.slice(index + 1).some((place) => place.built.kind === 'filter'),
      log: pipelineLog.child({ action: config.label }),
      signal: this.#giveUp.signal,
      reject: (event, error) => this.#deadLetter(index, event, error),
    })
  }
}
