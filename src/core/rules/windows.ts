// For each slot two windows of equal length, one before the other, at the newest event and at a moment of the clock.
import type { MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import { Arena, noRing, pageLength, pageShift } from './arena.ts'
import { ExactSums } from './exact-sum.ts'
import { savedNumber } from './journal.ts'
import { type KeyTable, type Rows, rowDoubles, rowInts } from './keys.ts'
import { type Places, View } from './window-view.ts'

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
/** Of the views. */
const atNewest: Places = { moment: 1, begin: 12, split: 13 }
const atClock: Places = { moment: 2, begin: 14, split: 15 }

const never = Number.POSITIVE_INFINITY

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
    this.newest = new View(this, atNewest, values ? new ExactSums(keys, 2) : undefined)
    this.clock = new View(this, atClock, values && clock ? new ExactSums(keys, 2) : undefined)
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
