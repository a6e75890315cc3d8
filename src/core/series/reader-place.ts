// How far a table is read: its last row, and what was read that this does not say.
import type { Json } from '../action.ts'
import type { Cursor, Range, SeriesPage } from './store.ts'

/** Keys of one time, and rows of the future, that are kept for a table: they are saved with each of its positions. */
export const maxKept = 1000

export interface Place {
  readonly after: Cursor | undefined
  /** Unix seconds of that row; -Infinity before the first. */
  readonly time: number
  readonly identity: Json | undefined
  /** Keys of the rows of that time that were read, where others may come before them; undefined when they are too many. */
  readonly seen: readonly Json[] | undefined
  /** Rows behind `after` that were read before their time had come: the times by what `rowId` gives. */
  readonly ahead: ReadonlyMap<string, number>
}

export const unread: Place = {
  after: undefined,
  time: Number.NEGATIVE_INFINITY,
  identity: undefined,
  seen: undefined,
  ahead: new Map(),
}

/**
 * The place when the rows of a page from `start` up to `end` were read too. Those beyond `present` (Unix seconds) do not
 * move it, lest rows that come in the meantime are taken for read; unless they are more than can be kept: then this is
 * how the times of the table are.
 */
export function advance(place: Place, page: SeriesPage, start: number, end: number, present: number): Place {
  const { times } = page
  let behind = end
  if (place.time <= present) while (behind > start && timeAt(times, behind - 1) > present) behind--
  let ahead = place.ahead
  if (behind < end) {
    const more = new Map(ahead)
    for (let i = behind; i < end; i++) more.set(rowId(page, i), timeAt(times, i))
    if (more.size > maxKept) behind = end
    else ahead = more
  }
  const identity = page.identity ?? place.identity
  if (behind === start) return { ...place, identity, ahead }
  // A page of late rows stands where the one before ended.
  const time = Math.max(place.time, timeAt(times, behind - 1))
  return {
    after: page.cursor(behind - 1),
    time,
    identity,
    seen: page.key === undefined ? place.seen : seenOf(place, page, start, behind),
    ahead: ahead.size === 0 ? ahead : new Map([...ahead].filter(([, of]) => of >= time)),
  }
}

function seenOf(place: Place, page: SeriesPage, start: number, end: number): readonly Json[] | undefined {
  const time = page.times[end - 1]
  let first = end - 1
  while (first > start && page.times[first - 1] === time && end - first <= maxKept) first--
  const before = first === start && place.time === time ? place.seen : []
  if (before === undefined || before.length + end - first > maxKept) return undefined
  const seen = [...before]
  for (let i = first; i < end; i++) seen.push(page.key?.(i) ?? null)
  return seen
}

function timeAt(times: readonly number[], index: number): number {
  return times[index] ?? Number.NEGATIVE_INFINITY
}

/** Tells a row from all others of its table. */
export function rowId(page: SeriesPage, index: number): string {
  return JSON.stringify(page.key === undefined ? page.cursor(index) : [page.times[index] ?? null, page.key(index)])
}

/** Where the range behind a place begins. */
export function behind({ after, seen, identity }: Place): Pick<Range, 'after' | 'seen' | 'identity'> {
  return { after, seen, identity }
}

export function encodePlace({ after, time, identity, seen, ahead }: Place): Json {
  return {
    ...(after === undefined ? {} : { after, time }),
    ...(identity === undefined ? {} : { identity }),
    ...(seen === undefined ? {} : { seen: [...seen] }),
    ...(ahead.size === 0 ? {} : { ahead: [...ahead].map(([id, time]) => [id, time]) }),
  }
}

/** Undefined for what `encodePlace` does not give. */
export function decodePlace(json: Json): Place | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined
  const { after, time, identity, seen, ahead } = json
  return {
    after,
    time: typeof time === 'number' ? time : Number.NEGATIVE_INFINITY,
    identity,
    seen: Array.isArray(seen) ? seen : undefined,
    ahead: new Map(Array.isArray(ahead) ? ahead.flatMap(readAhead) : []),
  }
}

function readAhead(json: Json): [string, number][] {
  const [id, time] = Array.isArray(json) ? json : []
  return typeof id === 'string' && typeof time === 'number' ? [[id, time]] : []
}
