import { expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { followTables } from '../../../src/core/rethinkdb/follow.ts'
import { RethinkPool } from '../../../src/core/rethinkdb/pool.ts'
import { Rows } from '../../../src/core/rethinkdb/rows.ts'
import { createRethinkStore, type RethinkStore } from '../../../src/core/rethinkdb/store.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { realServer, realUrl } from '../../helpers/rethinkdb.ts'
import { silent } from '../../helpers/run-pipeline.ts'

/** With a queue that is soon full. */
class FewRows extends Rows {
  override inserted(...[r]: Parameters<Rows['inserted']>): ReturnType<Rows['inserted']> {
    return super.inserted(r, 10)
  }
}

// reqlite skips nothing.
it.skipIf(realUrl === undefined)('a feed from which the server skips changes says so, and counts them', async () => {
  const server = await realServer()
  const { ip: host, port, user, password, database } = server.params
  const pool = new RethinkPool({
    ...{ host, port, user, password, tls: undefined },
    ...{ connections: 2, connectTimeout: 20, queryTimeout: 20 },
    codes: { away: 'INPUT_UNREADABLE', refused: 'INPUT_UNREADABLE' },
  })
  await pool.run((r) => r.dbCreate(database))
  await pool.run((r) => r.db(database).tableCreate('log'))
  const { signal } = new AbortController()
  const wait = { clock: systemClock, signal }
  const made = createRethinkStore({
    pool,
    database,
    timeKey: 'ts',
    createIndex: true,
    mustExist: true,
    wait,
    log: silent,
  })
  const store: RethinkStore = {
    ...made,
    async table(name) {
      const table = await made.table(name)
      if (table === undefined || 'problem' in table) return table
      return { ...table, rows: new FewRows({ pool, database, table: name, timeKey: 'ts' }) }
    },
  }
  const { lines, log } = recordingLog()
  let skipped = 0
  const count = (_: string, changes: number) => {
    skipped += changes
  }
  const following = followTables({ store, pool, context: { clock: systemClock, log, count }, remove: false })
  onTestFinished(() => following.store.close())
  const table = await following.store.table('log')
  if (table === undefined || 'problem' in table) throw new Error('there is no table')
  await table.page({ from: 0, until: 1e9 }, 100, 1e6)
  const rows = Array.from({ length: 5000 }, (_, id) => ({ id, ts: id }))
  await pool.run((r) => r.db(database).table('log').insert(rows))
  while (skipped === 0) await new Promise(setImmediate)
  expect(skipped).toBeGreaterThan(1)
  expect(lines).toMatchObject([{ level: 'warn', table: 'log', kind: 'skipped_changes' }])
})
