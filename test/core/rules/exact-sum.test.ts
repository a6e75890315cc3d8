import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ExactSums } from '../../../src/core/rules/exact-sum.ts'
import { KeyTable } from '../../../src/core/rules/keys.ts'

/** In units of the smallest double. */
function exact(number: number): bigint {
  const bits = new BigInt64Array(new Float64Array([number]).buffer)[0] ?? 0n
  const exponent = (bits >> 52n) & 0x7ffn
  const fraction = bits & 0xfffffffffffffn
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n)
  return bits < 0n ? -size : size
}

function distance(sum: bigint, number: number): bigint {
  const apart = sum - exact(number)
  return apart < 0n ? -apart : apart
}

function next(number: number, by: bigint): number {
  const bits = new BigInt64Array(new Float64Array([number]).buffer)
  bits[0] = (bits[0] ?? 0n) + by
  return new Float64Array(bits.buffer)[0] ?? 0
}

function newSum() {
  const keys = new KeyTable({ maxKeys: 1 })
  const sums = new ExactSums(keys, 1)
  const slot = keys.see('a')
  return { add: (one: number) => sums.add(slot, 0, one), sumOf: () => sums.rounded(slot, 0) }
}

const number = fc.oneof(
  fc.double({ min: -1e290, max: 1e290, noNaN: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.integer({ min: -1000, max: 1000 }).map((cents) => cents / 100),
  fc.constantFrom(0, 1, -1, 2 ** 53, -(2 ** 53), 2 ** -53, 2 ** -54, 5e-324, 1e16, -1e16),
)

it('is the double next to the sum of the numbers that are left, whatever came and went', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, fc.boolean()), { maxLength: 40 }), (steps) => {
      const { add, sumOf } = newSum()
      for (const [one] of steps) add(one)
      for (const [one, stays] of steps) if (!stays) add(-one)
      const left = steps.filter(([, stays]) => stays).reduce((sum, [one]) => sum + exact(one), 0n)
      const sum = sumOf()
      const off = distance(left, sum)
      if (sum === 0) expect(left).toBe(0n)
      else expect([distance(left, next(sum, 1n)) >= off, distance(left, next(sum, -1n)) >= off]).toEqual([true, true])
    }),
    { numRuns: 3000 },
  )
})

it('does not depend on the order', () => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: 30 }), (numbers) => {
      const forward = newSum()
      for (const one of numbers) forward.add(one)
      const backward = newSum()
      for (const one of [...numbers].reverse()) backward.add(one)
      expect(backward.sumOf()).toBe(forward.sumOf())
    }),
    { numRuns: 2000 },
  )
})

it('keeps nothing of numbers that went, however far apart they were', () => {
  const { add, sumOf } = newSum()
  const far = [0.1, 1e200, 1e150, 1e100, 1e50, 0.2]
  for (const one of far) add(one)
  expect(sumOf()).toBe(1e200)
  for (const one of far.slice(1)) add(-one)
  expect(sumOf()).toBe(0.1)
  add(-0.1)
  expect(sumOf()).toBe(0)
})

it('keeps the sums of a slot apart, and clears them', () => {
  const keys = new KeyTable({ maxKeys: 10 })
  const sums = new ExactSums(keys, 2)
  const slot = keys.see('a')
  for (const one of [1e-200, 1e-100, 1, 1e100, 1e200]) sums.add(slot, 0, one)
  sums.add(slot, 1, 3)
  expect([sums.rounded(slot, 0), sums.rounded(slot, 1)]).toEqual([1e200, 3])
  sums.clear(slot)
  sums.add(slot, 0, 2)
  expect([sums.rounded(slot, 0), sums.rounded(slot, 1)]).toEqual([2, 0])
})
