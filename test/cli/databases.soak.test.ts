import { test } from 'vitest'
import { lockForAWhile } from '../helpers/locked-database.ts'

test.each([false, true])(
  'SQLite files that are locked for a minute are waited for: no row is lost, one line when it goes and one when it is back; remove: %s',
  (remove) => lockForAWhile(60, remove),
)
