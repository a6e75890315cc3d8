import { describe, it } from 'vitest'
import { servers } from '../helpers/rethinkdb.ts'
import { moveThere } from '../helpers/rethinkdb-move.ts'

describe.each(servers.map((server) => ({ ...server })))('$title', ({ start, skipped }) => {
  it.skipIf(skipped)('takes 200,000 rows of every type from SQLite and gives them back, row for row', async () => {
    await moveThere(await start(), 200_000)
  })
})
