import { it } from 'vitest'
import { seeded, seedGroups } from '../../helpers/rule-streams.ts'
import { checkMatchingList } from './matching-list-oracle.ts'

it.each(seedGroups(20_000, 1000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => {
    for (const seed of seeds) checkMatchingList(seeded(seed))
  },
)
