// One pipeline: a list of actions, the routing between them, and the commit that answers its inputs.
import type { CommonParams, DnsAnswers, Emit, Json, Output, Position } from './action.ts'
import type { Clock } from './clock.ts'
import { Committer } from './committer.ts'
import type { ActionConfig, PipelineConfig } from './config/types.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings, plainLetter } from './dead-letters.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import { Flow } from './flow.ts'
import type { Handover } from './handover.ts'
import type { Logger } from './log.ts'
import { countTag, type PipelineStats } from './metrics.ts'
import { type EventBuffer, makePlace, maxTags, type Place, statsOf } from './place.ts'
import { actionKey, type Positions } from './positions.ts'
import type { Registry } from './registry.ts'
import { type Receiver, RunningInput, RunningInputs } from './running-input.ts'
import { type BufferParams, Safekeeping } from './safekeeping.ts'
import type { PipelineState } from './state/pipeline-state.ts'
import { EventTimeline, Timelines } from './timeline.ts'

/** Seconds between two commits that have a state to save, at least. */
const durablePause = 0.05
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
  /** What the pipeline has left whose place this one takes. */
  remains?: Remains | undefined
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
  readonly #places: Place[]
  readonly #inputs = new RunningInputs()
  readonly #flow: Flow
  readonly #committer: Committer
  readonly #deadLetters: EventBuffer
  readonly #safekeeping: Safekeeping
  readonly #deadLetterOutput: Output
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
    const { clock } = options
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
    const { state } = options
    const keys = config.actions.map((_, place) => actionKey(config.actions, place))
    const timelines = new Timelines(clock)
    const safekeeping = new Safekeeping({
      pipeline: config.name,
      keys,
      timelines,
      state,
      handover: options.remains?.handover,
      log,
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
      { ...deadLetterBuffering, log, reject: () => {}, dropped: () => {}, refused: plainLetter },
      options.deadLetters !== undefined,
    )
    const make = (action: ActionConfig, place: number, aside = this.#deadLetterAt(place)) =>
      makePlace(action, {
        pipeline: config.name,
        registry: options.registry,
        clock,
        timelines,
        dns: options.dns,
        log,
        intend: safekeeping.intentOf(place),
        deadLetter: aside,
      })
    this.#places = config.actions.map((action, place) => {
      if (options.registry.get(action.name)?.kind !== 'input') return make(action, place)
      const kept = options.remains?.inputs.get(keys[place] ?? '')
      kept?.resetCounters()
      const input = kept ?? new RunningInput((aside) => make(action, place, aside))
      this.#inputs.add(place, keys[place] ?? '', input)
      return input.place
    })
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
      pause: state?.isDurable ? durablePause : 0,
      failed: this.#lose,
    })
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

  #receiver(place: number): Receiver {
    return {
      emit: (events, position, urgent) => this.#emit(place, events, position, urgent),
      deadLetter: this.#deadLetterAt(place),
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

  #deadLetterAt(place: number): (event: Event, error: FeedooError) => void {
    return (event, error) => this.#deadLetter(place, event, error)
  }

  #deadLetter(place: number, event: Event, error: FeedooError): void {
    const at = this.#places[place]
    if (at === undefined) return
    countTag(at.errors, event.tag, maxTags)
    countTag(at.deadLetters, event.tag, maxTags)
    const { label } = at.config
    const nth = 1 + this.#places.slice(0, place).filter(({ config }) => config.label === label).length
    this.#deadLetters.add(deadLetter(this.name, label, event, error, this.#options.clock.now(), nth))
  }

  #buffering({ config, dropped, counters }: Place, index: number, params: CommonParams): BufferParams {
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
      refused: (event, error) => {
        this.#deadLetter(index, event, error)
        return undefined
      },
      dropped: (events) => {
        for (const event of events) countTag(dropped, event.tag, maxTags)
        counters.set('dropped_oldest', (counters.get('dropped_oldest') ?? 0) + events.length)
      },
    }
  }
}
