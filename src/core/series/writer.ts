// What the outputs share that write events as rows of tables: which table an event goes to, and what of it is written.
import type { ActionContext } from '../action.ts'
import { type ErrorCode, FeedooError, messageOf } from '../errors.ts'
import { type Event, type EventRecord, setOwn } from '../event.ts'
import { compileField } from '../field.ts'
import type { Template } from '../template.ts'
import { createDateReader } from '../time/parse-date.ts'
import { utc } from '../time/zone.ts'

export interface SeriesWriterOptions<Group> {
  /** The name of the table for an event: what `compileTableName` gives. */
  table: Template
  /** The dotted path of the field that holds the time; without one, it is the time of the event. */
  timeKey: string | undefined
  context: Pick<ActionContext, 'clock' | 'deadLetter'>
  /** What makes two names the same table; without it, that they are equal. */
  sameTable?(name: string): string
  /** Begins the rows of a table. */
  begin(table: string): Group
  /**
   * Adds an event to them; `time` is in Unix seconds. A throw is about this event alone, which goes to the dead
   * letters: with the code of the FeedooError, or RECORD_UNWRITABLE.
   */
  add(group: Group, event: Event, time: number): void
  /**
   * Writes the groups, in the order in which their tables first came. What it deletes from the map is done: when it
   * rejects with a retriable error, the next try gets what is left. Events that the target refuses it must set aside
   * itself, and only once: a throw that is not retriable sets aside the whole batch.
   */
  write(groups: Map<string, Group>): Promise<void>
}

/**
 * The `write` of an output. A batch is grouped once, however often it is tried; an event that lacks its time, or whose
 * row cannot be made, goes to the dead letters alone.
 */
export function createSeriesWriter<Group>(
  options: SeriesWriterOptions<Group>,
): (events: readonly Event[]) => Promise<void> {
  const { table, begin, add, sameTable = (name) => name, context } = options
  const timeOf = createTimeOf(options.timeKey, () => context.clock.now())
  /** The batch that a write has begun, and what of it is left to write. */
  let begun: readonly Event[] | undefined
  let left = new Map<string, Group>()

  function group(events: readonly Event[]): Map<string, Group> {
    const groups = new Map<string, Group>()
    /** The same by all of their names. */
    const named = new Map<string, Group>()
    let name: string | undefined
    let current: Group | undefined
    let i = 0
    while (i < events.length) {
      // One try around the loop instead of one an event: it goes on behind the event that threw.
      try {
        for (; i < events.length; i++) {
          const event = events[i] as Event
          const time = timeOf(event)
          const found = table(time, event.record, event.tag)
          if (current === undefined || found !== name) {
            current = named.get(found) ?? groups.get(sameTable(found))
            if (current === undefined) {
              current = begin(found)
              groups.set(sameTable(found), current)
            }
            named.set(found, current)
            name = found
          }
          add(current, event, time)
        }
      } catch (cause) {
        context.deadLetter(events[i++] as Event, refusal('RECORD_UNWRITABLE', cause))
      }
    }
    return groups
  }

  return async (events) => {
    if (begun !== events) {
      left = group(events)
      begun = events
    }
    await options.write(left)
    begun = undefined
    left = new Map()
  }
}

/** The error for a dead letter: the cause itself when it says why, else one of the code given. */
export function refusal(code: ErrorCode, cause: unknown): FeedooError {
  return cause instanceof FeedooError && !cause.retriable ? cause : new FeedooError(code, messageOf(cause), { cause })
}

/** A record of the fields alone, each under its path. Throws FIELD_MISSING; null is a value. */
export function createFieldPicker(paths: readonly string[]): (record: EventRecord) => EventRecord {
  const fields = paths.map(compileField)
  return (record) => {
    const row: EventRecord = {}
    for (const field of fields) {
      const value = field.get(record)
      if (value === undefined) throw fieldMissing(field.path)
      setOwn(row, field.path, value)
    }
    return row
  }
}

/** Reads the time of an event in Unix seconds. Throws FIELD_MISSING and DATE_UNREADABLE. */
export function createTimeOf(timeKey: string | undefined, now: () => number): (event: Event) => number {
  if (timeKey === undefined) return (event) => event.timestamp
  const field = compileField(timeKey)
  const read = createDateReader({ zone: utc, now })
  return ({ record }) => {
    const value = field.get(record)
    if (value === undefined) throw fieldMissing(timeKey)
    const time = read(value)
    if (Number.isNaN(time)) throw new FeedooError('DATE_UNREADABLE', `the field ${timeKey} holds no date`)
    return time
  }
}

export function fieldMissing(path: string): FeedooError {
  return new FeedooError('FIELD_MISSING', `the event has no field ${path}`)
}
