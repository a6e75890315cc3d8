// For each slot the times in its window, sorted, in a ring: compact, and no work that grows with the window.
import type { Column, KeyTable } from './keys.ts'

/** Doubles in a page. Larger rings have a page of their own. */
const pageLength = 65_536
const pageShift = 16
/** No ring begins there. */
const noRing = 0
/** Places of the other three of a slot's numbers. */
const powerAt = 1
const headAt = 2
const countAt = 3

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
  readonly #newest: Column<Float64Array>
  /**
   * Four numbers a slot, side by side because they are wanted together: where its ring begins, over all pages; the ring's
   * length as a power of two; its first place; how many times it holds.
   */
  readonly #rings: Column<Int32Array>
  /** The first is not used, so that no ring is 0. */
  readonly #pages: Float64Array[] = [new Float64Array(0)]
  /** Free rings by power of two. */
  readonly #free: number[][] = []
  /** What is left of the page that small rings are cut from. */
  #next = 0
  #end = 0

  constructor(keys: KeyTable, options: TimesOptions) {
    this.#options = options
    this.#newest = keys.float64(Number.NEGATIVE_INFINITY)
    this.#rings = keys.int32(noRing, 4)
  }

  /** Adds a time. True when the window is full: it is empty then. Undefined when the time is too old for it. */
  add(slot: number, time: number): boolean | undefined {
    const newest = this.#newest.data[slot] ?? 0
    if (time > newest) {
      this.#newest.data[slot] = time
      this.#expire(slot, time - this.#options.timeframe)
      return this.#insert(slot, time, true)
    }
    // Also what is no number.
    if (!(time > newest - this.#options.timeframe)) return undefined
    return this.#insert(slot, time, false)
  }

  /** The time that so many of the slot's are not older than, counted from 1; -Infinity when there are not so many. */
  fromNewest(slot: number, nth: number): number {
    const count = this.#rings.data[4 * slot + countAt] ?? 0
    return nth > count ? Number.NEGATIVE_INFINITY : this.#at(slot, count - nth)
  }

  /** How many times of the slot are later than a moment. */
  countAfter(slot: number, moment: number): number {
    let low = 0
    let high = this.#rings.data[4 * slot + countAt] ?? 0
    const count = high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#at(slot, middle) > moment) high = middle
      else low = middle + 1
    }
    return count - low
  }

  newest(slot: number): number {
    return this.#newest.data[slot] ?? 0
  }

  /** The times of a slot, from the oldest on. */
  times(slot: number): number[] {
    return Array.from({ length: this.#rings.data[4 * slot + countAt] ?? 0 }, (_, index) => this.#at(slot, index))
  }

  /** Takes over what was saved; the newest of the times if they are too many. Says how many there was no room for. */
  restore(slot: number, newest: number, times: readonly number[]): number {
    this.#newest.data[slot] = newest
    const kept = times.filter((time) => time > newest - this.#options.timeframe)
    const room = Math.min(this.#options.full - 1, this.#options.most ?? Number.POSITIVE_INFINITY)
    const fitting = room === 0 ? [] : kept.slice(-room)
    for (const time of fitting) this.#insert(slot, time, true)
    return kept.length - fitting.length
  }

  /** Gives a slot's memory back. */
  clear(slot: number): void {
    const ring = this.#rings.data[4 * slot] ?? noRing
    if (ring !== noRing) this.#release(ring, this.#rings.data[4 * slot + powerAt] ?? 0)
    this.#rings.data[4 * slot] = noRing
    this.#rings.data[4 * slot + countAt] = 0
    this.#rings.data[4 * slot + headAt] = 0
  }

  #expire(slot: number, end: number): void {
    let count = this.#rings.data[4 * slot + countAt] ?? 0
    if (count === 0) return
    const ring = this.#rings.data[4 * slot] ?? 0
    const page = this.#pages[ring >>> pageShift]
    if (page === undefined) return
    const base = ring & (pageLength - 1)
    const power = this.#rings.data[4 * slot + powerAt] ?? 0
    const mask = (1 << power) - 1
    let head = this.#rings.data[4 * slot + headAt] ?? 0
    while (count > 0 && (page[base + head] ?? 0) <= end) {
      head = (head + 1) & mask
      count--
    }
    this.#rings.data[4 * slot + headAt] = head
    this.#rings.data[4 * slot + countAt] = count
    // A ring that was large once is given back; small ones are not worth it.
    if (power > 3 && count < mask >> 2) this.#resize(slot, power - 1)
  }

  #insert(slot: number, time: number, last: boolean): boolean {
    const { full, most = full } = this.#options
    let count = this.#rings.data[4 * slot + countAt] ?? 0
    if (count + 1 >= full) {
      this.clear(slot)
      return true
    }
    if (count >= most) {
      if (time <= this.#at(slot, 0)) return false
      this.#dropOldest(slot)
      count--
    }
    if (this.#rings.data[4 * slot] === noRing) {
      this.#rings.data[4 * slot + powerAt] = 0
      this.#rings.data[4 * slot] = this.#take(0)
    } else if (count >> (this.#rings.data[4 * slot + powerAt] ?? 0) > 0) {
      this.#resize(slot, (this.#rings.data[4 * slot + powerAt] ?? 0) + 1)
    }
    const ring = this.#rings.data[4 * slot] ?? 0
    const page = this.#pages[ring >>> pageShift]
    if (page === undefined) return false
    const base = ring & (pageLength - 1)
    const mask = (1 << (this.#rings.data[4 * slot + powerAt] ?? 0)) - 1
    const head = this.#rings.data[4 * slot + headAt] ?? 0
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
    this.#rings.data[4 * slot + countAt] = count + 1
    return false
  }

  #dropOldest(slot: number): void {
    const mask = (1 << (this.#rings.data[4 * slot + powerAt] ?? 0)) - 1
    this.#rings.data[4 * slot + headAt] = ((this.#rings.data[4 * slot + headAt] ?? 0) + 1) & mask
    this.#rings.data[4 * slot + countAt] = (this.#rings.data[4 * slot + countAt] ?? 0) - 1
  }

  #at(slot: number, index: number): number {
    const ring = this.#rings.data[4 * slot] ?? 0
    const mask = (1 << (this.#rings.data[4 * slot + powerAt] ?? 0)) - 1
    const place = ((this.#rings.data[4 * slot + headAt] ?? 0) + index) & mask
    return this.#pages[ring >>> pageShift]?.[(ring & (pageLength - 1)) + place] ?? 0
  }

  #resize(slot: number, power: number): void {
    const ring = this.#rings.data[4 * slot] ?? 0
    const from = this.#pages[ring >>> pageShift]
    const other = this.#take(power)
    const to = this.#pages[other >>> pageShift]
    if (from === undefined || to === undefined) return
    const base = ring & (pageLength - 1)
    const target = other & (pageLength - 1)
    const mask = (1 << (this.#rings.data[4 * slot + powerAt] ?? 0)) - 1
    const head = this.#rings.data[4 * slot + headAt] ?? 0
    const count = this.#rings.data[4 * slot + countAt] ?? 0
    for (let i = 0; i < count; i++) to[target + i] = from[base + ((head + i) & mask)] ?? 0
    this.#release(ring, this.#rings.data[4 * slot + powerAt] ?? 0)
    this.#rings.data[4 * slot] = other
    this.#rings.data[4 * slot + powerAt] = power
    this.#rings.data[4 * slot + headAt] = 0
  }

  /** A ring of this power of two. */
  #take(power: number): number {
    const free = this.#free[power]?.pop()
    if (free !== undefined) return free
    const length = 1 << power
    if (length > pageLength) return this.#newPage(length)
    // Rings are cut from a page in any order of sizes: what is left of one is given to smaller rings.
    while (this.#next + length > this.#end) {
      if (this.#next === this.#end) {
        // The first pages are small: most rules have few keys.
        const pages = Math.min(this.#pages.length, pageShift)
        const room = Math.max(length, Math.min(pageLength, 256 << pages))
        this.#next = this.#newPage(room)
        this.#end = this.#next + room
      } else {
        const left = 31 - Math.clz32(this.#end - this.#next)
        this.#release(this.#next, left)
        this.#next += 1 << left
      }
    }
    const ring = this.#next
    this.#next += length
    return ring
  }

  #release(ring: number, power: number): void {
    let rings = this.#free[power]
    if (rings === undefined) {
      rings = []
      for (let lower = this.#free.length; lower < power; lower++) this.#free.push([])
      this.#free[power] = rings
    }
    rings.push(ring)
  }

  #newPage(length: number): number {
    this.#pages.push(new Float64Array(length))
    return (this.#pages.length - 1) << pageShift
  }
}
