// What the reader saves as its position: where each table stands, and what is read but perhaps not removed yet.
import type { Json } from '../action.ts'
import { decodePlace, type Place } from './reader-place.ts'
import type { Span } from './store.ts'

/** The moment from which on rows are read, in Unix seconds. */
export const startKey = 'start'

/** How far a table was read. */
export function tableKey(table: string): string {
  return `table:${table}`
}

/** Rows that were sent in one batch and are removed when it is safe. */
export function removeKey(batch: number): string {
  return `remove:${batch}`
}

/** That rows of a table were sent which are removed, and with the last of them the table. */
export function dropKey(table: string): string {
  return `drop:${table}`
}

/** What there is to remove of a batch: spans by table, in the order of reading. */
export type Removal = readonly (readonly [table: string, span: Span])[]

export interface ReaderPosition {
  start: number | undefined
  tables: Map<string, Place>
  removals: Map<number, Removal>
  /** Tables that are dropped if they are empty. */
  drops: Set<string>
}

export function readPosition(positions: ReadonlyMap<string, Json>): ReaderPosition {
  const found: ReaderPosition = { start: undefined, tables: new Map(), removals: new Map(), drops: new Set() }
  for (const [key, value] of positions) {
    if (key === startKey && typeof value === 'number') found.start = value
    const place = key.startsWith('table:') ? decodePlace(value) : undefined
    if (place !== undefined) found.tables.set(key.slice('table:'.length), place)
    if (key.startsWith('drop:')) found.drops.add(key.slice('drop:'.length))
    if (isRemovalKey(key)) found.removals.set(Number(key.slice('remove:'.length)), readRemoval(value))
  }
  return found
}

/** Whether an earlier run has left rows to be removed, or tables to be dropped. */
export function hasRemovals(positions: ReadonlyMap<string, Json>): boolean {
  return [...positions.keys()].some((key) => isRemovalKey(key) || key.startsWith('drop:'))
}

function isRemovalKey(key: string): boolean {
  return /^remove:[0-9]+$/.test(key)
}

function readRemoval(value: Json): Removal {
  if (!Array.isArray(value)) return []
  return value.flatMap((item) => {
    const [table, span] = Array.isArray(item) ? item : []
    return typeof table === 'string' && span !== undefined ? [[table, span] as const] : []
  })
}
