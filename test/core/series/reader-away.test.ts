import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/core/clock.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { FeedooError } from '../../../src/core/errors.ts'
import { createInsist, Stopped } from '../../../src/core/series/reader-away.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
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

  test.each([
    { patience: undefined, back: 0.4, lines: [] },
    { patience: undefined, back: 3, lines: ['warn', 'info'] },
    { patience: 30, back: 29, lines: [] },
    { patience: 30, back: 40, lines: ['warn', 'info'] },
  ])('for $back s at start is told in $lines, when it may take $patience s', async ({ patience, back, lines }) => {
    const clock = fastClock()
    const began = clock.now()
    const recording = recordingLog()
    const insist = createInsist(clock, recording.log, new AbortController().signal, undefined, patience)
    const away = (until: number) =>
      insist(async () => {
        if (clock.now() - began >= until) return
        const cause = new Error('the socket')
        throw new FeedooError('INPUT_UNREADABLE', 'server gone: the socket', { retriable: true, cause })
      })
    await away(back)
    expect(recording.lines.map(({ level }) => level)).toEqual(lines)
    // Once it has answered it is missed sooner.
    await away(back + 5)
    expect(recording.lines.slice(lines.length)).toMatchObject([
      { level: 'warn', code: 'INPUT_UNREADABLE', reason: 'server gone: the socket' },
      { level: 'info', msg: 'the database is back' },
    ])
    expect(recording.lines.some((line) => 'err' in line)).toBe(false)
  })

  test('and says nothing does not hold up the end', async () => {
    const stopping = new AbortController()
    const insist = createInsist(fastClock(), silent, stopping.signal)
    const ended = expect(insist(() => new Promise<void>(() => {}))).rejects.toThrow(Stopped)
    stopping.abort()
    await ended
    // What is tidied up then is waited for.
    expect(await insist(async () => 'done')).toBe('done')
  })
})
