// Which key is due first: a binary heap of slots that know their place in it.
import { type Column, type KeyTable, none } from './keys.ts'

export class DueHeap {
  /** Slots, the earliest first. */
  readonly #heap: number[] = []
  readonly #place: Column<Int32Array>
  readonly #due: Column<Float64Array>

  /** Slots of these keys. Whoever forgets a key takes it out here, too. */
  constructor(keys: KeyTable) {
    this.#place = keys.int32(none)
    this.#due = keys.float64(Number.POSITIVE_INFINITY)
  }

  /** When the first slot is due; Infinity when there is none. */
  get next(): number {
    return this.dueAt(this.#heap[0] ?? none)
  }

  /** When a slot is due; Infinity when it is not. */
  dueAt(slot: number): number {
    return this.#due.data[slot] ?? Number.POSITIVE_INFINITY
  }

  /** A slot is due at a moment; never, for Infinity. */
  set(slot: number, due: number): void {
    if (due === Number.POSITIVE_INFINITY) {
      this.delete(slot)
      return
    }
    const before = this.dueAt(slot)
    this.#due.data[slot] = due
    const place = this.#place.data[slot] ?? none
    if (place === none) this.#up(this.#heap.length, slot)
    else if (due < before) this.#up(place, slot)
    else this.#down(place, slot)
  }

  delete(slot: number): void {
    const place = this.#place.data[slot] ?? none
    if (place === none) return
    this.#place.data[slot] = none
    this.#due.data[slot] = Number.POSITIVE_INFINITY
    const last = this.#heap.pop()
    if (last === undefined || last === slot) return
    this.#up(place, last)
    this.#down(this.#place.data[last] ?? 0, last)
  }

  /** Takes out all slots that are due first, at the same moment, in no order. */
  take(): number[] {
    const now = this.next
    const slots: number[] = []
    for (let slot = this.#heap[0]; slot !== undefined && this.dueAt(slot) === now; slot = this.#heap[0]) {
      slots.push(slot)
      this.delete(slot)
    }
    return slots
  }

  #up(from: number, slot: number): void {
    const due = this.dueAt(slot)
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      const other = this.#heap[parent] ?? 0
      if (this.dueAt(other) <= due) break
      this.#put(place, other)
      place = parent
    }
    this.#put(place, slot)
  }

  #down(from: number, slot: number): void {
    const due = this.dueAt(slot)
    const heap = this.#heap
    let place = from
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.dueAt(heap[child + 1] ?? 0) < this.dueAt(heap[child] ?? 0)) child++
      const other = heap[child] ?? 0
      if (this.dueAt(other) >= due) break
      this.#put(place, other)
      place = child
    }
    this.#put(place, slot)
  }

  #put(place: number, slot: number): void {
    this.#heap[place] = slot
    this.#place.data[slot] = place
  }
}

const double = new Float64Array(1)
const bits = new BigInt64Array(double.buffer)

/**
 * The next double after a moment: when the clock is there, everything that happens at the moment itself has been seen.
 * A tick at the moment would come before the event that moves the clock there.
 */
export function justAfter(moment: number): number {
  if (!Number.isFinite(moment)) return moment
  if (moment === 0) return Number.MIN_VALUE
  double[0] = moment
  bits[0] = (bits[0] ?? 0n) + (moment > 0 ? 1n : -1n)
  return double[0]
}
