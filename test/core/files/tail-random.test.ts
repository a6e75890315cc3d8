// Whatever happens to files while they are tailed, each line comes out exactly once and in order.
import { describe, it } from 'vitest'
import { liveOn, restartAnywhere } from './logging.ts'

describe('tailing', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('gives each line once and in order under random rotations (seed %i)', liveOn)

  it.each([11, 12, 13, 14])(
    'goes on after restarts at any point, with rotations while it was down (seed %i)',
    restartAnywhere,
  )
})
