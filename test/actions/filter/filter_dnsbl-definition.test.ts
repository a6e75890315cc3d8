import { test } from 'vitest'
import { checkDnsbl } from '../../helpers/naive-dnsbl.ts'
import { seeded } from '../../helpers/rule-streams.ts'

test('on 2,000 random streams, cut and restarted anywhere, it does what its definition says', async () => {
  for (let seed = 0; seed < 2000; seed++) await checkDnsbl(seeded(seed))
})
