// For each slot two windows of equal length, one before the other, at the newest event and at a moment of the clock.
import type { MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import { Arena, noRing, pageLength, pageShift } from './arena.ts'
import { addExactly, newSum, roundedSum } from './exact-sum.ts'
import { savedNumber } from './journal.ts'
import { type KeyTable, type Rows, rowDoubles, rowInts } from './keys.ts'

/*
 * A slot's events stand in a ring, sorted by time. At a moment x, those with time > x - timeframe are in the current window,
 * those before, with time > x - 2 timeframe, in the reference window. A view of the ring stands at one moment and knows where
 * the windows begin; it only moves on, so that each event passes each border once.
 */

/** Places in a row: of the ring, where it begins, over all pages; its length as a power of two; its first place; its events. */
const ringAt = 8
const powerAt = 9
const headAt = 10
const countAt = 11
/** Of the time of the first event. */
const firstAt = 3

/** Places of a view in a row: its moment; the events that have left both windows, and those that have left the current one. */
interface Places {
  moment: number
  begin: number
  split: number
}
const atNewest: Places = { moment: 1, begin: 12, split: 13 }
const atClock: Places = { moment: 2, begin: 14, split: 15 }

const never = Number.POSITIVE_INFINITY
const longAgo = Number.NEGATIVE_INFINITY

export interface WindowsOptions {
  /** Seconds: the length of each of the two. */
  timeframe: number
  /** Each event has a number, of which there are means. */
  values: boolean
  /** The windows are wanted at moments of the clock, too. */
  clock: boolean
}

export class Windows {
  readonly timeframe: number
  readonly rows: Rows
  /** At the newest time of the slot's events. */
  readonly newest: View
  /** At the moment to which it was moved; not before the newest time where events have been dropped. If it is wanted. */
  readonly clock: View
  readonly #hasClock: boolean
  /** A time, or a time and a number, is an entry of 1 << shift doubles. */
  readonly #shift: number
  readonly #arena = new Arena()

  constructor(keys: KeyTable, { timeframe, values, clock }: WindowsOptions) {
    this.timeframe = timeframe
    this.#shift = values ? 1 : 0
    this.rows = keys.rows
    this.newest = new View(this, values, atNewest)
    this.clock = new View(this, values && clock, atClock)
    this.#hasClock = clock
    keys.whenNew((slot) => this.#reset(slot))
  }

  /** Adds an event. False when it is too old for both windows. */
  add(slot: number, time: number, value = 0): boolean {
    const newest = this.newest.moment(slot)
    if (time > newest) {
      this.newest.move(slot, time)
      this.#drop(slot)
    } else if (!(time + 2 * this.timeframe > newest)) {
      // Also what is no number.
      return false
    }
    if (this.first(slot) === never) this.startAt(slot, time)
    this.#insert(slot, time, value)
    this.newest.add(slot, time, value)
    if (this.#hasClock) this.clock.add(slot, time, value)
    return true
  }

  /** The time of the event that came first since the slot began; Infinity before it came. */
  first(slot: number): number {
    return this.rows.doubles[rowDoubles * slot + firstAt] ?? 0
  }

  /** The slot is to have begun at another time. */
  startAt(slot: number, time: number): void {
    this.rows.doubles[rowDoubles * slot + firstAt] = time
  }

  /** How many events are kept. */
  count(slot: number): number {
    return this.rows.ints[rowInts * slot + countAt] ?? 0
  }

  /** The time of an event, counted from 0 for the oldest. */
  timeAt(slot: number, index: number): number {
    return this.#read(slot, index, 0)
  }

  valueAt(slot: number, index: number): number {
    return this.#read(slot, index, 1)
  }

  /** Writes one pair of a map, `times`, and with values another, `values`. */
  write(slot: number, writer: MsgpackWriter): void {
    const count = this.count(slot)
    writer.str('times').arrayHeader(count)
    for (let i = 0; i < count; i++) writer.number(this.timeAt(slot, i))
    if (this.#shift === 0) return
    writer.str('values').arrayHeader(count)
    for (let i = 0; i < count; i++) writer.number(this.valueAt(slot, i))
  }

  /** Adds the events of what was written. Throws when it is something else. */
  read(slot: number, { times, values = [] }: Record<string, unknown>): void {
    if (!Array.isArray(times) || !Array.isArray(values)) throw new Error('the times of a window are missing')
    for (const [index, time] of times.entries()) {
      this.add(slot, savedNumber(time), this.#shift === 0 ? 0 : savedNumber(values[index]))
    }
  }

  /** Gives a slot's memory back, and begins again. */
  clear(slot: number): void {
    const { ints } = this.rows
    const row = rowInts * slot
    const ring = ints[row + ringAt] ?? noRing
    if (ring !== noRing) this.#arena.release(ring, (ints[row + powerAt] ?? 0) + this.#shift)
    ints.fill(0, row + ringAt, row + countAt + 1)
    this.#reset(slot)
  }

  #reset(slot: number): void {
    this.rows.doubles[rowDoubles * slot + firstAt] = never
    this.newest.clear(slot)
    this.clock.clear(slot)
  }

  /** Lets go of what has left the windows at the newest event. */
  #drop(slot: number): void {
    const gone = this.newest.begin(slot)
    if (gone === 0) return
    if (this.#hasClock) {
      if (this.clock.begin(slot) < gone) this.clock.move(slot, this.newest.moment(slot))
      this.clock.drop(slot, gone)
    }
    this.newest.drop(slot, gone)
    const { ints } = this.rows
    const row = rowInts * slot
    const power = ints[row + powerAt] ?? 0
    const count = (ints[row + countAt] ?? 0) - gone
    ints[row + headAt] = ((ints[row + headAt] ?? 0) + gone) & ((1 << power) - 1)
    ints[row + countAt] = count
    // A ring that was large once is given back; small ones are not worth it.
    if (power > 3 && count < ((1 << power) - 1) >> 2) this.#resize(slot, power - 1)
  }

  #insert(slot: number, time: number, value: number): void {
    const { ints } = this.rows
    const row = rowInts * slot
    const count = ints[row + countAt] ?? 0
    if ((ints[row + ringAt] ?? noRing) === noRing) ints[row + ringAt] = this.#arena.take(this.#shift)
    else if (count >> (ints[row + powerAt] ?? 0) > 0) this.#resize(slot, (ints[row + powerAt] ?? 0) + 1)
    const ring = ints[row + ringAt] ?? 0
    const page = this.#arena.pages[ring >>> pageShift]
    if (page === undefined) return
    const base = ring & (pageLength - 1)
    const mask = (1 << (ints[row + powerAt] ?? 0)) - 1
    const head = ints[row + headAt] ?? 0
    const shift = this.#shift
    let place = base + (((head + count) & mask) << shift)
    // A late time is mostly little late: later ones make room from the end.
    for (let index = count - 1; index >= 0; index--) {
      const before = base + (((head + index) & mask) << shift)
      if ((page[before] ?? 0) <= time) break
      page.copyWithin(place, before, before + (1 << shift))
      place = before
    }
    page[place] = time
    if (shift > 0) page[place + 1] = value
    ints[row + countAt] = count + 1
  }

  #read(slot: number, index: number, offset: number): number {
    const { ints } = this.rows
    const row = rowInts * slot
    const ring = ints[row + ringAt] ?? 0
    const place = ((ints[row + headAt] ?? 0) + index) & ((1 << (ints[row + powerAt] ?? 0)) - 1)
    return this.#arena.pages[ring >>> pageShift]?.[(ring & (pageLength - 1)) + (place << this.#shift) + offset] ?? 0
  }

  #resize(slot: number, power: number): void {
    const { ints } = this.rows
    const row = rowInts * slot
    const ring = ints[row + ringAt] ?? 0
    const before = ints[row + powerAt] ?? 0
    const from = this.#arena.pages[ring >>> pageShift]
    const other = this.#arena.take(power + this.#shift)
    const to = this.#arena.pages[other >>> pageShift]
    if (from === undefined || to === undefined) return
    const base = ring & (pageLength - 1)
    const target = other & (pageLength - 1)
    const size = 1 << this.#shift
    const length = size << before
    const head = (ints[row + headAt] ?? 0) << this.#shift
    const wanted = (ints[row + countAt] ?? 0) << this.#shift
    const first = Math.min(wanted, length - head)
    to.set(from.subarray(base + head, base + head + first), target)
    to.set(from.subarray(base, base + wanted - first), target + first)
    this.#arena.release(ring, before + this.#shift)
    ints[row + ringAt] = other
    ints[row + powerAt] = power
    ints[row + headAt] = 0
  }
}

/** The two windows at a moment. */
export class View {
  readonly #windows: Windows
  readonly #at: Places
  /** By slot, two sums: of the current window, and of the reference. */
  readonly #sums: number[][] | undefined

  constructor(windows: Windows, values: boolean, at: Places) {
    this.#windows = windows
    this.#at = at
    this.#sums = values ? [] : undefined
  }

  moment(slot: number): number {
    return this.#windows.rows.doubles[rowDoubles * slot + this.#at.moment] ?? 0
  }

  /** How many of the slot's events have left both windows. */
  begin(slot: number): number {
    return this.#windows.rows.ints[rowInts * slot + this.#at.begin] ?? 0
  }

  /** How many events the current window holds. */
  current(slot: number): number {
    return this.#windows.count(slot) - this.#split(slot)
  }

  /** How many events the reference window holds. */
  reference(slot: number): number {
    return this.#split(slot) - this.begin(slot)
  }

  /** The mean of the current window; NaN when it is empty. */
  currentMean(slot: number): number {
    return roundedSum(this.#sums?.[2 * slot] ?? []) / this.current(slot)
  }

  referenceMean(slot: number): number {
    return roundedSum(this.#sums?.[2 * slot + 1] ?? []) / this.reference(slot)
  }

  /** When the next event leaves one of the windows; Infinity when there is none. */
  nextChange(slot: number): number {
    const { timeframe } = this.#windows
    const begin = this.begin(slot)
    const split = this.#split(slot)
    const leaves = begin < split ? this.#windows.timeAt(slot, begin) + 2 * timeframe : never
    const falls = split < this.#windows.count(slot) ? this.#windows.timeAt(slot, split) + timeframe : never
    return Math.min(leaves, falls)
  }

  /** Moves it on to a moment. */
  move(slot: number, moment: number): void {
    if (!(moment > this.moment(slot))) return
    const { timeframe, rows } = this.#windows
    const count = this.#windows.count(slot)
    const sums = this.#sums
    let split = this.#split(slot)
    for (; split < count && this.#windows.timeAt(slot, split) + timeframe <= moment; split++) {
      if (sums === undefined) continue
      const value = this.#windows.valueAt(slot, split)
      addExactly(sums[2 * slot] ?? [], -value)
      addExactly(sums[2 * slot + 1] ?? [], value)
    }
    let begin = this.begin(slot)
    for (; begin < split && this.#windows.timeAt(slot, begin) + 2 * timeframe <= moment; begin++) {
      if (sums !== undefined) addExactly(sums[2 * slot + 1] ?? [], -this.#windows.valueAt(slot, begin))
    }
    rows.doubles[rowDoubles * slot + this.#at.moment] = moment
    rows.ints[rowInts * slot + this.#at.begin] = begin
    rows.ints[rowInts * slot + this.#at.split] = split
  }

  /** An event has come. */
  add(slot: number, time: number, value: number): void {
    const { timeframe, rows } = this.#windows
    const moment = this.moment(slot)
    let sum = 2 * slot
    if (time + timeframe <= moment) {
      rows.ints[rowInts * slot + this.#at.split] = this.#split(slot) + 1
      sum++
      if (time + 2 * timeframe <= moment) {
        rows.ints[rowInts * slot + this.#at.begin] = this.begin(slot) + 1
        return
      }
    }
    if (this.#sums !== undefined) addExactly(this.#sums[sum] ?? [], value)
  }

  /** So many events, which have left both windows, are not kept any more. */
  drop(slot: number, count: number): void {
    const { ints } = this.#windows.rows
    ints[rowInts * slot + this.#at.begin] = this.begin(slot) - count
    ints[rowInts * slot + this.#at.split] = this.#split(slot) - count
  }

  clear(slot: number): void {
    const { doubles, ints } = this.#windows.rows
    doubles[rowDoubles * slot + this.#at.moment] = longAgo
    ints[rowInts * slot + this.#at.begin] = 0
    ints[rowInts * slot + this.#at.split] = 0
    if (this.#sums === undefined) return
    this.#sums[2 * slot] = newSum()
    this.#sums[2 * slot + 1] = newSum()
  }

  #split(slot: number): number {
    return this.#windows.rows.ints[rowInts * slot + this.#at.split] ?? 0
  }
}
