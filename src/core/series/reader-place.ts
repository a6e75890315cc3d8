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
  /** The same where they are too many for that, in order of time. */
  readonly stretches: readonly Stretch[]
}

/** Rows of the future of which all were read from a time on, in Unix seconds, up to a row. */
export interface Stretch {
  readonly from: number
  /** The last row, its time, and how many they are. */
  readonly to: Cursor
  readonly time: number
  readonly rows: number
}

export const unread: Place = {
  after: undefined,
  time: Number.NEGATIVE_INFINITY,
  identity: undefined,
  seen: undefined,
  ahead: new Map(),
  stretches: [],
}

/**
 * The place when the rows of a page from `start` up to `end` were read too. Those beyond `present` (Unix seconds) do not
 * move it, lest rows that come in the meantime are taken for read.
 */
export function advance(place: Place, page: SeriesPage, start: number, end: number, present: number): Place {
  const { times } = page
  let behind = end
  if (place.time <= present) while (behind > start && timeAt(times, behind - 1) > present) behind--
  const { ahead, stretches } = behind < end ? keepAhead(place, page, behind, end, present) : place
  const identity = page.identity ?? place.identity
  if (behind === start) return { ...place, identity, ahead, stretches }
  // A page of late rows stands where the one before ended.
  const time = Math.max(place.time, timeAt(times, behind - 1))
  return {
    after: page.cursor(behind - 1),
    time,
    identity,
    seen: page.key === undefined ? place.seen : seenOf(place, page, start, behind),
    ahead: ahead.size === 0 ? ahead : new Map([...ahead].filter(([, of]) => of >= time)),
    stretches: stretches.filter((stretch) => stretch.time > time),
  }
}

/** What was read ahead, with the rows of a page from `start` up to `end`, in order of time. */
function keepAhead(
  place: Place,
  page: SeriesPage,
  start: number,
  end: number,
  present: number,
): Pick<Place, 'ahead' | 'stretches'> {
  const ahead = new Map(place.ahead)
  const stretches = [...place.stretches]
  for (let i = start; i < end; i++) {
    const time = timeAt(page.times, i)
    const at = stretches.findLastIndex(({ from }) => from <= time)
    const last = stretches[at]
    if (last !== undefined && isNear(last.time, time, present)) {
      stretches[at] = { ...last, to: page.cursor(i), time, rows: last.rows + 1 }
      if (ahead.size > 0) ahead.delete(rowId(page, i))
      continue
    }
    ahead.set(rowId(page, i), time)
    if (ahead.size <= maxKept) continue
    // All of them up to this one were read by now: those near to it become a stretch.
    let from = time
    const near = [...ahead].filter(([, of]) => of <= time).sort(([, a], [, b]) => b - a)
    const far = near.findIndex(([, of]) => {
      if (!isNear(of, from, present)) return true
      from = of
      return false
    })
    if (far >= 0) near.length = far
    for (const [known] of near) ahead.delete(known)
    stretches.splice(at + 1, 0, { from, to: page.cursor(i), time, rows: near.length })
  }
  return { ahead, stretches }
}

/** Whether a time is at most twice as far ahead as the one before: lest a stretch go on to times in milliseconds. */
function isNear(before: number, time: number, present: number): boolean {
  return time - present <= 2 * (before - present)
}

/** The last time before a stretch, in Unix seconds: a millisecond earlier, since dates know no shorter time. */
export function timeBefore({ from }: Stretch): number {
  return Math.min(from - 0.001, from - Math.abs(from) * Number.EPSILON)
}

/** The place behind its first stretch. */
export function behindStretch(place: Place, { to, time }: Stretch): Place {
  return { ...place, after: to, time, seen: undefined, stretches: place.stretches.slice(1) }
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

export function encodePlace({ after, time, identity, seen, ahead, stretches }: Place): Json {
  return {
    ...(after === undefined ? {} : { after, time }),
    ...(identity === undefined ? {} : { identity }),
    ...(seen === undefined ? {} : { seen: [...seen] }),
    ...(ahead.size === 0 ? {} : { ahead: [...ahead].map(([id, time]) => [id, time]) }),
    ...(stretches.length === 0
      ? {}
      : { stretches: stretches.map(({ from, to, time, rows }) => [from, to, time, rows]) }),
  }
}

/** Undefined for what `encodePlace` does not give. */
export function decodePlace(json: Json): Place | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined
  const { after, time, identity, seen, ahead, stretches } = json
  return {
    after,
    time: typeof time === 'number' ? time : Number.NEGATIVE_INFINITY,
    identity,
    seen: Array.isArray(seen) ? seen : undefined,
    ahead: new Map(Array.isArray(ahead) ? ahead.flatMap(readAhead) : []),
    stretches: Array.isArray(stretches) ? stretches.flatMap(readStretch) : [],
  }
}

function readStretch(json: Json): Stretch[] {
  const [from, to, time, rows] = Array.isArray(json) ? json : []
  if (typeof from !== 'number' || to === undefined || typeof time !== 'number' || typeof rows !== 'number') return []
  return [{ from, to, time, rows }]
}

function readAhead(json: Json): [string, number][] {
  const [id, time] = Array.isArray(json) ? json : []
  return typeof id === 'string' && typeof time === 'number' ? [[id, time]] : []
}
