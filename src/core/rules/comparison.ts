// How two windows compare: whether the current one is so many times larger, or smaller, than the reference.
import type { View } from './window-view.ts'

export interface ComparisonOptions {
  /** How many times larger one of them is at least. */
  height: number
  /** Events that the windows hold at least; the reference one in any case. */
  leastCurrent: number
  leastReference: number
  /** Compare the means of their values, not how many events they hold. */
  means: boolean
}

export interface Comparison {
  /** Whether one amount is so many times larger than another, or than nothing. Amounts below 0 are not compared. */
  isLarger(larger: number, smaller: number): boolean
  /** What the current window comes to; null for the mean of no event. */
  currentOf(view: View, slot: number): number | null
  referenceOf(view: View, slot: number): number
  isUp(view: View, slot: number): boolean
  /** Also when the current window holds no event. */
  isDown(view: View, slot: number): boolean
  /** Without means: of so many events in both windows, how many may at most be in the current one when it is down; -1: too few. */
  mostWhenDown(events: number): number
}

export function compileComparison(options: ComparisonOptions): Comparison {
  const { height, leastCurrent, means } = options
  const leastReference = Math.max(1, options.leastReference)

  const isLarger = (larger: number, smaller: number): boolean =>
    larger > 0 && smaller >= 0 && larger >= height * smaller

  function currentOf(view: View, slot: number): number | null {
    if (!means) return view.current(slot)
    return view.current(slot) === 0 ? null : view.currentMean(slot)
  }

  function referenceOf(view: View, slot: number): number {
    return means ? view.referenceMean(slot) : view.reference(slot)
  }

  return {
    isLarger,
    currentOf,
    referenceOf,
    isUp(view, slot) {
      if (view.reference(slot) < leastReference || view.current(slot) < leastCurrent) return false
      const current = currentOf(view, slot)
      return current !== null && isLarger(current, referenceOf(view, slot))
    },
    isDown(view, slot) {
      if (view.reference(slot) < leastReference) return false
      const events = view.current(slot)
      const current = currentOf(view, slot)
      if (events === 0 || current === null) return true
      return events >= leastCurrent && isLarger(referenceOf(view, slot), current)
    },
    mostWhenDown(events) {
      if (events < leastReference) return -1
      let most = Math.floor(events / (height + 1))
      // As it is compared: the quotient may be rounded.
      while (height * (most + 1) <= events - most - 1) most++
      while (height * most > events - most) most--
      return Math.min(most, events - leastReference)
    },
  }
}
