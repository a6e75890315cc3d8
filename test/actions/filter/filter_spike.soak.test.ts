import { expect, it } from 'vitest'
import { checkSpike } from '../../helpers/naive-spike.ts'
import { seeded, seedGroups } from '../../helpers/rule-streams.ts'

it.each(seedGroups(20_000, 1000))(
  'filter_spike equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => {
    const seen = { up: 0, down: 0, resolved: 0 }
    for (const seed of seeds) checkSpike(seeded(seed), seen)
    expect(Math.min(seen.up, seen.down, seen.resolved)).toBeGreaterThan(100)
  },
)
