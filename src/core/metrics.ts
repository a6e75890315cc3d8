// The counters of a pipeline: what each action took, passed by, emitted and failed on, by tag.

/** A tag, or `*` for all tags past the bound, to a count of events. */
export type TagCounts = Record<string, number>

export interface ActionStats {
  name: string
  label: string
  kind: string
  /** Events that reached the action. */
  in: TagCounts
  /** Of those, the events that its `match` did not take. */
  bypass: TagCounts
  /** Of those, the events it took. */
  do: TagCounts
  /** Of those it took, the events it could not handle. */
  errors: TagCounts
  /** Of those, the events it threw away because it was told to. */
  dropped: TagCounts
  /** Of those, the events in the dead letters. */
  dead_letters: TagCounts
  /** Events that went on to the next action, passed by or emitted. */
  out: TagCounts
  /** Times an output had to try again. */
  retries: number
}

export interface PipelineStats {
  actions: ActionStats[]
  /** Events emitted by inputs. */
  events: number
  commits: number
  /** Events not yet safe. */
  in_flight: number
  /** False while the pipeline has failed and waits for its restart. */
  up?: boolean
}

/** Adds to a map of counters that holds at most `limit` tags; the others are counted under `*`. */
export function countTag(counts: Map<string, number>, tag: string, limit: number): void {
  const key = counts.has(tag) || counts.size < limit ? tag : '*'
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

export function sum(counts: TagCounts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
