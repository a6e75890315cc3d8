import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/core/clock.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { FeedooError } from '../../../src/core/errors.ts'
import { createInsist } from '../../../src/core/series/reader-away.ts'
import { silent } from '../../helpers/run-pipeline.ts'

/** Sleeping takes no time. */
function fastClock(): Clock {
  let now = 1000
  return {
    ...systemClock,
    now: () => now,
    async sleep(seconds: number) {
      now += seconds
    },
  }
}

describe('a database that is away', () => {
  test.each([
    { longest: 30, back: 29, ends: 'back' },
    { longest: 30, back: 40, ends: 'server gone; given up after 30 s' },
    { longest: 0, back: 1, ends: 'server gone; given up after 0 s' },
    { longest: undefined, back: 100_000, ends: 'back' },
  ])('for $back s, when $longest s are waited: $ends', async ({ longest, back, ends }) => {
    const clock = fastClock()
    const began = clock.now()
    const insist = createInsist(clock, silent, new AbortController().signal, longest)
    const call = async () => {
      if (clock.now() - began >= back) return 'back'
      throw new FeedooError('INPUT_UNREADABLE', 'server gone', { retriable: true })
    }
    const ended = await insist(call).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'INPUT_UNREADABLE', retriable: false })
      return error instanceof Error ? error.message : ''
    })
    expect(ended).toBe(ends)
  })
})
