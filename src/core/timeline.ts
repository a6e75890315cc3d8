// The time of a pipeline: the highest event time seen, moved on by the wall clock when the stream is silent.
import type { Clock } from './clock.ts'
import type { Event } from './event.ts'
import type { TimelineName } from './state/pipeline-state.ts'

/** Seconds of wall time without an event after which the stream is silent. */
const silence = 0.5
/** Unix seconds, the end of the year 9999: a later time is nonsense and moves nothing. */
const endOfTime = 253_402_300_800

/** What a rule sees of it. */
export interface Timeline {
  /** Unix seconds. It goes back only once: when the first event is older than the moment of the start. */
  readonly now: number
  /** When it began: the time of the first event, or of the start while there was none. */
  readonly start: number
  /** The time of an event on this line: its own, or that of its arrival. */
  timeOf(event: Event): number
}

export interface TimelineState {
  start: number
  now: number
}

/**
 * The clocks of a pipeline. Behind an asynchronous filter event time stands where the events have come that got through it:
 * those in front of it are further on by what waits there, which depends on how the stream is cut into batches.
 */
export class Timelines {
  readonly all = new Map<TimelineName, EventTimeline | ArrivalTimeline>()
  readonly arrival: ArrivalTimeline
  /** Event time for the next action. */
  event: EventTimeline
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.event = new EventTimeline(clock)
    this.arrival = new ArrivalTimeline(clock)
    this.all.set('event', this.event).set('arrival', this.arrival)
  }

  /** The actions from here on stand behind a filter that waits. */
  behind(): void {
    this.event = new EventTimeline(this.#clock)
    this.all.set(`event ${this.all.size - 1}`, this.event)
  }

  save(): Map<TimelineName, TimelineState> {
    const saved = new Map<TimelineName, TimelineState>()
    for (const [name, time] of this.all) {
      const state = time.save()
      if (state !== undefined) saved.set(name, state)
    }
    return saved
  }

  restore(saved: (name: TimelineName) => TimelineState | undefined): void {
    for (const [name, time] of this.all) {
      // When the filter was not there yet, time was the same on both sides of it.
      const state = saved(name) ?? (name === 'arrival' ? undefined : saved('event'))
      if (state !== undefined) time.restore(state)
    }
  }
}

/** Event time. */
export class EventTimeline implements Timeline {
  now: number
  start: number
  readonly #clock: Clock
  /** The wall clock when the last event was seen, as far as `advance` has looked. */
  #wall: number
  /** Event time at that moment. */
  #highest: number
  #seen = false
  #fresh = true

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wall = clock.now()
    this.now = this.#wall
    this.start = this.#wall
    this.#highest = this.#wall
  }

  timeOf(event: Event): number {
    return event.timestamp
  }

  /** The event moves the time on, or not. True when it is the first one, from which the time counts. */
  see(event: Event): boolean {
    this.#seen = true
    const time = event.timestamp
    if (this.#fresh) return this.#anchor(time)
    if (time > this.now && time < endOfTime) this.now = time
    return false
  }

  /** Where the time stands by the wall clock after `patience` seconds without an event, else where it stands anyway. */
  silentNow(patience = silence): number {
    const wall = this.#clock.now()
    if (this.#seen) {
      this.#seen = false
      this.#wall = wall
      this.#highest = this.now
    }
    const still = wall - this.#wall
    return still < patience ? this.now : Math.max(this.now, this.#highest + still)
  }

  restore(state: TimelineState): void {
    this.#fresh = false
    this.start = state.start
    this.now = state.now
    this.#highest = state.now
  }

  save(): TimelineState | undefined {
    return this.#fresh ? undefined : { start: this.start, now: this.now }
  }

  /** The first event says what time it is: until then there was only the wall clock to go by. */
  #anchor(time: number): boolean {
    if (!(Math.abs(time) < endOfTime)) return false
    this.#fresh = false
    this.now = time
    this.start = time
    return true
  }
}

/** Time of arrival: the wall clock, which never goes back here. */
export class ArrivalTimeline implements Timeline {
  now: number
  start: number
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.now = clock.now()
    this.start = this.now
  }

  timeOf(): number {
    return this.now
  }

  see(): boolean {
    this.now = this.silentNow()
    return false
  }

  silentNow(): number {
    return Math.max(this.now, this.#clock.now())
  }

  restore(state: TimelineState): void {
    this.start = state.start
    this.now = Math.max(this.now, state.now)
  }

  save(): TimelineState {
    return { start: this.start, now: this.now }
  }
}
