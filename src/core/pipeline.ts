// One pipeline: a list of actions, the routing between them, and the commit that answers its inputs.
import type { BatchFilter, DnsAnswers, Emit, EventFilter, Input, Json, Position } from './action.ts'
import { Alarms } from './alarms.ts'
import type { Clock } from './clock.ts'
import { type ChangedPositions, Committer } from './committer.ts'
import type { PipelineConfig } from './config/types.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings } from './dead-letters.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import type { Logger } from './log.ts'
import { countTag, type PipelineStats } from './metrics.ts'
import { OutputBuffer } from './output-buffer.ts'
import { makePlace, maxTags, type Place, statsOf, stopOf } from './place.ts'
import { actionKey, type Positions } from './positions.ts'
import type { Registry } from './registry.ts'
import { Router } from './router.ts'
import type { Memory } from './state/memory.ts'
import type { MemoryChange, PipelineState, StateChange, TimelineName } from './state/pipeline-state.ts'
import { ArrivalTimeline, EventTimeline, type TimelineState } from './timeline.ts'

/** Milliseconds between two looks at the clock in case the stream is silent. */
const clockInterval = 250
/** Seconds between two lines about an action whose `tick` throws. */
const tickWarningInterval = 60

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
  readonly #router: Router
  readonly #steps: Emit[]
  readonly #committer: Committer
  readonly #deadLetters: OutputBuffer
  readonly #deadLetterOutput: { close?(): Promise<void> }
  readonly #alarms: { event: Alarms; arrival: Alarms }
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
    const time = { event: new EventTimeline(clock), arrival: new ArrivalTimeline(clock) }
    this.#alarms = { event: new Alarms(time.event), arrival: new Alarms(time.arrival) }
    this.#places = config.actions.map((action, place) =>
      makePlace(action, {
        pipeline: config.name,
        registry: options.registry,
        clock,
        time,
        dns: options.dns,
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
      makeSafe: (positions) => this.#makeSafe(buffers, positions),
      interval: Math.min(1, ...timeouts),
      failed: this.#lose,
    })
  }

  /** Binds sockets and opens files, for every action, before the process may give up its privileges. */
  async open(): Promise<void> {
    this.#restore()
    for (const [place, { built }] of this.#places.entries()) {
      await built.action.open?.()
      if (built.kind !== 'output' || this.#options.state === undefined) continue
      await built.action.recover?.(this.#options.state.mark(this.#keyOf(place)))
    }
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
    const ticking = this.#watchClock()
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
    await this.#batches
    // Now is when these events came: what `elapse` finds gone by is counted from here.
    this.#alarms.event.time.silentNow()
    await safe
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

  async #drain(running: readonly Promise<void>[], failed: AbortController, ticking: NodeJS.Timeout): Promise<void> {
    try {
      await Promise.all(running)
    } catch (error) {
      failed.abort()
      await Promise.allSettled(running)
      throw error
    } finally {
      clearInterval(ticking)
      await this.#batches
      await this.#committer.drain()
      await this.#saveLast()
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

  /** Gives back to the filters, and to the clock, what was saved. */
  #restore(): void {
    const { state } = this.#options
    if (state !== undefined) {
      for (const name of ['event', 'arrival'] as const) {
        const saved = state.timeline(name)
        if (saved !== undefined) this.#alarms[name].time.restore(saved)
      }
      for (const [key, { memory }] of this.#memories()) memory.restore(state.memory(key, memory.format))
    }
    this.#alarms.event.look()
    this.#alarms.arrival.look()
  }

  *#memories(): Generator<[key: string, { memory: Memory }]> {
    for (const [place, { built }] of this.#places.entries()) {
      if (built.kind === 'filter' && built.action.memory !== undefined) {
        yield [this.#keyOf(place), { memory: built.action.memory }]
      }
    }
  }

  /** Dead letters last: what an output refuses during the commit belongs to it. */
  async #makeSafe(buffers: readonly OutputBuffer[], positions: ChangedPositions): Promise<void> {
    const memories = this.#options.state?.wanted(false) ? this.#changedMemories() : undefined
    const timelines = this.#timelines()
    await Promise.all(buffers.map((buffer) => buffer.makeSafe()))
    await this.#deadLetters.makeSafe()
    const byInput = new Map([...positions].map(([place, changed]) => [this.#keyOf(place), changed]))
    if (memories !== undefined) {
      await this.#options.state?.save({ memories, timelines, marks: this.#marks(), positions: byInput })
    }
    for (const [input, changed] of byInput) this.#options.savePositions?.(input, changed)
  }

  /** What was not saved because a commit came too soon after the one before. */
  async #saveLast(): Promise<void> {
    const { state } = this.#options
    if (!state?.wanted(true)) return
    const memories = this.#changedMemories()
    await state.save({ memories, timelines: this.#timelines(), marks: this.#marks(), positions: new Map() })
  }

  #changedMemories(): MemoryChange[] {
    const changed: MemoryChange[] = []
    for (const [action, { memory }] of this.#memories()) {
      const changes = memory.changes()
      if (changes !== undefined) changed.push({ action, format: memory.format, ...changes })
    }
    return changed
  }

  #marks(): Map<string, Json> {
    const marks = new Map<string, Json>()
    for (const [place, { buffer }] of this.#places.entries()) {
      if (buffer?.mark !== undefined) marks.set(this.#keyOf(place), buffer.mark)
    }
    return marks
  }

  #timelines(): StateChange['timelines'] {
    const timelines = new Map<TimelineName, TimelineState>()
    for (const name of ['event', 'arrival'] as const) {
      const saved = this.#alarms[name].time.save()
      if (saved !== undefined) timelines.set(name, saved)
    }
    return timelines
  }

  /** Looks at the clock now and then: in a silent stream nothing else would tell rules that time goes by. */
  #watchClock(): NodeJS.Timeout {
    return setInterval(() => {
      if (this.#alarms.event.size + this.#alarms.arrival.size > 0) this.#elapse()
    }, clockInterval)
  }

  /**
   * Lets rules see that time has gone by, after `patience` seconds of silence. Resolves when what they had to say about
   * it is safe. The engine does this by itself while it runs; for `feedoo test`, with a clock of its own.
   */
  elapse(patience?: number): Promise<void> {
    return this.#elapse(patience)
  }

  async #elapse(patience?: number): Promise<void> {
    const due = (['event', 'arrival'] as const).filter((name) => {
      const alarms = this.#alarms[name]
      const now = alarms.time.silentNow(patience)
      if (now < alarms.next) alarms.time.now = now
      return now >= alarms.next
    })
    if (due.length === 0) return
    const ring = () => {
      this.#event = undefined
      for (const name of due) this.#alarms[name].moveTo(this.#alarms[name].time.silentNow(patience))
    }
    if (this.#waits.size === 0) ring()
    else await this.#inTurn(ring)
    await this.#committer.whenSafe(-1, 0, undefined, true)
  }

  /** Between two batches; in their turn when batches wait at asynchronous filters. */
  #atBoundary(cut: () => void): void {
    if (this.#waits.size === 0) cut()
    else this.#batches = this.#batches.then(cut)
  }

  #keyOf(place: number): string {
    return actionKey(
      this.#places.map(({ config }) => config),
      place,
    )
  }

  async #runInput(input: Input, place: number, signal: AbortSignal): Promise<void> {
    await input.run({
      emit: (events, position, urgent = false) => this.#emit(place, events, position, urgent),
      signal,
      positions: this.#options.positions?.get(this.#keyOf(place)) ?? new Map(),
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
    this.#inTurn(() => this.#process(events, place + 1))
    return this.#whenProcessed(place, count, position, urgent)
  }

  async #whenProcessed(place: number, count: number, position: Position | undefined, urgent: boolean): Promise<void> {
    await this.#batches
    this.#waiting -= count
    await this.#committer.whenSafe(place, count, position, urgent)
  }

  /** Behind the batches that wait at asynchronous filters; and what it sends to such a filter waits there too. */
  #inTurn(work: () => void): Promise<void> {
    this.#batches = this.#batches.then(() => this.#workAndWait(work))
    return this.#batches
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

  async #workAndWait(work: () => void): Promise<void> {
    work()
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
    return isTicking(filter) ? this.#tickingStep(filter, place, emit) : (event) => filter.apply(event, emit)
  }

  /** Before the event is applied, what was due before it is done: the same alerts whatever the batches. */
  #tickingStep(filter: TickingFilter, place: number, emit: Emit): Emit {
    const line = this.#places[place]?.config.params.time === 'arrival' ? 'arrival' : 'event'
    const alarms = this.#alarms[line]
    const { time } = alarms
    alarms.add({ filter, emit, failed: this.#tickFailed(place) })
    return (event) => {
      time.see(event)
      if (time.now >= alarms.next) {
        alarms.ring()
        this.#at = place
        this.#event = event
      }
      if (!this.#router.takes(event.tag, place)) return this.#route(event, place + 1)
      filter.apply(event, emit)
      const due = filter.due
      if (due !== undefined && due < alarms.next) alarms.next = due
    }
  }

  #tickFailed(place: number): (error: unknown) => void {
    let warned = Number.NEGATIVE_INFINITY
    return (error) => {
      const at = this.#places[place]
      at?.counters.set('tick_errors', (at.counters.get('tick_errors') ?? 0) + 1)
      const now = this.#options.clock.now()
      if (now - warned < tickWarningInterval) return
      warned = now
      this.#log.error({ err: error, action: at?.config.label }, 'the action failed at what it does by the clock')
    }
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

type TickingFilter = EventFilter & Required<Pick<EventFilter, 'tick'>>

function isTicking(filter: EventFilter): filter is TickingFilter {
  return filter.tick !== undefined
}
