// Whatever happens to files between two scans or in the middle of one, each line comes out exactly once and in order.
import { expect, it } from 'vitest'
import { everyLineOnce, histories } from './rotations.ts'

it.each(histories(1, 10))('gives each line once and in order: %j', async (history) => {
  expect(await everyLineOnce(history)).toBe('')
})
