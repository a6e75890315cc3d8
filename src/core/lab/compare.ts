// Compares the alerts that a test expects with those that came: which are missing, which differ and where, which are too many.
import type { ExpectedAlert } from '../config/types.ts'
import { type Event, type EventRecord, isPlainObject } from '../event.ts'

export type Finding =
  | { kind: 'same' }
  | { kind: 'differs'; actual: Event; differences: Difference[] }
  | { kind: 'missing'; expected: ExpectedAlert }
  | { kind: 'unexpected'; actual: Event }

export interface Difference {
  /** `tag`, `at`, `record.a.b[0]`, ... */
  path: string
  expected: unknown
  /** Undefined when there is nothing of the kind. */
  actual: unknown
}

/** Seconds that two times may be apart and still be the same: what a double loses on times of our days. */
const precision = 1e-5
/** Comparisons of every expected alert with every other that are worth the time. */
const maxPairs = 4_000_000

/** A finding for each alert, in order. `start` is what `at` is counted from. All is well when every one is `same`. */
export function compareAlerts(expected: readonly ExpectedAlert[], actual: readonly Event[], start: number): Finding[] {
  const findings: Finding[] = []
  let e = 0
  let a = 0
  // Between two alerts that are as expected, what is left over on both sides belongs together in order.
  const upTo = (nextE: number, nextA: number) => {
    for (; e < nextE || a < nextA; e++, a++) {
      const wanted = e < nextE ? expected[e] : undefined
      const came = a < nextA ? actual[a] : undefined
      if (wanted !== undefined && came !== undefined) {
        findings.push({ kind: 'differs', actual: came, differences: alertDifferences(wanted, came, start) })
      } else if (wanted !== undefined) findings.push({ kind: 'missing', expected: wanted })
      else if (came !== undefined) findings.push({ kind: 'unexpected', actual: came })
    }
    e = nextE
    a = nextA
  }
  for (const [sameE, sameA] of pairUp(expected, actual, start)) {
    upTo(sameE, sameA)
    findings.push({ kind: 'same' })
    e++
    a++
  }
  upTo(expected.length, actual.length)
  return findings
}

export function alertDifferences(expected: ExpectedAlert, actual: Event, start: number): Difference[] {
  const differences: Difference[] = []
  if (expected.tag !== undefined && expected.tag !== actual.tag) {
    differences.push({ path: 'tag', expected: expected.tag, actual: actual.tag })
  }
  const at = round(actual.timestamp - start)
  if (expected.at !== undefined && Math.abs(expected.at - at) > precision) {
    differences.push({ path: 'at', expected: expected.at, actual: at })
  }
  if (expected.record !== undefined) compare(expected.record, actual.record, 'record', differences)
  if (expected.cause !== undefined) compare(expected.cause, actual.metadata?.cause, 'cause', differences)
  return differences
}

/** Seconds without what a double adds to them. */
export function round(seconds: number): number {
  return Number(seconds.toFixed(5))
}

/** Pairs of indices whose alerts are as expected: as many as can be in order. */
function pairUp(expected: readonly ExpectedAlert[], actual: readonly Event[], start: number): [number, number][] {
  const same = (e: number, a: number) => {
    const wanted = expected[e]
    const came = actual[a]
    return wanted !== undefined && came !== undefined && alertDifferences(wanted, came, start).length === 0
  }
  const pairs: [number, number][] = []
  let first = 0
  const short = Math.min(expected.length, actual.length)
  for (; first < short && same(first, first); first++) pairs.push([first, first])
  if (first === short) return pairs
  const rows = expected.length - first
  const columns = actual.length - first
  if (rows * columns > maxPairs) return pairs
  // The longest common subsequence of the rest.
  const width = columns + 1
  const length = new Uint16Array((rows + 1) * width)
  const matches = new Uint8Array(rows * columns)
  for (let e = rows - 1; e >= 0; e--) {
    for (let a = columns - 1; a >= 0; a--) {
      const match = same(first + e, first + a)
      matches[e * columns + a] = match ? 1 : 0
      const here = match ? (length[(e + 1) * width + a + 1] ?? 0) + 1 : 0
      length[e * width + a] = Math.max(here, length[(e + 1) * width + a] ?? 0, length[e * width + a + 1] ?? 0)
    }
  }
  for (let e = 0, a = 0; e < rows && a < columns; ) {
    const best = length[e * width + a] ?? 0
    if (matches[e * columns + a] === 1 && best === (length[(e + 1) * width + a + 1] ?? 0) + 1) {
      pairs.push([first + e++, first + a++])
    } else if (best === length[(e + 1) * width + a]) e++
    else a++
  }
  return pairs
}

/** Maps are compared by the expected keys, lists item by item. */
function compare(expected: unknown, actual: unknown, path: string, differences: Difference[]): void {
  if (isPlainObject(expected) && isPlainObject(actual)) {
    for (const key of Object.keys(expected)) {
      compare(expected[key], ownValue(actual, key), `${path}.${key}`, differences)
    }
  } else if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    for (const [index, item] of expected.entries()) compare(item, actual[index], `${path}[${index}]`, differences)
  } else if (!equal(expected, actual)) {
    differences.push({ path, expected, actual })
  }
}

function equal(expected: unknown, actual: unknown): boolean {
  if (typeof expected !== 'number' || !Number.isFinite(expected)) return Object.is(expected, actual)
  if (typeof actual === 'bigint') return Number.isInteger(expected) && BigInt(expected) === actual
  return typeof actual === 'number' && Math.abs(expected - actual) <= ulps(expected)
}

/** What the last digits of a sum may be off. */
function ulps(value: number): number {
  return Math.abs(value) * Number.EPSILON * 8
}

function ownValue(record: EventRecord, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
