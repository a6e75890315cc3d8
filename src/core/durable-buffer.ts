// The buffer in front of an output whose target is elsewhere: events are safe in the commit, and are written afterwards.
import { randomBytes } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import { FeedooError, messageOf } from './errors.ts'
import { cloneEvent, type Event, type EventRecord } from './event.ts'
import type { OutputBuffer } from './output-buffer.ts'
import type { BufferChange, SavedBatch } from './state/pipeline-state.ts'

/** Levels of lists and maps in an event that the state holds; a main thread reads 1,900, a worker 7,700. */
const maxDepth = 1000

export interface DurableBufferOptions {
  /** The action's name in the state. */
  action: string
  /** In front of the names of its batches, for people. */
  id: string
  /** Events in one batch, at most. */
  bufferSize: number
  /** Bytes that may wait for the target. */
  limit: number
  whenFull: 'block' | 'drop_oldest'
  copy: boolean
  /** Left over by the process before this one, oldest first. */
  left: readonly SavedBatch[]
  /** The highest `seq` that was ever given. */
  last: number
  /** Asks for a commit soon: there is something to tell the state. */
  wantCommit(): void
  /** Called for events that are given up because there is no room. */
  dropped(events: readonly Event[]): void
  /** Takes, at a cut, an event that the state cannot hold; may give back what is to be kept in its place. */
  refused(event: Event, error: FeedooError): Event | undefined
  /** Called for a batch of an earlier process that cannot be read: it stays where it is. */
  unreadable(batch: SavedBatch, error: unknown): void
  /** Aborts when the time to drain is over: what the target does not have then stays in the state. */
  giveUp: AbortSignal
  /** Called when the target can never take anything any more. */
  failed(error: unknown): void
}

interface Batch {
  seq: number
  name: string
  bytes: number
  events: readonly Event[]
}

export class DurableBuffer {
  readonly #writer: OutputBuffer
  readonly #options: DurableBufferOptions
  #held: Event[] = []
  /** Cut for a commit that is under way. */
  #cut: Batch[] = []
  /** In the state, and to be written. The first is being written. */
  readonly #waiting: Batch[] = []
  #bytes = 0
  #done: number[] = []
  #next: number
  readonly #prefix: string
  #writing = false
  #settled: Promise<void> = Promise.resolve()
  #sleepers: (() => void)[] = []

  constructor(writer: OutputBuffer, options: DurableBufferOptions) {
    this.#writer = writer
    this.#options = options
    this.#next = options.last + 1
    // Not the number alone: a state that was put back from a backup counts again from there, and a target that knows the
    // name of a batch takes it for the one that it has.
    this.#prefix = `${options.id}/${randomBytes(12).toString('base64url')}`
    for (const batch of options.left) this.#takeOver(batch)
  }

  /** The action's name in the state. */
  get action(): string {
    return this.#options.action
  }

  get failing(): boolean {
    return this.#writer.failing
  }

  get retries(): number {
    return this.#writer.retries
  }

  /** Bytes that wait for the target. */
  get bytes(): number {
    return this.#bytes
  }

  /** Events that are committed and not written. */
  get left(): number {
    return this.#waiting.reduce((sum, { events }) => sum + events.length, 0)
  }

  add(event: Event): void {
    this.#held.push(this.#options.copy ? cloneEvent(event) : event)
  }

  /** At the cut of a commit: what is to be saved with it. No event makes it throw. `committed` follows once it is saved. */
  cut(): BufferChange {
    const add: SavedBatch[] = []
    const { bufferSize, action } = this.#options
    for (let from = 0; from < this.#held.length; from += bufferSize) {
      const batch = encode(this.#held.slice(from, from + bufferSize), this.#options.refused)
      if (batch === undefined) continue
      const { events, data } = batch
      const seq = this.#next++
      const name = `${this.#prefix}/${seq}`
      add.push({ seq, name, events: events.length, data })
      this.#cut.push({ seq, name, bytes: data.length, events })
    }
    this.#held = []
    const done = this.#done
    this.#done = []
    return { action, add, done }
  }

  /** The commit is saved: what was cut for it can be written. */
  committed(): void {
    for (const batch of this.#cut) this.#wait(batch)
    this.#cut = []
    if (this.#options.whenFull === 'drop_oldest') this.#drop()
    this.start()
  }

  /** Begins to write what waits. */
  start(): void {
    if (this.#writing) return
    this.#writing = true
    this.#settled = this.#write().then(
      () => {
        this.#writing = false
        this.#wake()
      },
      (error: unknown) => {
        this.#writing = false
        this.#wake()
        if (!this.#options.giveUp.aborted) this.#options.failed(error)
      },
    )
  }

  /** Comes back when there is room for more, which is at once unless the target is far behind, or on `stopping`. */
  async room(stopping: AbortSignal): Promise<void> {
    if (this.#options.whenFull === 'drop_oldest') return
    await this.#until(() => this.#bytes <= this.#options.limit || stopping.aborted, [stopping])
  }

  /**
   * Comes back when the target has everything that was committed; on `stopping`, also when the target is away, and
   * when the time is over.
   */
  async empty(stopping: AbortSignal): Promise<void> {
    const { giveUp } = this.#options
    const isOver = () => giveUp.aborted || (stopping.aborted && this.failing)
    await this.#until(() => !this.#writing || isOver(), [stopping, giveUp])
  }

  /** Comes back when nothing is being written: soon after the signal of its writer has aborted. */
  get settled(): Promise<void> {
    return this.#settled
  }

  /** The target has just gone away. */
  wake(): void {
    this.#wake()
  }

  /** The condition is looked at whenever something has changed, and at each of the signals. */
  async #until(condition: () => boolean, signals: readonly AbortSignal[]): Promise<void> {
    const wake = () => this.#wake()
    for (const signal of signals) signal.addEventListener('abort', wake)
    while (!condition()) await new Promise<void>((resolve) => this.#sleepers.push(resolve))
    for (const signal of signals) signal.removeEventListener('abort', wake)
  }

  #wake(): void {
    for (const resume of this.#sleepers.splice(0)) resume()
  }

  #takeOver(saved: SavedBatch): void {
    let events: Event[]
    try {
      events = decode(saved.data)
    } catch (error) {
      this.#options.unreadable(saved, error)
      return
    }
    const { seq, name, data } = saved
    this.#wait({ seq, name, bytes: data.length, events })
  }

  #wait(batch: Batch): void {
    this.#waiting.push(batch)
    this.#bytes += batch.bytes
  }

  async #write(): Promise<void> {
    for (let batch = this.#waiting[0]; batch !== undefined; batch = this.#waiting[0]) {
      await this.#writer.send(batch.events, batch.name)
      await this.#writer.makeSafe()
      this.#waiting.shift()
      this.#finish(batch)
    }
  }

  #finish(batch: Batch): void {
    this.#bytes -= batch.bytes
    this.#done.push(batch.seq)
    this.#options.wantCommit()
    this.#wake()
  }

  /** The oldest that is not being written. */
  #drop(): void {
    while (this.#bytes > this.#options.limit && this.#waiting.length > 1) {
      const [batch] = this.#waiting.splice(1, 1)
      if (batch === undefined) return
      this.#options.dropped(batch.events)
      this.#finish(batch)
    }
  }
}

interface Encoded {
  events: readonly Event[]
  data: Uint8Array
}

/** The bytes of a batch, without the events that the state cannot hold; undefined when none is left. */
function encode(events: readonly Event[], refused: DurableBufferOptions['refused']): Encoded | undefined {
  try {
    return encodeAll(events)
  } catch {
    // One of them is odd: each is tried alone.
  }
  const good = events.flatMap((event) => {
    const reason = oddityOf(event)
    if (reason === undefined) return event
    const instead = refused(event, new FeedooError('RECORD_UNWRITABLE', `the state cannot hold the event: ${reason}`))
    return instead === undefined || oddityOf(instead) !== undefined ? [] : instead
  })
  return good.length === 0 ? undefined : encodeAll(good)
}

/** Why an event cannot be saved. */
function oddityOf(event: Event): string | undefined {
  try {
    encodeAll([event])
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

type Row = [tag: string, timestamp: number, record: EventRecord, metadata: EventRecord | undefined]

/** Throws for what is nested too deep, and for functions and the like. */
function encodeAll(events: readonly Event[]): Encoded {
  for (const { record, metadata } of events) {
    checkDepth(record, 1)
    if (metadata !== undefined) checkDepth(metadata, 1)
  }
  const rows = events.map(({ tag, timestamp, record, metadata }): Row => [tag, timestamp, record, metadata])
  return { events, data: serialize(rows) }
}

/**
 * V8 writes what it cannot read again: its reader takes more of the stack than its writer, and a process that starts
 * may have less of it. Throws a RangeError for what is nested deeper, and for what holds itself.
 */
function checkDepth(value: object, depth: number): void {
  if (depth > maxDepth) throw new RangeError(`it is nested more than ${maxDepth} levels deep`)
  // Of bytes, for-in would name each.
  if (ArrayBuffer.isView(value)) return
  if (Array.isArray(value)) for (const item of value) checkItem(item, depth)
  else if (value instanceof Map || value instanceof Set) for (const item of value) checkItem(item, depth)
  else for (const key in value) checkItem(value[key as keyof typeof value], depth)
}

function checkItem(item: unknown, depth: number): void {
  if (typeof item === 'object' && item !== null) checkDepth(item, depth + 1)
}

function decode(data: Uint8Array): Event[] {
  return (deserialize(data) as Row[]).map(([tag, timestamp, record, metadata]) =>
    metadata === undefined ? { tag, timestamp, record } : { tag, timestamp, record, metadata },
  )
}
