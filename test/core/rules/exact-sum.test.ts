import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addExactly, roundedSum } from '../../../src/core/rules/exact-sum.ts'

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

const number = fc.oneof(
  fc.double({ min: -1e290, max: 1e290, noNaN: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.integer({ min: -1000, max: 1000 }).map((cents) => cents / 100),
  fc.constantFrom(0, 1, -1, 2 ** 53, -(2 ** 53), 2 ** -53, 2 ** -54, 5e-324, 1e16, -1e16),
)

it('is the double next to the sum of the numbers that are left, whatever came and went', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, fc.boolean()), { maxLength: 40 }), (steps) => {
      const parts: number[] = []
      for (const [one] of steps) addExactly(parts, one)
      for (const [one, stays] of steps) if (!stays) addExactly(parts, -one)
      const left = steps.filter(([, stays]) => stays).reduce((sum, [one]) => sum + exact(one), 0n)
      const sum = roundedSum(parts)
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
      const sumOf = (list: readonly number[]) => {
        const parts: number[] = []
        for (const one of list) addExactly(parts, one)
        return roundedSum(parts)
      }
      expect(sumOf([...numbers].reverse())).toBe(sumOf(numbers))
    }),
    { numRuns: 2000 },
  )
})

it('keeps nothing of a number that went', () => {
  const parts: number[] = []
  for (const one of [0.1, 1e200, 0.2, -1e200, -0.2]) addExactly(parts, one)
  expect(roundedSum(parts)).toBe(0.1)
  addExactly(parts, -0.1)
  expect(parts).toEqual([])
})
