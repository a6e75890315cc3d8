// What the engine wants from the durable state of a pipeline, wherever it is kept.
import type { Json } from '../action.ts'
import type { TimelineState } from '../timeline.ts'
import type { MemoryChanges } from './memory.ts'

/** The two clocks of a pipeline. */
export type TimelineName = 'event' | 'arrival'

/** What one commit changed. Actions and inputs go by the name that `actionKey` gives. */
export interface StateChange {
  readonly memories: readonly MemoryChange[]
  readonly marks: ReadonlyMap<string, Json>
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, Json>>
  readonly timelines: ReadonlyMap<TimelineName, TimelineState>
}

export interface MemoryChange extends MemoryChanges {
  readonly action: string
  readonly format: string
}

export interface PipelineState {
  /** The segments of an action's memory, oldest first; none when they were saved under another format. */
  memory(action: string, format: string): readonly Uint8Array[]
  /** What an output's `sync` returned for the last commit. */
  mark(action: string): Json | undefined
  timeline(name: TimelineName): TimelineState | undefined
  /** Whether this commit is to be saved; if not, nothing is collected for it. The last one always is. */
  wanted(last: boolean): boolean
  /** Saves in one transaction. Waits as long as the disk is full or away; rejects for what will not get better. */
  save(change: StateChange): Promise<void>
  close(): void
}
