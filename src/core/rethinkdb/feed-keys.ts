// Keys of one table that a feed told of and keys that were read: what appears in both is done, what is told and past is late.
import type { Cursor } from '../series/store.ts'
import { placeSchema } from './rows.ts'

/** Keys that may wait for their other half. */
const maxKeys = 100_000

export class FeedKeys {
  /** Told of and not read, with their times. */
  readonly #told = new Map<string, number>()
  /** Read and not told of: inserted before the feed began, or a moment ago. */
  readonly #read = new Set<string>()
  isRunning = false

  begin(): void {
    this.isRunning = true
  }

  /** What was told of is still to be read; what was read will not be told of any more. */
  end(): void {
    this.isRunning = false
    this.#read.clear()
  }

  told(key: string, time: number): void {
    if (!this.isRunning || this.#read.delete(key)) return
    this.#told.set(key, time)
    // The oldest one is read in its turn all the same, unless it is late.
    if (this.#told.size > maxKeys) forgetFirst(this.#told)
  }

  read(keys: readonly string[]): void {
    for (const key of keys) {
      if (this.#told.delete(key) || !this.isRunning) continue
      this.#read.add(key)
      if (this.#read.size > maxKeys) forgetFirst(this.#read)
    }
  }

  /** Keys of rows at or before `after`, which the reader will not come to again: at most `limit`. */
  late(after: Cursor | undefined, from: number, limit: number): string[] {
    if (after === undefined || this.#told.size === 0) return []
    const [afterTime, afterKey] = placeSchema.parse(after)
    const late: string[] = []
    for (const [key, time] of this.#told) {
      if (late.length >= limit) break
      const isPast = time < afterTime || (time === afterTime && compareKeys(key, afterKey) <= 0)
      if (isPast && time >= from) late.push(key)
    }
    return late
  }
}

function forgetFirst(keys: Map<string, number> | Set<string>): void {
  for (const key of keys.keys()) {
    keys.delete(key)
    return
  }
}

/** RethinkDB's order of primary keys, given as JSON text: by type, then by value; text by its bytes. */
export function compareKeys(a: string, b: string): number {
  const left: unknown = JSON.parse(a)
  const right: unknown = JSON.parse(b)
  const byType = rankOf(left) - rankOf(right)
  if (byType !== 0) return byType
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right)
  // Lists, dates and bytes: taken for equal, so that such a row counts as read or late rather than as still to come.
  return 0
}

function rankOf(key: unknown): number {
  if (Array.isArray(key)) return 0
  return ['boolean', 'number', 'object', 'string'].indexOf(typeof key) + 1
}
