import { expect, test } from 'vitest'
import { systemClock, VirtualClock } from '../../src/core/clock.ts'

test('a virtual clock stands still until it is moved', () => {
  const clock = new VirtualClock(100)
  expect(clock.now()).toBe(100)
  clock.advance(2.5)
  expect(clock.now()).toBe(102.5)
})

test('sleepers wake when their time has come, the earliest first', async () => {
  const clock = new VirtualClock()
  const woken: string[] = []
  const sleeps = [3, 1, 2].map((seconds) => clock.sleep(seconds).then(() => woken.push(`${seconds}`)))
  clock.advance(2)
  await Promise.all([sleeps[1], sleeps[2]])
  expect(woken).toEqual(['1', '2'])
  clock.advance(1)
  await sleeps[0]
  expect(woken).toEqual(['1', '2', '3'])
})

test.each([0, -1])('a sleep of %i seconds is over at once', async (seconds) => {
  await new VirtualClock().sleep(seconds)
  await systemClock.sleep(seconds)
})

test.each([
  ['virtual', () => new VirtualClock()],
  ['system', () => systemClock],
])('an abort ends a sleep without an error: %s clock', async (_, make) => {
  const before = new AbortController()
  before.abort()
  await make().sleep(3600, before.signal)
  const during = new AbortController()
  const asleep = make().sleep(3600, during.signal)
  during.abort()
  await asleep
})

test('a sleep longer than a timer can wait is not over at once', async () => {
  const stop = new AbortController()
  let over = false
  const asleep = systemClock.sleep(2 ** 31 / 1000 + 1, stop.signal).then(() => {
    over = true
  })
  // A timer that overflows fires after a millisecond, before this one.
  await systemClock.sleep(0.02)
  expect(over).toBe(false)
  stop.abort()
  await asleep
})

test('the system clock counts seconds since 1970', () => {
  const before = Date.now() / 1000
  const now = systemClock.now()
  expect(now).toBeGreaterThanOrEqual(before)
  expect(now).toBeLessThanOrEqual(Date.now() / 1000)
})
