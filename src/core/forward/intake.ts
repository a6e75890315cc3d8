// Takes checked requests into the pipeline: how many may be open, chunks that come again, acknowledgements when safe.

import type { ForwardEntry, ForwardFrame } from '../../protocol/forward-frame.ts'
import type { InputRun, Position } from '../action.ts'
import type { Event } from '../event.ts'
import type { TallyLog } from '../tally-log.ts'
import type { Answer } from './answers.ts'
import { type ChunkKey, ChunkWindow, chunkKey } from './chunk-window.ts'

export interface IntakeOptions {
  run: Pick<InputRun, 'emit' | 'positions'>
  /** Events that may be open, that is not safe yet, before nothing more is taken. */
  maxOpen: number
  /** Bytes that requests and their events may take while they are open. */
  maxOpenBytes: number
  tagPrefix: string
  /** Ids of chunks that are remembered of one sender; 0 remembers none. */
  dedupeWindow: number
  /** The same of all senders together. */
  dedupeTotal: number
  /** Unix seconds. */
  now(): number
  tally: TallyLog
  /** Called when there is no room any more. */
  onFull(): void
  /** Called when there is room again. */
  onRoom(): void
}

/** Requests that go to the pipeline in one go. */
interface Batch {
  events: ForwardEntry[]
  weight: number
  bytes: number
  position: Position | undefined
  answers: Answer[]
}

/** Bytes that an event takes besides those that it came in: those of an empty one are as few as two. */
const eventBytes = 256
/** Bytes that a request takes which comes again while it is not safe yet, besides its answer. */
const againBytes = 256

export class Intake {
  readonly #options: IntakeOptions
  readonly #window: ChunkWindow<Batch>
  #batch: Batch | undefined
  #open = 0
  #openBytes = 0
  #isFull = false
  #drained: (() => void) | undefined

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#window = new ChunkWindow(
      { perSender: options.dedupeWindow, total: options.dedupeTotal },
      options.run.positions,
    )
  }

  /** True when nothing more is to be read. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Events taken that are not safe yet. */
  get open(): number {
    return this.#open
  }

  /**
   * Adds a request of so many bytes to those of this turn. `answer` is there when the sender waits for one. Gives back
   * the key under which its chunk is known, if it is.
   */
  add(frame: ForwardFrame, bytes: number, answer: Answer | undefined, sender: string): ChunkKey | undefined {
    const { tag, entries, untimed, option, mislabelled } = frame
    const { tally, tagPrefix, dedupeWindow } = this.#options
    if (mislabelled) tally.note('mislabelled', 'warn', 'a request says another compression than its bytes', { tag })
    if (option.signal !== 0) {
      tally.note(option.signal === 1 ? 'metrics' : 'traces', 'info', 'metrics and traces are no events: passed over', {
        tag,
        signal: option.signal,
      })
      answer?.ready()
      return undefined
    }
    const key = option.chunk === undefined || dedupeWindow === 0 ? undefined : chunkKey(sender, tag, option.chunk)
    if (key !== undefined && this.#isKnown(key, tag, answer)) return key
    if (tagPrefix !== '') for (const entry of entries) entry.tag = tagPrefix + tag
    if (untimed.length > 0) {
      const timestamp = this.#options.now()
      for (const entry of untimed) entry.timestamp = timestamp
    }
    this.#append(entries, Math.max(bytes, frame.inflatedBytes) + entries.length * eventBytes, key, answer)
    return key
  }

  /** Forgets chunks whose sender has their acknowledgements: it does not send them again. */
  forget(keys: readonly ChunkKey[]): void {
    for (const key of keys) this.#window.forget(key)
  }

  /** Sends what was added. Requests that come in one read share a trip through the pipeline. */
  flush(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    const { events, position, answers } = batch
    // A sender that is not read any more waits, as one for an answer does.
    const urgent = answers.length > 0 || this.#isFull
    // Events that are long written would live until the answer.
    batch.events = []
    void this.#options.run.emit(events satisfies Event[], position, urgent).then(() => {
      if (position !== undefined) this.#window.setSafe(position)
      for (const answer of batch.answers) answer.ready()
      this.#release(batch.weight, batch.bytes)
    })
  }

  /** Comes back when everything taken is safe. */
  async drain(): Promise<void> {
    if (this.#open === 0) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
    })
  }

  #isKnown(key: ChunkKey, tag: string, answer: Answer | undefined): boolean {
    const known = this.#window.get(key)
    if (known === undefined) return false
    this.#options.tally.note('chunk_again', 'info', 'a chunk that came again is acknowledged, not taken again', { tag })
    if (answer === undefined) return true
    if (known === 'safe') answer.ready()
    else {
      known.answers.push(answer)
      // What waits takes memory: a sender that comes again and again must come to an end, too.
      this.#hold(known, 1, againBytes + answer.size)
    }
    return true
  }

  #append(entries: ForwardEntry[], bytes: number, key: ChunkKey | undefined, answer: Answer | undefined): void {
    this.#batch ??= { events: [], weight: 0, bytes: 0, position: undefined, answers: [] }
    const batch = this.#batch
    if (batch.events.length === 0) batch.events = entries
    else for (const entry of entries) batch.events.push(entry)
    // A request without entries counts, too: its answer waits.
    this.#hold(batch, Math.max(1, entries.length), bytes)
    if (answer !== undefined) batch.answers.push(answer)
    if (key !== undefined) {
      batch.position ??= {}
      if (this.#window.add(key, batch, batch.position)) {
        const total = this.#options.dedupeTotal
        this.#options.tally.note('dedupe_full', 'warn', `more than ${total} chunk ids: the oldest are forgotten`)
      }
    }
  }

  #hold(batch: Batch, weight: number, bytes: number): void {
    batch.weight += weight
    batch.bytes += bytes
    this.#open += weight
    this.#openBytes += bytes
    const { maxOpen, maxOpenBytes, onFull } = this.#options
    if (this.#isFull || (this.#open < maxOpen && this.#openBytes < maxOpenBytes)) return
    this.#isFull = true
    onFull()
  }

  #release(weight: number, bytes: number): void {
    this.#open -= weight
    this.#openBytes -= bytes
    const { maxOpen, maxOpenBytes, onRoom } = this.#options
    // Half empty first: sockets are not to be stopped and started for each request.
    if (this.#isFull && this.#open <= maxOpen / 2 && this.#openBytes <= maxOpenBytes / 2) {
      this.#isFull = false
      onRoom()
    }
    if (this.#open === 0) this.#drained?.()
  }
}
