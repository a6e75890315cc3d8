// What a commit makes safe: the outputs, then, in one transaction, everything that the pipeline remembers.
import type { Json, Output, Position } from './action.ts'
import type { ChangedPositions } from './committer.ts'
import { crashPoint } from './crash-points.ts'
import { DirectOutputs } from './direct-outputs.ts'
import { DurableBuffer } from './durable-buffer.ts'
import { type FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import type { Handover } from './handover.ts'
import type { Logger } from './log.ts'
import { OutputBuffer, type OutputBufferOptions } from './output-buffer.ts'
import type { EventBuffer, Place } from './place.ts'
import { deadLettersKey, orphaned } from './positions.ts'
import type { Memory } from './state/memory.ts'
import type { MemoryChange, PipelineState, SavedBatch, StateChange } from './state/pipeline-state.ts'
import type { Timelines } from './timeline.ts'

export interface SafekeepingOptions {
  pipeline: string
  /** What each place is called in the state. */
  keys: readonly string[]
  timelines: Timelines
  state: PipelineState | undefined
  /** From the pipeline whose place this one takes. */
  handover: Handover | undefined
  log: Logger
  savePositions: ((input: string, positions: ReadonlyMap<string, Json>) => void) | undefined
  /** Aborts when the pipeline stops: then nothing waits for room in the buffers any more. */
  stopping: AbortSignal
  /** Aborts when retries must end because the time to drain is over. */
  giveUp: AbortSignal
  /** Asks for a commit soon. */
  wantCommit(): void
  /** Called when events can no longer become safe. */
  failed(error: unknown): void
}

/** How the engine buffers in front of an output. */
export interface BufferParams extends Omit<OutputBufferOptions, 'signal'> {
  /** Bytes that may wait for a target that is away, in the state. */
  limit: number
  whenFull: 'block' | 'drop_oldest'
  /** Called for events that are given up because there is no room. */
  dropped(events: readonly Event[]): void
  /** Takes an event that the state cannot hold; may give back what is to be kept in its place. */
  refused(event: Event, error: FeedooError): Event | undefined
}

/** Milliseconds between two questions whether what was not saved with its commit may be saved now. */
const laterInterval = 250
/** Milliseconds after which a commit follows that takes away the marks of what is not written to any more. */
const settlingTime = 1000

export class Safekeeping {
  readonly #options: SafekeepingOptions
  #places: readonly Place[] = []
  /** Outputs that are written in the commit. */
  readonly #direct: DirectOutputs
  /** Outputs that are written after the commit, from what it has saved. */
  readonly #buffered: DurableBuffer[] = []
  /** Last of all: what an output refuses during the commit belongs to it. */
  #deadLetters: OutputBuffer | DurableBuffer | undefined
  /** Positions of commits that were not saved, because they came too soon after one that was. */
  readonly #unsaved = new Map<string, Map<string, Json>>()
  /** Runs while there is such a commit. */
  #later: NodeJS.Timeout | undefined
  /** Runs while there are marks that may be needless by then. */
  #settling: NodeJS.Timeout | undefined
  #finishing = false

  constructor(options: SafekeepingOptions) {
    this.#options = options
    this.#direct = new DirectOutputs(options.state, options.log)
  }

  /** The buffer in front of an output. */
  outputBuffer(place: number, output: Output, params: BufferParams): EventBuffer {
    const key = this.#options.keys[place] ?? ''
    const buffer = this.#buffer(key, output, params, output.mark === undefined)
    if (buffer instanceof DurableBuffer) this.#buffered.push(buffer)
    else this.#direct.add(key, output, buffer)
    return buffer
  }

  /** The buffer in front of the dead letters; `isFile` when what is written there is kept. */
  deadLetterBuffer(output: Output, params: BufferParams, isFile: boolean): EventBuffer {
    this.#deadLetters = this.#buffer(deadLettersKey, output, params, isFile)
    return this.#deadLetters
  }

  /** The actions in their places, once they are made. */
  setPlaces(places: readonly Place[]): void {
    this.#places = places
  }

  /** Gives back to the filters, and to the clocks, what was saved, or what the pipeline before this one has left. */
  restore(): void {
    const { state, timelines, handover, log } = this.#options
    timelines.restore((name) => state?.timeline(name) ?? handover?.timelines.get(name))
    this.#direct.recoverRemoved()
    for (const { key, memory, label, isSaved } of this.#memories()) {
      if (isSaved) {
        memory.restore(state?.memory(key, memory.format) ?? [])
        continue
      }
      const left = handover?.memories.get(key)
      if (left === undefined) continue
      if (left.format === memory.format) memory.restore([left.segment], true)
      else
        log.warn(
          { action: label },
          'what the action remembers makes no sense under its new parameters: it begins afresh',
        )
    }
  }

  /** Everything that is not in the state, for the pipeline that takes the place of this one. At its very end. */
  handOver(): Handover {
    const memories = new Map<string, { format: string; segment: Uint8Array }>()
    for (const { key, memory, isSaved } of this.#memories()) {
      const segment = isSaved ? undefined : memory.changes()?.segment
      if (segment !== undefined) memories.set(key, { format: memory.format, segment })
    }
    return { memories, timelines: this.#options.timelines.save() }
  }

  /** Comes back when nothing is being written any more, once the signal to give up has aborted. */
  async settle(): Promise<void> {
    await Promise.all(this.#allBuffered().map((buffer) => buffer.settled))
  }

  /** Opens the target of an action, and undoes what was written to it after the last commit. */
  async open(place: number, signal: AbortSignal): Promise<void> {
    const built = this.#places[place]?.built
    await built?.action.open?.(signal)
    if (built?.kind === 'output') await this.#direct.recover(this.#options.keys[place] ?? '', built.action)
  }

  /** Saves marks at once; undefined when there is no durable state. */
  intentOf(place: number): ((marks: Position) => void) | undefined {
    return this.#direct.intentOf(this.#options.keys[place] ?? '')
  }

  /** Begins to write what the process before this one left in the buffers, and sees to the marks that it left. */
  start(): void {
    this.#direct.start()
    // They have done what they were there for. Until a commit says so, they would cut what others write meanwhile.
    if ((this.#options.state?.marked().length ?? 0) > 0) this.#options.wantCommit()
    this.#tellOrphans()
    for (const buffer of this.#allBuffered()) buffer.start()
  }

  /** Called at the cut of a commit; resolves when all that came before it is safe. */
  async makeSafe(positions: ChangedPositions): Promise<void> {
    const { state, keys, savePositions } = this.#options
    const saving = state?.wanted(false) === true
    const memories = saving ? this.#changedMemories() : []
    const timelines = this.#options.timelines.save()
    const buffers = this.#buffered.map((buffer) => buffer.cut())
    await this.#direct.makeSafe()
    if (this.#deadLetters instanceof DurableBuffer) buffers.push(this.#deadLetters.cut())
    else await this.#deadLetters?.makeSafe()
    const byInput = new Map([...positions].map(([place, changed]) => [keys[place] ?? '', changed]))
    crashPoint('before_commit')
    if (state !== undefined) this.#note(byInput)
    if (saving) await this.#save(state, { memories, timelines, buffers })
    else if (state !== undefined) this.#later ??= setInterval(() => this.#saveLater(state), laterInterval).unref()
    crashPoint('after_commit')
    for (const [input, changed] of byInput) savePositions?.(input, changed)
    for (const buffer of this.#allBuffered()) buffer.committed()
    for (const buffer of this.#allBuffered()) await buffer.room(this.#options.stopping)
  }

  /**
   * After the last commit: waits until the buffers are empty, or, when the pipeline was told to stop, until what is left
   * waits for a target that is away. Saves what has changed since.
   */
  async finish(): Promise<void> {
    const { state, stopping } = this.#options
    this.#finishing = true
    clearInterval(this.#later)
    clearTimeout(this.#settling)
    // Twice: a dead letter of the first round is in the second.
    for (let round = 0; round < 2; round++) {
      await Promise.all(this.#allBuffered().map((buffer) => buffer.empty(stopping)))
      if (!state?.wanted(true)) return
      const buffers = this.#allBuffered().map((buffer) => buffer.cut())
      const memories = this.#changedMemories()
      const timelines = this.#options.timelines.save()
      await this.#save(state, { memories, timelines, buffers }, this.#direct.lastMarks())
      await this.#direct.dropped()
      for (const buffer of this.#allBuffered()) buffer.committed()
      if (buffers.length === 0) return
    }
  }

  /** Every event is safe: what is still done is for targets that have not taken all yet. */
  get finishing(): boolean {
    return this.#finishing
  }

  /** Events that are in the state and wait for their target. */
  get left(): number {
    return this.#allBuffered().reduce((sum, buffer) => sum + buffer.left, 0)
  }

  /** What waits for an output that has another label now, or is gone, would wait for ever without a word. */
  #tellOrphans(): void {
    const { state, log } = this.#options
    const mine = new Set(this.#allBuffered().map(({ action }) => action))
    for (const { action, events, place = '' } of state?.waiting() ?? []) {
      if (!mine.has(action)) log.warn({ action, events }, `${events} events in the state ${orphaned(action, place)}`)
    }
  }

  #note(positions: StateChange['positions']): void {
    for (const [input, changed] of positions) {
      const unsaved = this.#unsaved.get(input) ?? new Map<string, Json>()
      for (const [key, value] of changed) unsaved.set(key, value)
      this.#unsaved.set(input, unsaved)
    }
  }

  async #save(
    state: PipelineState,
    change: Omit<StateChange, 'marks' | 'positions'>,
    marks = this.#direct.takeMarks(),
  ): Promise<void> {
    clearInterval(this.#later)
    this.#later = undefined
    const positions = new Map(this.#unsaved)
    this.#unsaved.clear()
    await state.save({ ...change, marks, positions })
    this.#direct.saved(marks)
    // A file that is not written to any more needs no mark: the commit that says so is not to wait for further events.
    const marked = [...marks.values()].some((changed) => Object.values(changed).some((mark) => mark !== null))
    if (marked && !this.#finishing) {
      this.#settling ??= setTimeout(() => {
        this.#settling = undefined
        this.#options.wantCommit()
      }, settlingTime).unref()
    }
  }

  #saveLater(state: PipelineState): void {
    if (!state.wanted(false)) return
    clearInterval(this.#later)
    this.#later = undefined
    this.#options.wantCommit()
  }

  #allBuffered(): readonly DurableBuffer[] {
    return this.#deadLetters instanceof DurableBuffer ? [...this.#buffered, this.#deadLetters] : this.#buffered
  }

  #buffer(key: string, output: Output, params: BufferParams, afterwards: boolean): OutputBuffer | DurableBuffer {
    const { state, pipeline, giveUp, wantCommit, failed } = this.#options
    let durable: DurableBuffer | undefined
    const writer = new OutputBuffer(output, { ...params, signal: giveUp, onFailing: () => durable?.wake() })
    if (!state?.isDurable || !afterwards) return writer
    const { bufferSize, limit, whenFull, copy, dropped, refused, log } = params
    const unreadable = ({ seq, events }: SavedBatch, error: unknown) =>
      log.error({ batch: seq, events, reason: messageOf(error) }, 'a batch in the state cannot be read: it stays there')
    durable = new DurableBuffer(writer, {
      ...{ action: key, id: `${state.id}/${pipeline}/${key}`, left: state.batches(key), last: state.lastBatch(key) },
      ...{ bufferSize, limit, whenFull, copy, dropped, refused, unreadable, wantCommit, giveUp, failed },
    })
    return durable
  }

  *#memories(): Generator<{ key: string; label: string; memory: Memory; isSaved: boolean }> {
    const { state, keys } = this.#options
    for (const [place, { built, config }] of this.#places.entries()) {
      const memory = built.kind === 'filter' ? built.action.memory : undefined
      if (memory === undefined) continue
      const isSaved = state !== undefined && (state.isDurable || config.params.db_path !== undefined)
      yield { key: keys[place] ?? '', label: config.label, memory, isSaved }
    }
  }

  #changedMemories(): MemoryChange[] {
    const changed: MemoryChange[] = []
    for (const { key, memory, isSaved } of this.#memories()) {
      const changes = isSaved ? memory.changes() : undefined
      if (changes !== undefined) changed.push({ action: key, format: memory.format, ...changes })
    }
    return changed
  }
}
