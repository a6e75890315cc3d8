// One table as the reader goes through it: the page in hand, and the merge of many tables in order of time.
import { type Place, unread } from './reader-place.ts'
import type { SeriesPage, SeriesTable } from './store.ts'

/** Rows of one page that are sent on together. */
export interface Part {
  lane: Lane
  page: SeriesPage
  start: number
  end: number
}

export interface Lane {
  readonly name: string
  readonly tag: string
  readonly table: SeriesTable
  /** Up to where its rows were read by an earlier run. */
  readonly base: Place
  /** Up to where its rows are in hand or were sent. */
  read: Place
  /** Up to where they were sent, as it is saved. */
  sentTo: Place
  page: SeriesPage | undefined
  /** The next row of the page. */
  index: number
  /** Rows of it were sent that are to be removed. */
  sent: boolean
  /** The time of its last row has more rows than keys are kept; and the last time of which this was told. */
  isCrowded: boolean
  crowdedAt: number | undefined
}

export function createLane(table: SeriesTable, tag: string, base: Place = unread): Lane {
  return {
    ...{ name: table.name, tag, table, base },
    ...{ read: base, sentTo: base, page: undefined, index: 0, sent: false, isCrowded: false, crowdedAt: undefined },
  }
}

/** The time of its next row; Infinity when it has none in hand. */
export function headOf({ page, index }: Lane): number {
  return page?.times[index] ?? Number.POSITIVE_INFINITY
}

/** Tables by the time of their next row. Those that have no row in hand are not in it. */
export class Merge {
  /** The first one last, so that it is cheap to take away. */
  readonly #lanes: Lane[] = []

  add(lane: Lane): void {
    const time = headOf(lane)
    let low = 0
    let high = this.#lanes.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#lanes[middle]
      if (other !== undefined && isBefore(time, lane, headOf(other), other)) low = middle + 1
      else high = middle
    }
    this.#lanes.splice(low, 0, lane)
  }

  /** Takes out the lane with the earliest row. */
  take(): Lane | undefined {
    return this.#lanes.pop()
  }

  /** The index in the page of `lane`, which was taken out, up to which its rows come before all others. */
  endOfRun(lane: Lane): number {
    const times = lane.page?.times ?? []
    const other = this.#lanes.at(-1)
    if (other === undefined) return times.length
    const time = headOf(other)
    let end = lane.index
    while (end < times.length && isBefore(times[end] ?? 0, lane, time, other)) end++
    return end
  }
}

/** Rows of the same time come in the order of the names of their tables. */
function isBefore(time: number, lane: Lane, otherTime: number, other: Lane): boolean {
  return time < otherTime || (time === otherTime && lane.name <= other.name)
}
