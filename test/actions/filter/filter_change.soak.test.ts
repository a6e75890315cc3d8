import { it } from 'vitest'
import { seedGroups } from '../../helpers/rule-streams.ts'
import { checkChange } from './change-oracle.ts'

it.each(seedGroups(20_000, 1000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => checkChange(seeds),
)
