// What the engine wants from the durable state of a pipeline, wherever it is kept.
import type { Json, Marks, MarksElsewhere, Position } from '../action.ts'
import type { TimelineState } from '../timeline.ts'
import type { MemoryChanges } from './memory.ts'

/** The clocks of a pipeline: `event 1` is the event time behind the first filter that waits. */
export type TimelineName = 'event' | `event ${number}` | 'arrival'

/** What one commit changed. Actions and inputs go by the name that `actionKey` gives. */
export interface StateChange {
  readonly memories: readonly MemoryChange[]
  readonly marks: ReadonlyMap<string, Position>
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, Json>>
  readonly timelines: ReadonlyMap<TimelineName, TimelineState>
  readonly buffers: readonly BufferChange[]
}

/** What came to the buffer in front of an output, and what its target has. */
export interface BufferChange {
  readonly action: string
  readonly add: readonly SavedBatch[]
  readonly done: readonly number[]
}

export interface SavedBatch {
  /** Counts up, also from one process to the next. */
  readonly seq: number
  /** What the target knows the batch by: no other batch, of any state and any time, has the same. */
  readonly name: string
  readonly events: number
  readonly data: Uint8Array
}

export interface MemoryChange extends MemoryChanges {
  readonly action: string
  readonly format: string
}

export interface PipelineState {
  /** The segments of an action's memory, oldest first; none when they were saved under another format. */
  memory(action: string, format: string): readonly Uint8Array[]
  /** Tells this state from every other, for ever. */
  readonly id: string
  /** True when every commit holds everything, so that nothing is lost or doubled by a crash. */
  readonly isDurable: boolean
  /** Why commits wait right now, because a disk is full or away; a sentence. */
  readonly trouble?: string | undefined
  /** What an output has marked. */
  marks(action: string): Marks
  /** The outputs that have marks, those of an earlier configuration too. */
  marked(): readonly string[]
  /** What outputs of other pipelines have marked. As OtherMarks says. */
  marksElsewhere(): MarksElsewhere | undefined
  /** Saves marks at once, in a transaction of their own. */
  intend(action: string, marks: Position): void
  /** What is left in the buffer of an output, oldest first. */
  batches(action: string): readonly SavedBatch[]
  /**
   * How many events are left in the buffer of each action, also of those that the pipeline has no more, and where that
   * writes, if it is known.
   */
  waiting(): readonly { action: string; events: number; place?: string }[]
  /** The highest `seq` that a batch of an output ever had; 0 when there was none. */
  lastBatch(action: string): number
  timeline(name: TimelineName): TimelineState | undefined
  /** Whether this commit is to be saved; if not, nothing is collected for it. The last one always is. */
  wanted(last: boolean): boolean
  /** Saves in one transaction. Waits as long as the disk is full or away; rejects for what will not get better. */
  save(change: StateChange): Promise<void>
  close(): void
}
