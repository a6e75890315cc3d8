// For each slot the times in its window, sorted, in a ring: compact, and no work that grows with the window.
import { Arena, pageLength, pageShift } from './arena.ts'
import { type KeyTable, type Rows, rowDoubles, rowInts } from './keys.ts'

/** Places in a row. */
const newestAt = 2
const ringAt = 6
const powerAt = 7
const headAt = 8
const countAt = 9
/** A ring of two has its place in the row itself: most keys need no more, and no other memory is touched for them. */
const inRowAt = 6
/** What stands in place of its ring: no ring of the arena is 0. */
const inRow = 0

export interface TimesOptions {
  /** Seconds. */
  timeframe: number
  /** Times at which a window is full, and emptied. */
  full: number
  /** Times kept; the oldest goes when there are more. Default: all in the window. */
  most?: number
}

/** Windows of times: (newest - timeframe, newest], where newest is the highest time that a key has seen. */
export class Times {
  readonly #options: TimesOptions
  /** Of a slot's row: the newest time; where its ring begins, over all pages; its length as a power of two; its first place; its times. */
  readonly #rows: Rows
  readonly #arena = new Arena()

  constructor(keys: KeyTable, options: TimesOptions) {
    this.#options = options
    this.#rows = keys.rows
    keys.whenNew((slot) => {
      this.#rows.doubles[rowDoubles * slot + newestAt] = Number.NEGATIVE_INFINITY
      this.#rows.ints[rowInts * slot + powerAt] = 1
    })
  }

  /** Adds a time. True when the window is full: it is empty then. Undefined when the time is too old for it. */
  add(slot: number, time: number): boolean | undefined {
    const newest = this.#rows.doubles[rowDoubles * slot + newestAt] ?? 0
    if (time > newest) {
      this.#rows.doubles[rowDoubles * slot + newestAt] = time
      this.#expire(slot, time - this.#options.timeframe)
      return this.#insert(slot, time, true)
    }
    // Also what is no number.
    if (!(time > newest - this.#options.timeframe)) return undefined
    return this.#insert(slot, time, false)
  }

  /** The time that so many of the slot's are not older than, counted from 1; -Infinity when there are not so many. */
  fromNewest(slot: number, nth: number): number {
    const count = this.#rows.ints[rowInts * slot + countAt] ?? 0
    return nth > count ? Number.NEGATIVE_INFINITY : this.#at(slot, count - nth)
  }

  /** How many times of the slot are later than a moment. */
  countAfter(slot: number, moment: number): number {
    let low = 0
    let high = this.#rows.ints[rowInts * slot + countAt] ?? 0
    const count = high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#at(slot, middle) > moment) high = middle
      else low = middle + 1
    }
    return count - low
  }

  newest(slot: number): number {
    return this.#rows.doubles[rowDoubles * slot + newestAt] ?? 0
  }

  /** The times of a slot, from the oldest on. */
  times(slot: number): number[] {
    const times: number[] = []
    // Array.from with a function takes several times as long, and a save asks for each key that has changed.
    for (let index = 0; index < this.count(slot); index++) times.push(this.#at(slot, index))
    return times
  }

  /** How many times a slot has. */
  count(slot: number): number {
    return this.#rows.ints[rowInts * slot + countAt] ?? 0
  }

  /** Takes over what was saved; the newest of the times if they are too many. Says how many there was no room for. */
  restore(slot: number, newest: number, times: readonly number[]): number {
    this.#rows.doubles[rowDoubles * slot + newestAt] = newest
    const kept = times.filter((time) => time > newest - this.#options.timeframe)
    const room = Math.min(this.#options.full - 1, this.#options.most ?? Number.POSITIVE_INFINITY)
    const fitting = room === 0 ? [] : kept.slice(-room)
    for (const time of fitting) this.#insert(slot, time, true)
    return kept.length - fitting.length
  }

  /** Gives a slot's memory back. */
  clear(slot: number): void {
    const ring = this.#rows.ints[rowInts * slot + ringAt] ?? inRow
    if (ring !== inRow) this.#arena.release(ring, this.#rows.ints[rowInts * slot + powerAt] ?? 0)
    this.#rows.ints[rowInts * slot + ringAt] = inRow
    this.#rows.ints[rowInts * slot + powerAt] = 1
    this.#rows.ints[rowInts * slot + countAt] = 0
    this.#rows.ints[rowInts * slot + headAt] = 0
  }

  #expire(slot: number, end: number): void {
    let count = this.#rows.ints[rowInts * slot + countAt] ?? 0
    if (count === 0) return
    const ring = this.#rows.ints[rowInts * slot + ringAt] ?? 0
    const page = ring === inRow ? this.#rows.doubles : this.#arena.pages[ring >>> pageShift]
    if (page === undefined) return
    const base = ring === inRow ? rowDoubles * slot + inRowAt : ring & (pageLength - 1)
    const power = this.#rows.ints[rowInts * slot + powerAt] ?? 0
    const mask = (1 << power) - 1
    let head = this.#rows.ints[rowInts * slot + headAt] ?? 0
    while (count > 0 && (page[base + head] ?? 0) <= end) {
      head = (head + 1) & mask
      count--
    }
    this.#rows.ints[rowInts * slot + headAt] = head
    this.#rows.ints[rowInts * slot + countAt] = count
    // A ring that was large once is given back; small ones are not worth it.
    if (power > 3 && count < mask >> 2) this.#resize(slot, power - 1)
  }

  #insert(slot: number, time: number, last: boolean): boolean {
    const { full, most = full } = this.#options
    let count = this.#rows.ints[rowInts * slot + countAt] ?? 0
    if (count + 1 >= full) {
      this.clear(slot)
      return true
    }
    if (count >= most) {
      if (time <= this.#at(slot, 0)) return false
      this.#dropOldest(slot)
      count--
    }
    const power = this.#rows.ints[rowInts * slot + powerAt] ?? 0
    // A key that does not fit in its row any more mostly goes on: room for eight saves it a move.
    if (count >> power > 0) this.#resize(slot, power === 1 ? 3 : power + 1)
    const ring = this.#rows.ints[rowInts * slot + ringAt] ?? 0
    const page = ring === inRow ? this.#rows.doubles : this.#arena.pages[ring >>> pageShift]
    if (page === undefined) return false
    const base = ring === inRow ? rowDoubles * slot + inRowAt : ring & (pageLength - 1)
    const mask = (1 << (this.#rows.ints[rowInts * slot + powerAt] ?? 0)) - 1
    const head = this.#rows.ints[rowInts * slot + headAt] ?? 0
    let place = count
    if (!last) {
      // A late time is mostly little late: later ones make room from the end.
      for (; place > 0; place--) {
        const before = page[base + ((head + place - 1) & mask)] ?? 0
        if (before <= time) break
        page[base + ((head + place) & mask)] = before
      }
    }
    page[base + ((head + place) & mask)] = time
    this.#rows.ints[rowInts * slot + countAt] = count + 1
    return false
  }

  #dropOldest(slot: number): void {
    const mask = (1 << (this.#rows.ints[rowInts * slot + powerAt] ?? 0)) - 1
    this.#rows.ints[rowInts * slot + headAt] = ((this.#rows.ints[rowInts * slot + headAt] ?? 0) + 1) & mask
    this.#rows.ints[rowInts * slot + countAt] = (this.#rows.ints[rowInts * slot + countAt] ?? 0) - 1
  }

  #at(slot: number, index: number): number {
    const ring = this.#rows.ints[rowInts * slot + ringAt] ?? 0
    const mask = (1 << (this.#rows.ints[rowInts * slot + powerAt] ?? 0)) - 1
    const place = ((this.#rows.ints[rowInts * slot + headAt] ?? 0) + index) & mask
    if (ring === inRow) return this.#rows.doubles[rowDoubles * slot + inRowAt + place] ?? 0
    return this.#arena.pages[ring >>> pageShift]?.[(ring & (pageLength - 1)) + place] ?? 0
  }

  #resize(slot: number, power: number): void {
    const ring = this.#rows.ints[rowInts * slot + ringAt] ?? 0
    const from = ring === inRow ? this.#rows.doubles : this.#arena.pages[ring >>> pageShift]
    const other = this.#arena.take(power)
    const to = this.#arena.pages[other >>> pageShift]
    if (from === undefined || to === undefined) return
    const base = ring === inRow ? rowDoubles * slot + inRowAt : ring & (pageLength - 1)
    const target = other & (pageLength - 1)
    const mask = (1 << (this.#rows.ints[rowInts * slot + powerAt] ?? 0)) - 1
    const head = this.#rows.ints[rowInts * slot + headAt] ?? 0
    const count = this.#rows.ints[rowInts * slot + countAt] ?? 0
    for (let i = 0; i < count; i++) to[target + i] = from[base + ((head + i) & mask)] ?? 0
    if (ring !== inRow) this.#arena.release(ring, this.#rows.ints[rowInts * slot + powerAt] ?? 0)
    this.#rows.ints[rowInts * slot + ringAt] = other
    this.#rows.ints[rowInts * slot + powerAt] = power
    this.#rows.ints[rowInts * slot + headAt] = 0
  }
}
