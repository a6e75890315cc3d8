// Takes events through the actions of a pipeline: from one that takes them to the next, and when their time has come.
import type { BatchFilter, Emit, EventFilter } from './action.ts'
import { Alarms } from './alarms.ts'
import type { Clock } from './clock.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import type { Logger } from './log.ts'
import { maxTags, type Place, stopOf } from './place.ts'
import { Router } from './router.ts'
import { justAfter } from './rules/due-heap.ts'
import { ArrivalTimeline } from './timeline.ts'

/** Seconds between two lines about an action whose `tick` throws. */
const tickWarningInterval = 60

export interface FlowOptions {
  clock: Clock
  log: Logger
  /** Sees what comes out behind the last action. */
  sink: Emit | undefined
  /** An event that the action at `place` could not handle. */
  deadLetter(place: number, event: Event, error: FeedooError): void
}

export class Flow {
  /** Those of each timeline by which something is done, in the order of the actions. */
  readonly alarms: Alarms[] = []
  readonly router: Router
  readonly #options: FlowOptions
  readonly #places: readonly Place[]
  readonly #steps: Emit[]
  /** Places where a batch waits for an asynchronous filter, in order, with what has arrived there. */
  readonly #waits = new Map<number, { filter: BatchFilter; arrived: Event[] }>()
  #batches: Promise<void> = Promise.resolve()
  /** Batches on their way through them. */
  #underway = 0
  /** The place and event in hand, so that a throw is blamed on the right one. */
  #at = 0
  #event: Event | undefined

  constructor(places: readonly Place[], options: FlowOptions) {
    this.#options = options
    this.#places = places
    this.router = new Router(places.map(stopOf), maxTags)
    this.#steps = places.map((place, index) => this.#step(place, index))
  }

  /** Some of its actions work asynchronously: events then go through `inTurn`, not `process`. */
  get waits(): boolean {
    return this.#waits.size > 0
  }

  /** Resolves when every batch so far has got through the asynchronous filters. */
  get idle(): Promise<void> {
    return this.#batches
  }

  /** Behind the batches that wait at asynchronous filters; and what it sends to such a filter waits there too. */
  inTurn(work: () => void): Promise<void> {
    this.#underway++
    this.#batches = this.#batches.then(() => this.#workAndWait(work)).finally(() => this.#underway--)
    return this.#batches
  }

  /** Between two batches; in their turn when batches wait at asynchronous filters. */
  atBoundary(cut: () => void): void {
    if (this.#waits.size === 0) cut()
    else this.#batches = this.#batches.then(cut)
  }

  /**
   * Lets filters see that time has gone by, after `patience` seconds of silence. True when some had something to do.
   */
  async elapse(patience?: number): Promise<boolean> {
    const due = this.alarms.filter((alarms) => {
      const now = alarms.time.silentNow(patience)
      const isDue = justAfter(now) >= alarms.next
      // Where events wait, it is not silent behind them.
      if (!isDue && this.#underway === 0) alarms.time.now = now
      return isDue
    })
    if (due.length === 0) return false
    const ring = () => {
      this.#event = undefined
      for (const alarms of due) alarms.moveTo(alarms.time.silentNow(patience))
    }
    if (this.waits) await this.inTurn(ring)
    else ring()
    return true
  }

  /** Takes a batch through the actions that need not wait. */
  process(events: readonly Event[], from: number): void {
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
      for (const outcome of await this.#applyBatch(place, wait.filter, events)) this.process(outcome, place + 1)
    }
  }

  async #applyBatch(
    place: number,
    filter: BatchFilter,
    events: readonly Event[],
  ): Promise<readonly (readonly Event[])[]> {
    const takes = events.map((event) => this.router.takes(event.tag, place))
    const taken = events.filter((_, index) => takes[index])
    let results: readonly (readonly Event[])[] | undefined
    try {
      results = taken.length === 0 ? [] : await filter.applyBatch(taken)
      if (results.length !== taken.length || !results.every(Array.isArray)) {
        throw new Error(`applyBatch must return one list of events for each of its ${taken.length} events`)
      }
    } catch (cause) {
      const error = new FeedooError('ACTION_FAILED', messageOf(cause), { cause })
      for (const event of taken) this.#options.deadLetter(place, event, error)
      results = undefined
    }
    let next = 0
    return events.map((event, index) => (takes[index] ? (results?.[next++] ?? []) : [event]))
  }

  #route(event: Event, from: number): void {
    const place = this.router.next(event, from)
    if (place < this.#steps.length) {
      this.#at = place
      this.#event = event
      ;(this.#steps[place] as Emit)(event)
    } else {
      this.#options.sink?.(event)
    }
  }

  /** What happens to an event that stops at a place. */
  #step(at: Place, place: number): Emit {
    const { built, buffer } = at
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
      return this.#arriving(at, (event) => void wait.arrived.push(event))
    }
    if (isTicking(filter)) return this.#tickingStep(filter, place, emit, this.#alarmsOn(at.time))
    return this.#arriving(at, (event) => filter.apply(event, emit))
  }

  /** Where nothing is done by the clock, an action that goes by the time of arrival still has to be told of it. */
  #arriving({ time }: Place, step: Emit): Emit {
    if (!(time instanceof ArrivalTimeline)) return step
    return (event) => {
      time.see()
      step(event)
    }
  }

  /** Before the event is applied, what was due before it is done: the same alerts whatever the batches. */
  #tickingStep(filter: TickingFilter, place: number, emit: Emit, alarms: Alarms): Emit {
    const { time } = alarms
    alarms.add({ filter, emit, failed: this.#tickFailed(place) })
    return (event) => {
      if (time.see(event)) alarms.look()
      if (time.now >= alarms.next) {
        alarms.ring()
        this.#at = place
        this.#event = event
      }
      if (!this.router.takes(event.tag, place)) return this.#route(event, place + 1)
      filter.apply(event, emit)
      const due = filter.due
      if (due !== undefined && due < alarms.next) alarms.next = due
    }
  }

  #alarmsOn(time: Place['time']): Alarms {
    const known = this.alarms.find((alarms) => alarms.time === time)
    if (known !== undefined) return known
    const alarms = new Alarms(time)
    this.alarms.push(alarms)
    return alarms
  }

  #tickFailed(place: number): (error: unknown) => void {
    let warned = Number.NEGATIVE_INFINITY
    return (error) => {
      const at = this.#places[place]
      at?.counters.set('tick_errors', (at.counters.get('tick_errors') ?? 0) + 1)
      const now = this.#options.clock.now()
      if (now - warned < tickWarningInterval) return
      warned = now
      this.#options.log.error(
        { err: error, action: at?.config.label },
        'the action failed at what it does by the clock',
      )
    }
  }

  #setAside(cause: unknown): void {
    const event = this.#event
    if (event === undefined) throw cause
    this.#options.deadLetter(this.#at, event, new FeedooError('ACTION_FAILED', messageOf(cause), { cause }))
  }
}

type TickingFilter = EventFilter & Required<Pick<EventFilter, 'tick'>>

function isTicking(filter: EventFilter): filter is TickingFilter {
  return filter.tick !== undefined
}
