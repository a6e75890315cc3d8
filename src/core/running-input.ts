// The inputs of a pipeline: when another pipeline takes its place, those that are the same run on, and wait meanwhile.
import type { Input, Json, Position } from './action.ts'
import type { FeedooError } from './errors.ts'
import type { Event } from './event.ts'
import type { Place } from './place.ts'
import type { Positions } from './positions.ts'

/** What a pipeline does with what an input sends. */
export interface Receiver {
  emit(events: readonly Event[], position: Position | undefined, urgent: boolean): Promise<void>
  deadLetter(event: Event, error: FeedooError): void
  progress(done: number, total: number): void
}

/** The inputs of one pipeline. */
export class RunningInputs {
  /** Those that run on when the pipeline makes way, by their names in the state. */
  readonly kept = new Map<string, RunningInput>()
  readonly #inputs = new Map<number, { key: string; input: RunningInput }>()

  add(place: number, key: string, input: RunningInput): void {
    this.#inputs.set(place, { key, input })
  }

  at(place: number): RunningInput | undefined {
    return this.#inputs.get(place)?.input
  }

  connect(receiver: (place: number) => Receiver, positions: Positions | undefined): void {
    for (const [place, { key, input }] of this.#inputs) {
      input.connect(receiver(place), positions?.get(key) ?? new Map())
    }
  }

  /** Resolves when all have ended; rejects when one fails. */
  get ended(): Promise<unknown> {
    return Promise.all(Array.from(this.#inputs.values(), ({ input }) => input.ended))
  }

  /** Stops all of them. */
  stop(): void {
    for (const { input } of this.#inputs.values()) input.stop()
  }

  /** Resolves when all have ended, also by a failure. */
  async settled(): Promise<void> {
    await Promise.allSettled(Array.from(this.#inputs.values(), ({ input }) => input.ended))
  }

  /** Stops all but some, by their names in the state, and waits until they have ended; what the others send waits. */
  async leave(keep: ReadonlySet<string>): Promise<void> {
    const others: Promise<void>[] = []
    for (const { key, input } of this.#inputs.values()) {
      if (keep.has(key)) {
        input.disconnect()
        this.kept.set(key, input)
      } else {
        input.stop()
        others.push(input.ended)
      }
    }
    await Promise.all(others)
  }

  /** Whether the input at a place runs on. */
  isKept(place: number): boolean {
    return this.kept.has(this.#inputs.get(place)?.key ?? '')
  }
}

type DeadLetter = Receiver['deadLetter']

export class RunningInput {
  readonly place: Place
  readonly #input: Input
  readonly #stop = new AbortController()
  #receiver: Receiver | undefined
  #ended: Promise<void> | undefined
  /** What it sent while there was no pipeline: as much as its bounds for what is not safe let it send. */
  #sent: ((receiver: Receiver) => void)[] = []

  /** `make` builds the action in its place; rejects what it throws. */
  constructor(make: (deadLetter: DeadLetter) => Place) {
    this.place = make((event, error) => this.#deadLetter(event, error))
    if (this.place.built.kind !== 'input') throw new Error(`${this.place.config.name} is no input`)
    this.#input = this.place.built.action
  }

  /** Whether it has been started, by this pipeline or by the one before. */
  get isRunning(): boolean {
    return this.#ended !== undefined
  }

  /** Settles as the input's `run` does. */
  get ended(): Promise<void> {
    return this.#ended ?? Promise.resolve()
  }

  /** From here on what it sends goes to `receiver`, first of all what it has sent meanwhile. The first time starts it. */
  connect(receiver: Receiver, positions: ReadonlyMap<string, Json>): void {
    this.#receiver = receiver
    const sent = this.#sent
    this.#sent = []
    for (const send of sent) send(receiver)
    if (this.#ended !== undefined) return
    this.#ended = this.#input.run({
      emit: (events, position, urgent = false) =>
        this.#receiver === undefined
          ? this.#later(events, position, urgent)
          : this.#receiver.emit(events, position, urgent),
      signal: this.#stop.signal,
      positions,
      progress: (done, total) => this.#receiver?.progress(done, total),
    })
    // It may fail while there is no pipeline: the next one sees it.
    this.#ended.catch(() => {})
  }

  /** From here on what it sends waits. */
  disconnect(): void {
    this.#receiver = undefined
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Its counters begin anew: they are those of one pipeline. */
  resetCounters(): void {
    const { errors, dropped, deadLetters, counters } = this.place
    for (const counts of [errors, dropped, deadLetters, counters]) counts.clear()
  }

  #later(events: readonly Event[], position: Position | undefined, urgent: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sent.push((receiver) => receiver.emit(events, position, urgent).then(resolve, reject))
    })
  }

  #deadLetter(event: Event, error: FeedooError): void {
    if (this.#receiver === undefined) this.#sent.push((receiver) => receiver.deadLetter(event, error))
    else this.#receiver.deadLetter(event, error)
  }
}
