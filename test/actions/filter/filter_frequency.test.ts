import { it } from 'vitest'
import { filterFrequency } from '../../../src/actions/filter/filter_frequency.ts'
import { expectSame } from '../../helpers/naive-alerts.ts'
import { runEveryWay, seeded } from '../../helpers/rule-streams.ts'
import { naiveFrequency, randomCase } from './frequency-oracle.ts'

it('equals its definition on 2,000 random streams, however they are cut and restarted', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const random = seeded(seed)
    const { params, steps } = randomCase(random)
    const { out } = runEveryWay(random, filterFrequency, { ...params, tag: 'alert' }, steps)
    const expected = naiveFrequency(params, steps)
    expectSame(out, expected, `seed ${seed}: ${JSON.stringify(params)}`)
  }
})
