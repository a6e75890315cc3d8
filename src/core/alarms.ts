// What filters do by the clock: each is called at its due time, in the order of those times.
import type { Emit, EventFilter } from './action.ts'
import { justAfter } from './rules/due-heap.ts'
import type { ArrivalTimeline, EventTimeline } from './timeline.ts'

/** A filter that acts by the clock, in its place. */
export interface Alarm {
  readonly filter: EventFilter & Required<Pick<EventFilter, 'tick'>>
  readonly emit: Emit
  /** `tick` threw: the filter is left alone until its `due` has moved. */
  failed(error: unknown): void
}

/** The alarms on one timeline. */
export class Alarms {
  readonly time: EventTimeline | ArrivalTimeline
  /** No alarm is due before this moment. */
  next = Number.POSITIVE_INFINITY
  readonly #alarms: Alarm[] = []
  #ringing = false

  constructor(time: EventTimeline | ArrivalTimeline) {
    this.time = time
  }

  add(alarm: Alarm): void {
    this.#alarms.push(alarm)
  }

  /** Reads the due times again: after `restore`, and at the start. */
  look(): void {
    this.next = Math.min(...this.#alarms.map(({ filter }) => filter.due ?? Number.POSITIVE_INFINITY))
  }

  /**
   * Time goes by, without an event, to `now`: calls what is due by then. No event at that very moment will come any more:
   * what is due just after it is called, too.
   */
  moveTo(now: number): void {
    this.time.now = now
    if (justAfter(now) >= this.next) this.#ring(justAfter(now))
  }

  /** Calls what is due by now. An alert that a filter further down sees meanwhile starts nothing again. */
  ring(): void {
    this.#ring(this.time.now)
  }

  #ring(until: number): void {
    if (this.#ringing) return
    this.#ringing = true
    const { now } = this.time
    try {
      const mute = new Set<Alarm>()
      for (;;) {
        const { alarm, due } = this.#first(mute)
        this.next = due
        if (alarm === undefined || due > until) return
        this.time.now = due
        this.#call(alarm, due, mute)
      }
    } finally {
      this.time.now = now
      this.#ringing = false
    }
  }

  #first(mute: ReadonlySet<Alarm>): { alarm: Alarm | undefined; due: number } {
    let first: Alarm | undefined
    let earliest = Number.POSITIVE_INFINITY
    for (const alarm of this.#alarms) {
      const due = alarm.filter.due ?? Number.POSITIVE_INFINITY
      if (due >= earliest || mute.has(alarm)) continue
      earliest = due
      first = alarm
    }
    return { alarm: first, due: earliest }
  }

  #call(alarm: Alarm, due: number, mute: Set<Alarm>): void {
    try {
      alarm.filter.tick(due, alarm.emit)
      if (!((alarm.filter.due ?? Number.POSITIVE_INFINITY) > due)) throw new Error('tick did not move due on')
    } catch (error) {
      mute.add(alarm)
      alarm.failed(error)
    }
  }
}
