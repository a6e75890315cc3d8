// Damaged requests are refused one way only: by a ProtocolError, at once.
import { expect, it } from 'vitest'
import { readMutations } from './mutation.ts'

it('20,000 mutated requests neither crash nor hang the reader', () => {
  const { taken, waiting, refused, slowestMs } = readMutations(20_000, 1)
  const refusals = [...refused.values()].reduce((sum, count) => sum + count, 0)
  expect(taken + waiting + refusals).toBe(20_000)
  // The mutations reach every part: none of the outcomes is rare.
  expect(taken).toBeGreaterThan(1000)
  expect(refusals).toBeGreaterThan(1000)
  for (const code of ['bad_type', 'bad_ext', 'bad_entry', 'bad_compression', 'truncated', 'too_large', 'bad_tag']) {
    expect(refused.get(code) ?? 0, code).toBeGreaterThan(20)
  }
  expect(slowestMs).toBeLessThan(5000)
})
