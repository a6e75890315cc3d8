// The counters of a pipeline: what each action took, passed by, emitted and failed on, by tag.
import { addCommitTimes, type CommitTimes, noCommitTimes } from './commit-times.ts'

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
  /** Bytes in the state that wait for the target of an output; undefined for one without such a buffer. */
  waiting?: number | undefined
  /** What else the action counts, by names of its own: connections refused, keys forgotten, ... */
  counters: Record<string, number>
}

export interface PipelineStats {
  actions: ActionStats[]
  /** Events emitted by inputs. */
  events: number
  commits: number
  commit_times: CommitTimes
  /** Events not yet safe. */
  in_flight: number
  /** Times the pipeline failed and was started again. */
  restarts: number
  /** Seconds since the last commit, or since the pipeline began; there is none while nothing comes. */
  commit_age?: number
  /** Why commits wait for a state file; a sentence. */
  trouble?: string | undefined
  /** Bytes of objects in the heap of its thread, also of those that nothing needs any more; without buffers. */
  heap?: number
  /** False while the pipeline has failed and waits for its restart, and when it has ended with an error. */
  up?: boolean
}

export const noStats: PipelineStats = {
  actions: [],
  events: 0,
  commits: 0,
  commit_times: noCommitTimes(),
  in_flight: 0,
  restarts: 0,
}

/** The counters of two lives of one pipeline together. */
export function addStats(earlier: PipelineStats, now: PipelineStats): PipelineStats {
  return {
    actions: (now.actions.length > 0 ? now : earlier).actions.map((action, place) => {
      const before = now.actions.length > 0 ? earlier.actions[place] : undefined
      return before === undefined ? action : addAction(before, action)
    }),
    events: earlier.events + now.events,
    commits: earlier.commits + now.commits,
    commit_times: addCommitTimes(earlier.commit_times, now.commit_times),
    in_flight: now.in_flight,
    restarts: earlier.restarts + now.restarts,
    ...(now.commit_age === undefined ? {} : { commit_age: now.commit_age }),
    ...(now.heap === undefined ? {} : { heap: now.heap }),
    ...(now.trouble === undefined ? {} : { trouble: now.trouble }),
  }
}

function addAction(a: ActionStats, b: ActionStats): ActionStats {
  return {
    name: b.name,
    label: b.label,
    kind: b.kind,
    in: addCounts(a.in, b.in),
    bypass: addCounts(a.bypass, b.bypass),
    do: addCounts(a.do, b.do),
    errors: addCounts(a.errors, b.errors),
    dropped: addCounts(a.dropped, b.dropped),
    dead_letters: addCounts(a.dead_letters, b.dead_letters),
    out: addCounts(a.out, b.out),
    retries: a.retries + b.retries,
    ...(b.waiting === undefined ? {} : { waiting: b.waiting }),
    counters: addCounts(a.counters, b.counters),
  }
}

function addCounts(a: TagCounts, b: TagCounts): TagCounts {
  const total = new Map(Object.entries(a))
  for (const [tag, count] of Object.entries(b)) total.set(tag, (total.get(tag) ?? 0) + count)
  return Object.fromEntries(total)
}

/** Adds to a map of counters that holds at most `limit` tags; the others are counted under `*`. */
export function countTag(counts: Map<string, number>, tag: string, limit: number): void {
  const key = counts.has(tag) || counts.size < limit ? tag : '*'
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** Counters of what an input was to read and could not: a finite job that has any is not done. */
const unreadCounters = ['unread_tables', 'rows_without_time', 'rows_missed']

/** What an action was to read and could not: tables and rows. */
export function unread({ counters }: ActionStats): number {
  return unreadCounters.reduce((total, name) => total + (counters[name] ?? 0), 0)
}

export function sum(counts: TagCounts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
