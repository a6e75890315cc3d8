// What a commit changed, as rows of a state file. To be called in a transaction.
import { crc32 } from 'node:zlib'
import type { Position } from '../action.ts'
import type { Takeover } from '../takeover.ts'
import type { StateChange } from './pipeline-state.ts'
import type { Statements } from './statements.ts'

/** What a file has of the memory of an action. */
export interface KnownMemory {
  format: string
  /** The number of the next segment. */
  next: number
}

export interface Commit {
  pipeline: string
  /** Unix seconds. */
  time: number
  /** The fingerprint of the configuration under which it is made. */
  configuration: string
}

/** `memories` are as the commits before have left them; gives back what there is then of those that changed. */
export function writeChange(
  sql: Statements,
  { pipeline, time, configuration }: Commit,
  change: StateChange,
  memories: ReadonlyMap<string, KnownMemory>,
): Map<string, KnownMemory> {
  const written = new Map<string, KnownMemory>()
  for (const { action, format, segment, keep } of change.memories) {
    const known = memories.get(action)
    const seq = known?.next ?? 1
    sql.insertSegment.run(pipeline, action, seq, format, crc32(segment), segment)
    const kept = known?.format === format ? Math.max(1, keep) : 1
    sql.deleteSegments.run(pipeline, action, seq - kept)
    written.set(action, { format, next: seq + 1 })
  }
  for (const [action, marks] of change.marks) writeMarks(sql, pipeline, action, marks)
  for (const { action, add, done } of change.buffers) {
    for (const seq of done) sql.deleteBatch.run(pipeline, action, seq)
    for (const { seq, name, events, data } of add) {
      sql.insertBatch.run(pipeline, action, seq, name, events, crc32(data), data)
    }
    const last = add.at(-1)
    if (last !== undefined) sql.setLastBatch.run(pipeline, action, last.seq)
  }
  for (const [input, positions] of change.positions) {
    for (const [key, value] of positions) {
      if (value === null) sql.deletePosition.run(pipeline, input, key)
      else sql.setPosition.run(pipeline, input, key, JSON.stringify(value))
    }
  }
  for (const [name, state] of change.timelines) sql.setTimeline.run(pipeline, name, JSON.stringify(state))
  sql.count.run(pipeline, time, configuration)
  return written
}

/** Writes the marks of an output; null takes one away. */
export function writeMarks(sql: Statements, pipeline: string, action: string, marks: Position): void {
  for (const key of Object.keys(marks)) {
    const mark = marks[key] ?? null
    if (mark === null) sql.deleteMark.run(pipeline, action, key)
    else sql.setMark.run(pipeline, action, key, JSON.stringify(mark))
  }
}

/** Gives to inputs and outputs what they go on from, and notes which there are now. */
export function writeTakeover(sql: Statements, pipeline: string, { listed, adopted }: Takeover): void {
  for (const { from, to, withEvents } of adopted) {
    for (const rename of sql.renames) rename.run(to, pipeline, from)
    if (withEvents) for (const rename of sql.renamesOfEvents) rename.run(to, pipeline, from)
  }
  sql.unconfigure.run(pipeline)
  for (const { key, place, match } of listed) sql.setAction.run(pipeline, key, place, match)
  // Of the others it is of use only where they have left something.
  sql.forgetActions.run(pipeline, pipeline)
}
