// Sums of doubles that stay exact while numbers come and go: a running sum would keep what rounding left of those that went.
import type { Column, KeyTable } from './keys.ts'

/*
 * Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997: a sum is a list of parts that do not overlap, the smallest
 * first. Of numbers as they occur there are one to three.
 */

/** Parts that a sum has room for; those of one with more are elsewhere. */
const room = 3

/** Some sums for each slot of a table. Their totals must stay below the largest double. */
export class ExactSums {
  readonly #count: number
  /** Zeros fill the room that is left; NaN in the first place stands for parts elsewhere. */
  readonly #parts: Column<Float64Array>
  readonly #long = new Map<number, number[]>()

  constructor(keys: KeyTable, count: number) {
    this.#count = count
    this.#parts = keys.float64(0, count * room)
  }

  /** Adds a number to one of the slot's sums; to take one away, add its negative. */
  add(slot: number, sum: number, number: number): void {
    const { data } = this.#parts
    const index = slot * this.#count + sum
    const start = index * room
    if (Number.isNaN(data[start])) {
      this.#addToLong(index, number)
      return
    }
    let high = number
    let used = 0
    for (let i = 0; i < room; i++) {
      let low = data[start + i] ?? 0
      if (low === 0) continue
      if (Math.abs(high) < Math.abs(low)) {
        const other = high
        high = low
        low = other
      }
      const total = high + low
      const rest = low - (total - high)
      high = total
      if (rest !== 0) data[start + used++] = rest
    }
    if (used === room) {
      const long = Array.from(data.subarray(start, start + room))
      long.push(high)
      this.#long.set(index, long)
      data[start] = Number.NaN
      return
    }
    // Nothing is 0, not -0.
    data[start + used++] = high + 0
    while (used < room) data[start + used++] = 0
  }

  /** The double next to the sum: the same whatever the order in which its numbers came. */
  rounded(slot: number, sum: number): number {
    const index = slot * this.#count + sum
    return roundedSum(this.#long.get(index) ?? this.#parts.data.subarray(index * room, (index + 1) * room))
  }

  /** All sums of the slot are of nothing. */
  clear(slot: number): void {
    const first = slot * this.#count
    this.#parts.data.fill(0, first * room, (first + this.#count) * room)
    if (this.#long.size === 0) return
    for (let sum = 0; sum < this.#count; sum++) this.#long.delete(first + sum)
  }

  #addToLong(index: number, number: number): void {
    const parts = this.#long.get(index) ?? []
    addExactly(parts, number)
    if (parts.length > room) return
    this.#long.delete(index)
    const { data } = this.#parts
    for (let i = 0; i < room; i++) data[index * room + i] = parts[i] ?? 0
  }
}

function addExactly(parts: number[], number: number): void {
  let high = number
  let used = 0
  for (let i = 0; i < parts.length; i++) {
    let low = parts[i] ?? 0
    if (Math.abs(high) < Math.abs(low)) {
      const other = high
      high = low
      low = other
    }
    const total = high + low
    const rest = low - (total - high)
    high = total
    if (rest !== 0) parts[used++] = rest
  }
  parts.length = used
  if (high !== 0) parts.push(high)
}

/** Zeros may stand behind the parts. */
function roundedSum(parts: ArrayLike<number>): number {
  let i = parts.length - 1
  while (i > 0 && parts[i] === 0) i--
  let sum = parts[i] ?? 0
  let rest = 0
  while (i > 0 && rest === 0) {
    const low = parts[--i] ?? 0
    const high = sum
    sum = high + low
    rest = low - (sum - high)
  }
  // Half a unit was rounded to even: what lies below it says which way is nearer.
  const below = parts[i - 1] ?? 0
  if (rest !== 0 && below !== 0 && rest < 0 === below < 0) {
    const twice = rest * 2
    const other = sum + twice
    if (twice === other - sum) return other
  }
  return sum
}
