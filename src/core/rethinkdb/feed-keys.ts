// Keys of one table that a feed told of and keys that were read: what appears in both is done, what is told and past is late.
import type { Range } from '../series/store.ts'
import { compareKeys } from './keys.ts'
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

  /** Keys of rows that the reader will not come to again: at most `limit`. */
  late({ after, from, seen }: Range, limit: number): string[] {
    if (after === undefined || this.#told.size === 0) return []
    const [afterTime, afterKey] = placeSchema.parse(after)
    const late: string[] = []
    for (const [key, time] of this.#told) {
      if (late.length >= limit) break
      // Those of the very time of `after` are read in their turn where it is known which of them were read.
      const isPast = time < afterTime || (time === afterTime && seen === undefined && compareKeys(key, afterKey) <= 0)
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
