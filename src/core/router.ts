// Which actions take an event: worked out once for each distinct tag, then one array access an event.
import type { Event } from './event.ts'
import type { TagCounts } from './metrics.ts'
import type { TagMatcher } from './tag.ts'

/** What the router knows of one action of the pipeline. */
export interface Stop {
  readonly takes: TagMatcher
  /**
   * Every event stops here, also those that `takes` refuses: an action that works on whole batches keeps their order, one that
   * acts by the clock learns the time. */
  readonly always: boolean
}

/** The route of one tag. */
class Plan {
  readonly tag: string
  /** `next[i]`: the first action at or after place i where the event stops; the number of actions at the end. */
  readonly next: Int32Array
  /** `entered[i]`: events that were handed to place i. In, bypass and out of every action follow from it. */
  readonly entered: Float64Array
  /** `takes[i]`: the action at i takes this tag. */
  readonly takes: boolean[]

  constructor(tag: string, stops: readonly Stop[]) {
    const count = stops.length
    this.tag = tag
    this.next = new Int32Array(count + 1).fill(count)
    this.entered = new Float64Array(count + 1)
    this.takes = stops.map((stop) => stop.takes(tag))
    for (let i = count - 1; i >= 0; i--) {
      this.next[i] = this.takes[i] || stops[i]?.always ? i : (this.next[i + 1] ?? count)
    }
  }
}

export class Router {
  readonly #stops: readonly Stop[]
  readonly #maxTags: number
  readonly #plans = new Map<string, Plan>()
  /** Counts of plans that were forgotten, by place. */
  readonly #forgotten: { in: Float64Array; bypass: Float64Array; out: Float64Array }
  #last: Plan

  /** `maxTags` bounds the plans that are kept; the one made first is forgotten first. */
  constructor(stops: readonly Stop[], maxTags: number) {
    this.#stops = stops
    this.#maxTags = maxTags
    const zeros = () => new Float64Array(stops.length)
    this.#forgotten = { in: zeros(), bypass: zeros(), out: zeros() }
    this.#last = new Plan('', stops)
  }

  /** The place where an event that is handed to place `from` stops, counted. */
  next(event: Event, from: number): number {
    // Streams come in runs of one tag: the last plan mostly fits.
    const plan = this.#last.tag === event.tag ? this.#last : this.#plan(event.tag)
    plan.entered[from] = (plan.entered[from] as number) + 1
    return plan.next[from] as number
  }

  /** Whether the action at `place` takes the tag. */
  takes(tag: string, place: number): boolean {
    const plan = this.#last.tag === tag ? this.#last : this.#plan(tag)
    return plan.takes[place] === true
  }

  /** What the action at `place` saw, by tag. */
  counts(place: number): { in: TagCounts; bypass: TagCounts; do: TagCounts; out: TagCounts } {
    const result = { in: {}, bypass: {}, do: {}, out: {} } as Record<'in' | 'bypass' | 'do' | 'out', TagCounts>
    for (const plan of this.#plans.values()) {
      const counted = countPlace(plan, place)
      add(result.in, plan.tag, counted.in)
      add(plan.takes[place] ? result.do : result.bypass, plan.tag, counted.in)
      add(result.out, plan.tag, counted.out)
    }
    const { in: entered, bypass, out } = this.#forgotten
    add(result.in, '*', entered[place] as number)
    add(result.bypass, '*', bypass[place] as number)
    add(result.do, '*', (entered[place] as number) - (bypass[place] as number))
    add(result.out, '*', out[place] as number)
    return result
  }

  #plan(tag: string): Plan {
    let plan = this.#plans.get(tag)
    if (plan === undefined) {
      if (this.#plans.size >= this.#maxTags) this.#forgetOldest()
      plan = new Plan(tag, this.#stops)
      this.#plans.set(tag, plan)
    }
    this.#last = plan
    return plan
  }

  #forgetOldest(): void {
    const [plan] = this.#plans.values()
    if (plan === undefined) return
    for (let place = 0; place < this.#stops.length; place++) {
      const counted = countPlace(plan, place)
      this.#forgotten.in[place] = (this.#forgotten.in[place] as number) + counted.in
      this.#forgotten.out[place] = (this.#forgotten.out[place] as number) + counted.out
      if (!plan.takes[place]) this.#forgotten.bypass[place] = (this.#forgotten.bypass[place] as number) + counted.in
    }
    this.#plans.delete(plan.tag)
  }
}

/** Events that reached a place, and events that went on from it. */
function countPlace(plan: Plan, place: number): { in: number; out: number } {
  const stopsAt = (i: number) => plan.next[i] === i
  // What was handed to a place before this one reaches it unless it stopped on the way.
  let reached = plan.entered[place] as number
  for (let i = place - 1; i >= 0 && !stopsAt(i); i--) reached += plan.entered[i] as number
  const emitted = plan.entered[place + 1] as number
  // What does not stop here walks on without being handed to the place behind.
  return { in: reached, out: stopsAt(place) ? emitted : reached + emitted }
}

/** Adds, because a tag may be called `*` itself. */
function add(counts: TagCounts, tag: string, count: number): void {
  if (count === 0) return
  if (tag === '__proto__') Object.defineProperty(counts, tag, { value: count, enumerable: true })
  else counts[tag] = (counts[tag] ?? 0) + count
}
