import { test } from 'vitest'
import { checkDnsbl } from '../../helpers/naive-dnsbl.ts'
import { seeded } from '../../helpers/rule-streams.ts'

test('on 20,000 random streams filter_dnsbl does what its definition says', async () => {
  for (let seed = 0; seed < 20_000; seed++) await checkDnsbl(seeded(seed))
})
