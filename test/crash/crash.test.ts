import { describe, test } from 'vitest'
import { crash, expectExact, type Way } from './lab.ts'

/** A small generator of numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe('after kill -9 at random moments everything acknowledged is there once, and the alerts are those of a calm run', () => {
  test.each<[Way, number]>([
    ['forward', 15],
    ['file', 15],
  ])(
    'over %s, %i times',
    async (way, count) => {
      expectExact(await crash(way, { count }, seeded(count)))
    },
    300_000,
  )
})
