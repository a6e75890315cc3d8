// As in databases-away.test.ts, for a whole minute.
import { describe, test } from 'vitest'
import { goAway, uses, ways } from '../helpers/rethinkdb-away.ts'

describe.each(ways)(
  'a RethinkDB that is %s for a minute is waited for: one line when it goes and one when it is back',
  (way) => {
    test.each(uses)('by the %s', (use) => goAway(use, way, 60))
  },
)
