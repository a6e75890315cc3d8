// For each slot the two windows at one moment: how many of the events that are kept each of them holds, and their mean.
import type { ExactSums } from './exact-sum.ts'
import { type Rows, rowDoubles, rowInts } from './keys.ts'

/** What is looked at: the events of each slot, sorted by time. */
interface Kept {
  /** Seconds: the length of a window. */
  readonly timeframe: number
  readonly rows: Rows
  count(slot: number): number
  timeAt(slot: number, index: number): number
  valueAt(slot: number, index: number): number
}

/** Places of a view in a row: its moment; the events that have left both windows, and those that have left the current one. */
export interface Places {
  moment: number
  begin: number
  split: number
}

/** The sums of a view. */
const ofCurrent = 0
const ofReference = 1

const never = Number.POSITIVE_INFINITY
const longAgo = Number.NEGATIVE_INFINITY

export class View {
  readonly #windows: Kept
  readonly #at: Places
  /** The sums of the two windows. */
  readonly #sums: ExactSums | undefined

  constructor(windows: Kept, at: Places, sums: ExactSums | undefined) {
    this.#windows = windows
    this.#at = at
    this.#sums = sums
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
    return (this.#sums?.rounded(slot, ofCurrent) ?? 0) / this.current(slot)
  }

  referenceMean(slot: number): number {
    return (this.#sums?.rounded(slot, ofReference) ?? 0) / this.reference(slot)
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
      sums.add(slot, ofCurrent, -value)
      sums.add(slot, ofReference, value)
    }
    let begin = this.begin(slot)
    for (; begin < split && this.#windows.timeAt(slot, begin) + 2 * timeframe <= moment; begin++) {
      if (sums !== undefined) sums.add(slot, ofReference, -this.#windows.valueAt(slot, begin))
    }
    rows.doubles[rowDoubles * slot + this.#at.moment] = moment
    rows.ints[rowInts * slot + this.#at.begin] = begin
    rows.ints[rowInts * slot + this.#at.split] = split
  }

  /** An event has come. */
  add(slot: number, time: number, value: number): void {
    const { timeframe, rows } = this.#windows
    const moment = this.moment(slot)
    let sum = ofCurrent
    if (time + timeframe <= moment) {
      rows.ints[rowInts * slot + this.#at.split] = this.#split(slot) + 1
      sum = ofReference
      if (time + 2 * timeframe <= moment) {
        rows.ints[rowInts * slot + this.#at.begin] = this.begin(slot) + 1
        return
      }
    }
    this.#sums?.add(slot, sum, value)
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
    this.#sums?.clear(slot)
  }

  #split(slot: number): number {
    return this.#windows.rows.ints[rowInts * slot + this.#at.split] ?? 0
  }
}
