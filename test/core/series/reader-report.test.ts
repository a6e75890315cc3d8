// What the reader tells of rows that it does not read, and what it does when a table takes too long to be counted.
import { expect, it } from 'vitest'
import { FeedooError } from '../../../src/core/errors.ts'
import type { SeriesStore } from '../../../src/core/series/store.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { testDatabase } from './database.ts'
import { Driven } from './driven.ts'

/** A store whose tables are read, but not counted in the time that an answer may take. */
function slowToCount(store: SeriesStore): SeriesStore {
  const tooSlow = () =>
    Promise.reject(new FeedooError('INPUT_UNREADABLE', 'no answer within 60 s', { retriable: true }))
  return {
    tables: () => store.tables(),
    close: () => store.close(),
    async table(name) {
      const table = await store.table(name)
      if (table === undefined || 'problem' in table) return table
      return {
        name,
        page: (range, limit, bytes) => table.page(range, limit, bytes),
        last: () => table.last(),
        removeSpan: (span) => table.removeSpan(span),
        dropIfEmpty: () => table.dropIfEmpty(),
        count: tooSlow,
        timeless: tooSlow,
      }
    },
  }
}

it.each([{ once: true }, { once: false }])(
  'reads a table that cannot be counted in time, and says that it was not counted (once: $once)',
  async ({ once }) => {
    const database = testDatabase('CREATE TABLE a (ts, n); CREATE INDEX a_ts ON a (ts); INSERT INTO a VALUES (1, 1)')
    const { log, lines } = recordingLog()
    const driven = new Driven(() => slowToCount(database.store()), { once, log })
    driven.start()
    await driven.settle()
    expect(driven.take()).toEqual([{ ts: 1, n: 1 }])
    await driven.look()
    if (!once) await driven.stop()
    expect(driven.ended).toBe(true)
    expect(lines).toMatchObject([
      { level: 'warn', table: 'a', msg: expect.stringContaining('cannot be counted'), reason: 'no answer within 60 s' },
    ])
  },
)
