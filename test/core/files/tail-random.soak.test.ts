// The random tests of input_file with many more seeds.
import { expect, it } from 'vitest'
import { liveOn, restartAnywhere } from './logging.ts'
import { everyLineOnce, histories } from './rotations.ts'

const seeds = Array.from({ length: 200 }, (_, i) => i + 100)

it.each(histories(100, 1000))('gives each line once and in order, scan by scan: %j', async (history) => {
  expect(await everyLineOnce(history)).toBe('')
})

it.each(seeds)('gives each line once and in order under random rotations (seed %i)', liveOn)

it.each(seeds)('goes on after restarts at any point, with rotations while it was down (seed %i)', restartAnywhere)
