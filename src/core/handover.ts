// What a pipeline leaves to the one that takes its place, of what no state file keeps.
import type { TimelineName } from './state/pipeline-state.ts'
import type { TimelineState } from './timeline.ts'

export interface Handover {
  /** What filters remember, by their names in the state. */
  memories: ReadonlyMap<string, { format: string; segment: Uint8Array }>
  timelines: ReadonlyMap<TimelineName, TimelineState>
}
