// A RethinkDB (reqlite) that goes away and comes back under a pipeline: nothing is lost, nothing is started again.
import { describe, test } from 'vitest'
import { goAway, uses, ways } from '../helpers/rethinkdb-away.ts'

describe.each(ways)(
  'a RethinkDB that is %s for a while is waited for: one line when it goes and one when it is back',
  (way) => {
    // Until it is missed.
    test.each(uses)('by the %s', (use) => goAway(use, way, 0))
  },
)
