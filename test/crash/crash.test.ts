import { describe, expect, test } from 'vitest'
import { crashPoints } from '../../src/core/crash-points.ts'
import { crash, type Death, expectExact, seeded, type Way } from './lab.ts'

const anyMoment = (count: number) => Array<Death>(count).fill('any')

describe('after kill -9 everything acknowledged is there once, and the alerts are those of a calm run', () => {
  test('15 times at any moment and twice at each named point, over each way in', { timeout: 300_000 }, async () => {
    // Side by side: most of the time goes into starting.
    const outcomes = await Promise.all(
      (['forward', 'file'] satisfies Way[]).map((way, i) =>
        crash({ way, deaths: [...anyMoment(15), ...crashPoints, ...crashPoints], random: seeded(15 + i) }),
      ),
    )
    for (const outcome of outcomes) expectExact(outcome)
  })
})

describe('the laboratory sees what is lost or doubled: without state_dir', () => {
  test('frames that were written and not acknowledged are there twice', { timeout: 60_000 }, async () => {
    const deaths = Array<Death>(3).fill('before_acknowledge')
    const outcome = await crash({ way: 'forward', deaths, random: seeded(3), state: false })
    expect(outcome.missing).toBe(0)
    expect(outcome.doubledInArchive).toBeGreaterThan(0)
    expect(outcome.doubledInSqlite).toBeGreaterThan(0)
    expect(outcome.alertsAsWithoutKills).toBe(false)
  })
})
