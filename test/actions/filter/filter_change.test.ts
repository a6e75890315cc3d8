import { it } from 'vitest'
import { filterChange } from '../../../src/actions/filter/filter_change.ts'
import { expectSame } from '../../helpers/naive-alerts.ts'
import { runEveryWay, seeded } from '../../helpers/rule-streams.ts'
import { naiveChange, randomCase } from './change-oracle.ts'

it('equals its definition on 2,000 random streams, however they are cut and restarted', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const random = seeded(seed)
    const { params, steps } = randomCase(random)
    const { out } = runEveryWay(random, filterChange, { ...params, tag: 'alert' }, steps)
    expectSame(out, naiveChange(params, steps), `seed ${seed}: ${JSON.stringify(params)}`)
  }
})
