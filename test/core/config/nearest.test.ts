import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editDistance, nearest } from '../../../src/core/config/nearest.ts'

describe('nearest', () => {
  const names = [
    'output_stdout',
    'output_archive',
    'filter_flatline',
    'filter_rename',
    'match',
    'keys',
    'rate',
    'repeat',
  ]
  test.each<[string, string | undefined]>([
    ['mtach', 'match'],
    ['filter_flaline', 'filter_flatline'],
    ['stdout', 'output_stdout'],
    ['Output-Stdout', 'output_stdout'],
    ['kyes', 'keys'],
    ['matchx', 'match'],
    ['zebra', undefined],
    ['x', undefined],
  ])('%s -> %s', (written, expected) => {
    expect(nearest(written, names)).toBe(expected)
  })

  test('the distance agrees with the definition', () => {
    /** Optimal string alignment, straight from its definition. */
    const oracle = (a: string, b: string): number => {
      if (a === '' || b === '') return a.length + b.length
      const costs = [
        oracle(a.slice(1), b) + 1,
        oracle(a, b.slice(1)) + 1,
        oracle(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1),
      ]
      if (a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0]) costs.push(oracle(a.slice(2), b.slice(2)) + 1)
      return Math.min(...costs)
    }
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 })
    fc.assert(fc.property(word, word, (a, b) => editDistance(a, b) === oracle(a, b)))
  })
})
