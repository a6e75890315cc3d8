import { describe, expect, it } from 'vitest'
import { cases } from '../bench/cases.ts'
import { measurePair } from '../bench/measure.ts'

/** Enough for several chunks, batches and commits. */
const lines = 20_000

describe('bench', () => {
  for (const bench of cases) {
    it(`${bench.name}: the daemon writes what the floor writes`, async () => {
      // measurePair throws when the two files differ.
      const { floor, engine } = await measurePair(bench, lines)
      expect(floor.cpu).toBeGreaterThan(0)
      expect(engine.cpu).toBeGreaterThan(0)
    })
  }
})
