import { it } from 'vitest'
import { filterChange } from '../../../src/actions/filter/filter_change.ts'
import { expectSame } from '../../helpers/naive-alerts.ts'
import { runEveryWay, seeded, seedGroups } from '../../helpers/rule-streams.ts'
import { naiveChange, randomCase } from './change-oracle.ts'

it.each(seedGroups(20_000, 1000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => {
    for (const seed of seeds) {
      const random = seeded(seed)
      const { params, steps } = randomCase(random)
      const { out } = runEveryWay(random, filterChange, { ...params, tag: 'alert' }, steps)
      expectSame(out, naiveChange(params, steps), `seed ${seed}: ${JSON.stringify(params)}`)
    }
  },
)
