import { it } from 'vitest'
import { filterFrequency } from '../../../src/actions/filter/filter_frequency.ts'
import { expectSame } from '../../helpers/naive-alerts.ts'
import { runEveryWay, seeded, seedGroups } from '../../helpers/rule-streams.ts'
import { naiveFrequency, randomCase } from './frequency-oracle.ts'

it.each(seedGroups(20_000, 1000))(
  'equals its definition on random streams, however they are cut and restarted: seeds from $first',
  ({ seeds }) => {
    for (const seed of seeds) {
      const random = seeded(seed)
      const { params, steps } = randomCase(random)
      const { out } = runEveryWay(random, filterFrequency, { ...params, tag: 'alert' }, steps)
      expectSame(out, naiveFrequency(params, steps), `seed ${seed}: ${JSON.stringify(params)}`)
    }
  },
)
