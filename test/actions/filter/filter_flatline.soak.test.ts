import { test } from 'vitest'
import { checkFlatline } from '../../helpers/naive-flatline.ts'
import { seeded } from '../../helpers/rule-streams.ts'

test('on 20,000 random streams filter_flatline does what its definition says', () => {
  for (let seed = 0; seed < 20_000; seed++) checkFlatline(seeded(seed))
})
