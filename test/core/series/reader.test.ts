// What the reader makes of tables as they are and as they change: order, positions, late rows, removal.
import { describe, expect, it } from 'vitest'
import { recordingLog } from '../../helpers/recording-log.ts'
import { type TestDatabase, testDatabase } from './database.ts'
import { Driven, type DrivenOptions } from './driven.ts'

function reader(database: TestDatabase, options: DrivenOptions = {}, now = 1000): Driven {
  const driven = new Driven(() => database.store(), options, now)
  driven.start()
  return driven
}

function numbers(rows: Record<string, unknown>[]): unknown[] {
  return rows.map(({ n }) => n)
}

/** A table `series` of the numbers from 1 on. */
function upTo(last: number): string {
  return `WITH RECURSIVE series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < ${last})`
}

const table = 'CREATE TABLE a (ts, n); CREATE INDEX a_ts ON a (ts);'

describe('order', () => {
  it.each([
    ['a table', table, ['a 3 1', 'a 1 2', 'a 2 3'], [2, 3, 1]],
    ['two tables', `${table} CREATE TABLE b (ts, n)`, ['a 1 1', 'b 2 2', 'a 3 3', 'b 4 4'], [1, 2, 3, 4]],
    ['equal times', `${table} CREATE TABLE b (ts, n)`, ['b 1 1', 'a 1 2', 'b 1 3', 'a 1 4'], [2, 4, 1, 3]],
    ['integers and floats', table, ['a 2 1', 'a 1.5 2', 'a 2.5 3', 'a 1 4'], [4, 2, 1, 3]],
    ['an empty table', `${table} CREATE TABLE b (ts, n)`, ['b 1 1'], [1]],
    ['negative times', table, ['a -1 1', 'a -2 2', 'a 0 3'], [2, 1, 3]],
    [
      'a table without a rowid',
      'CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID',
      ['a 1 9', 'a 1 2', 'a 0 5'],
      [5, 2, 9],
    ],
    ['no table', '', [], []],
  ])('of %s is that of time', async (_what, schema, rows, expected) => {
    const database = testDatabase(schema)
    for (const row of rows) {
      const [name = '', ts, n] = row.split(' ')
      database.db.prepare(`INSERT INTO ${name} (ts, n) VALUES (?, ?)`).run(Number(ts), BigInt(n ?? 0))
    }
    const driven = reader(database, { once: true })
    await driven.settle()
    expect(numbers(driven.take())).toEqual(expected)
    expect(driven.ended).toBe(true)
  })

  it('goes through more rows of one time than a page holds', async () => {
    const database = testDatabase(table)
    database.db.exec(`${upTo(5001)} INSERT INTO a SELECT 7, value FROM series`)
    const driven = reader(database, { once: true })
    await driven.settle()
    expect(numbers(driven.take())).toEqual(Array.from({ length: 5001 }, (_, i) => i + 1))
    expect(driven.progress.at(-1)).toEqual([5001, 5001])
  })
})

it('gives the time as the timestamp, the tag, and the name of the table where it is asked for', async () => {
  const database = testDatabase(`${table} INSERT INTO a VALUES (1.5, 1)`)
  const driven = reader(database, { once: true, tagOf: (name) => `tag.${name}`, tableField: '__proto__' })
  await driven.settle()
  const [event] = driven.out
  expect([event?.tag, event?.timestamp]).toEqual(['tag.a', 1.5])
  expect(Object.entries(event?.record ?? {})).toEqual([
    ['ts', 1.5],
    ['n', 1],
    ['__proto__', 'a'],
  ])
})

describe('a reader that follows', () => {
  it('sends rows when their time has come, less the offset', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (985, 1), (990, 2), (991, 3), (2000, 4)`)
    const driven = reader(database, { offset: 10 })
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1, 2])
    database.db.exec('INSERT INTO a VALUES (990.5, 5)')
    await driven.look(5)
    expect(numbers(driven.take())).toEqual([5, 3])
    await driven.stop()
  })

  it('finds tables that appear, with all of their rows', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (500, 1)`)
    const driven = reader(database)
    await driven.settle()
    database.db.exec('CREATE TABLE b (ts, n); INSERT INTO b VALUES (100, 2), (999, 3)')
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 2, 3])
    await driven.stop()
  })

  it('goes on in a table that was dropped and made again, with other columns', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (500, 1)`)
    const driven = reader(database)
    await driven.settle()
    database.db.exec('DROP TABLE a')
    await driven.look()
    database.db.exec('CREATE TABLE a (x, ts, n); INSERT INTO a VALUES (7, 600, 2)')
    await driven.look()
    expect(driven.take()).toEqual([
      { ts: 500, n: 1 },
      { x: 7, ts: 600, n: 2 },
    ])
    await driven.stop()
  })

  it('counts rows that come too late, and says so', async () => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`${table} INSERT INTO a VALUES (900, 1)`)
    const driven = reader(database, { log })
    await driven.settle()
    database.db.exec('INSERT INTO a VALUES (800, 2), (901, 3), (899, 4)')
    await driven.look()
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 3])
    expect(driven.counts.get('late_rows')).toBe(2)
    expect(lines.filter(({ kind }) => kind === 'late_rows')).toHaveLength(1)
    await driven.stop()
  })

  it.each([
    ['from now on', { from: 'now' }, [3]],
    ['from the start', { from: 'start' }, [1, 2, 3]],
  ] as const)('begins %s', async (_how, options, expected) => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (1, 1), (999, 2)`)
    const driven = reader(database, options)
    await driven.settle()
    database.db.exec('INSERT INTO a VALUES (1000, 3)')
    await driven.look()
    expect(numbers(driven.take())).toEqual(expected)
    await driven.stop()
  })

  it.each([
    ['reload_position', true, [2, 3]],
    ['no reload_position', false, [3]],
  ])('with %s knows after a restart where to go on', async (_how, reloadPosition, expected) => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (1000, 1)`)
    const driven = reader(database, { reloadPosition, from: 'now' })
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1])
    await driven.stop()
    database.db.exec('INSERT INTO a VALUES (1005, 2), (1010, 3)')
    driven.clock.advance(10)
    driven.start()
    await driven.look()
    expect(numbers(driven.take())).toEqual(expected)
    await driven.stop()
  })

  it('goes on from the moment it began when it is killed before it has read anything', async () => {
    const database = testDatabase(table)
    const driven = reader(database, { from: 'now' })
    await driven.settle()
    driven.kill()
    database.db.exec('INSERT INTO a VALUES (1001, 1)')
    driven.clock.advance(100)
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1])
    await driven.stop()
  })
})

describe('a table that is made anew', () => {
  const rows = 'INSERT INTO a VALUES (500, 1), (510, 2), (520, 3)'

  it('is read from its first row when it was gone for a while', async () => {
    const database = testDatabase(`${table} ${rows}`)
    const driven = reader(database)
    await driven.settle()
    database.db.exec('DROP TABLE a')
    await driven.look()
    expect([...driven.positions.keys()]).toEqual([])
    database.db.exec('CREATE TABLE a (ts, n); INSERT INTO a VALUES (490, 11), (520, 12), (521, 13), (522, 14)')
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 2, 3, 11, 12, 13, 14])
    await driven.stop()
  })

  const other = 'CREATE TABLE a (ts, m, n); CREATE INDEX a_ts ON a (ts);'

  it.each([
    ['with fewer rows', other, 'INSERT INTO a (ts, n) VALUES (490, 11), (521, 12)', [11, 12]],
    ['with older rows', other, 'INSERT INTO a (ts, n) VALUES (491, 11), (492, 12), (493, 13)', [11, 12, 13]],
    ['empty', other, '', []],
    ['elsewhere in the file', `CREATE TABLE b (x); ${table}`, 'INSERT INTO a VALUES (490, 11), (521, 12)', [11, 12]],
    ['with another key', 'CREATE TABLE a (ts, n, PRIMARY KEY (n, ts)) WITHOUT ROWID;', rows, [1, 2, 3]],
    ['without a rowid', 'CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID;', 'INSERT INTO a VALUES (1, 9)', [9]],
  ])(
    '%s between two looks, or while feedoo was down, is read from its first row',
    async (_how, schema, sql, expected) => {
      for (const isDown of [false, true]) {
        const { log, lines } = recordingLog()
        const database = testDatabase(`${table} ${rows}`)
        const driven = reader(database, { log })
        await driven.settle()
        if (isDown) await driven.stop()
        driven.take()
        database.db.exec(`DROP TABLE a; ${schema} ${sql}`)
        if (isDown) driven.start()
        await driven.look()
        expect(numbers(driven.take())).toEqual(expected)
        expect(lines.filter(({ msg }) => /made anew/.test(String(msg)))).toHaveLength(1)
        database.db.exec('INSERT INTO a (ts, n) VALUES (600, 100)')
        await driven.look()
        expect(numbers(driven.take())).toEqual([100])
        await driven.stop()
      }
    },
  )

  it.each([
    ['a table beside it', 'CREATE TABLE b (ts, n)'],
    ['a new column', 'ALTER TABLE a ADD COLUMN more'],
    ['a new index', 'CREATE INDEX again ON a (n)'],
    ['VACUUM', 'VACUUM'],
    ['VACUUM after a purge', 'DELETE FROM a WHERE ts < 520; DROP INDEX a_ts; VACUUM'],
    ['a row that moves on', 'CREATE TABLE b (ts, n); UPDATE a SET ts = 2000 WHERE n = 3'],
    [
      'a last row that is replaced',
      'CREATE TABLE b (ts, n); DELETE FROM a WHERE n = 3; INSERT INTO a VALUES (2000, 3)',
    ],
    ['a table beside it, when its last row is gone', 'DELETE FROM a WHERE n = 3; CREATE TABLE b (ts, n)'],
    ['a new index, when its last row moved back', 'UPDATE a SET ts = 400 WHERE n = 3; CREATE INDEX again ON a (n)'],
    ['a new column, when its last row is gone', 'DELETE FROM a WHERE n = 3; ALTER TABLE a ADD COLUMN more'],
    [
      'VACUUM, when its last rows are gone',
      'DELETE FROM a WHERE n > 1; CREATE TABLE b (ts, n); DROP INDEX a_ts; VACUUM',
    ],
    ['a copy', 'CREATE TABLE b (ts, n); INSERT INTO b SELECT * FROM a; DROP TABLE a; ALTER TABLE b RENAME TO a'],
  ])('is not taken for one that was changed by %s', async (_what, change) => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`${table} ${rows}`)
    const driven = reader(database, { log })
    await driven.settle()
    database.db.exec(change)
    await driven.look()
    database.db.exec('INSERT INTO a (ts, n) VALUES (600, 4)')
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 2, 3, 4])
    expect(lines.filter(({ level, msg }) => level === 'warn' || /anew/.test(String(msg)))).toEqual([])
    await driven.stop()
  })

  it.each([
    ['a table beside it', 'CREATE TABLE b (ts, n)'],
    ['a new column', 'ALTER TABLE a ADD COLUMN more'],
  ])(
    'is not taken for one without a rowid that has lost its last rows and was changed by %s',
    async (_what, change) => {
      const database = testDatabase('CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID; CREATE INDEX a_ts ON a (ts)')
      database.db.exec(`${upTo(3000)} INSERT INTO a SELECT value / 5.0, value FROM series`)
      const driven = reader(database, { once: true })
      await driven.settle()
      expect(driven.take()).toHaveLength(3000)
      database.db.exec(`DELETE FROM a WHERE n > 2500; ${change}`)
      driven.start()
      await driven.settle()
      expect(driven.take()).toEqual([])
    },
  )
})

describe.each([
  ['with an index', 'CREATE INDEX a_ts ON a (ts);'],
  ['without an index', ''],
])('rows of one time, whose keys do not grow, %s', (_how, index) => {
  const keyed = `CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID; ${index}`

  it('are all read, in whatever order they come', async () => {
    const database = testDatabase(`${keyed} INSERT INTO a VALUES (900, 'm')`)
    const driven = reader(database)
    await driven.settle()
    for (const keys of [['a', 'z'], ['n', 'b'], [], ['y']]) {
      for (const key of keys) database.db.prepare('INSERT INTO a VALUES (900, ?)').run(key)
      await driven.look()
    }
    expect(numbers(driven.take())).toEqual(['m', 'a', 'z', 'b', 'n', 'y'])
    await driven.stop()
    database.db.exec("INSERT INTO a VALUES (900, 'c'), (901, 'x')")
    driven.start()
    await driven.look()
    database.db.exec("INSERT INTO a VALUES (900, 'd'), (901, 'e')")
    await driven.look()
    // The time of `d` is no longer that of the last row.
    expect(numbers(driven.take())).toEqual(['c', 'x', 'e'])
    await driven.stop()
  })

  it('are all read also when it is killed at any call in between, each once', async () => {
    for (let died = true, calls = 1; died; calls++) {
      const database = testDatabase(`${keyed} INSERT INTO a VALUES (900, 'm'), (900, 'p'), (800, 'q')`)
      const driven = reader(database, { limits: { batch: 1, page: 2 } })
      await driven.settle()
      database.db.exec("INSERT INTO a VALUES (900, 'a'), (900, 'b'), (900, 'c'), (900, 'n'), (900, 'z'), (901, 'k')")
      driven.liveFor(calls)
      await driven.look()
      died = driven.dead
      if (died) driven.start()
      await driven.look()
      expect([calls, numbers(driven.take()).sort()]).toEqual([calls, [...'abckmnpqz']])
      await driven.stop()
    }
  })

  it('are told of when they are too many to keep their keys', async () => {
    const database = testDatabase(keyed)
    database.db.exec(`${upTo(1500)} INSERT INTO a SELECT 900, value * 2 FROM series`)
    const driven = reader(database)
    await driven.settle()
    expect(driven.take()).toHaveLength(1500)
    expect(driven.counts.get('crowded_times')).toBe(1)
    expect(JSON.stringify([...driven.positions]).length).toBeLessThan(200)
    database.db.exec('INSERT INTO a VALUES (900, 1), (900, 3001), (901, 5)')
    await driven.look()
    expect(numbers(driven.take())).toEqual([3001, 5])
    await driven.stop()
  })

  it.each([
    ['with the last page', { limits: { page: 500 } }, 1],
    ['where late rows are read all the same', { limits: { page: 500 }, readsLate: true }, undefined],
    ['where rows are removed', { limits: { page: 500 }, remove: true }, undefined],
  ])('are told of, once, when they become too many %s', async (_where, options, told) => {
    const database = testDatabase(keyed)
    database.db.exec(`${upTo(1500)} INSERT INTO a SELECT 900, value * 2 FROM series`)
    const driven = reader(database, options)
    await driven.settle()
    await driven.look()
    expect(driven.counts.get('crowded_times')).toBe(told)
    await driven.stop()
  })

  it('are told of when they become too many with rows that stand before others', async () => {
    const database = testDatabase(keyed)
    database.db.exec(`${upTo(1000)} INSERT INTO a SELECT 900, value + 1000 FROM series`)
    const driven = reader(database)
    await driven.settle()
    expect(driven.counts.get('crowded_times')).toBeUndefined()
    database.db.exec('INSERT INTO a VALUES (900, 5)')
    await driven.look()
    await driven.look()
    expect(driven.take()).toHaveLength(1001)
    expect(driven.counts.get('crowded_times')).toBe(1)
    database.db.exec('INSERT INTO a VALUES (901, 6)')
    await driven.look()
    expect(driven.counts.get('crowded_times')).toBe(1)
    await driven.stop()
  })

  it('do not come twice when they become too many one by one', async () => {
    const database = testDatabase(keyed)
    database.db.exec(`${upTo(999)} INSERT INTO a SELECT 900, value + 1000 FROM series`)
    const driven = reader(database)
    await driven.settle()
    for (const n of [5, 3, 1, 4]) {
      database.db.prepare('INSERT INTO a VALUES (900, ?)').run(BigInt(n))
      await driven.look()
    }
    expect(numbers(driven.take().slice(999))).toEqual([5, 3])
    await driven.stop()
  })
})

describe('rows of the future', () => {
  it('do not keep a job that runs again from reading what has come meanwhile', async () => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`${table} INSERT INTO a VALUES (999, 1), (5000, 2), (1700000001000, 3)`)
    const driven = reader(database, { once: true, log })
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1, 2, 3])
    expect(driven.counts.get('rows_ahead')).toBe(2)
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the table a has rows whose time is in the future; times are Unix seconds, and these look like milliseconds',
    ])
    database.db.exec('INSERT INTO a VALUES (1001, 4), (6000, 5)')
    driven.clock.advance(10)
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([4, 5])
    database.db.exec('INSERT INTO a VALUES (5000, 6), (1002, 7)')
    driven.clock.advance(10_000)
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([7, 6])
    driven.start()
    await driven.settle()
    expect(driven.take()).toEqual([])
  })

  it('are read once by a job that runs again when their time has come, beside others of that time', async () => {
    const database = testDatabase(`CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID;
      INSERT INTO a VALUES (5000, 2), (5000, 4), (6000, 6)`)
    const driven = reader(database, { once: true, limits: { batch: 1, page: 10 } })
    await driven.settle()
    expect(numbers(driven.take())).toEqual([2, 4, 6])
    database.db.exec('INSERT INTO a VALUES (5000, 1), (5000, 3), (5000, 5)')
    driven.clock.advance(10_000)
    driven.start()
    await driven.untilWaiting(1)
    driven.commit(1)
    driven.kill()
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1, 3, 5])
  })

  it('are read once by a job that runs again, in a table in milliseconds too', async () => {
    const database = testDatabase(table)
    database.db.exec(`${upTo(1500)} INSERT INTO a SELECT 1700000000000 + value, value FROM series`)
    const driven = reader(database, { once: true })
    await driven.settle()
    expect(driven.take()).toHaveLength(1500)
    database.db.exec('INSERT INTO a VALUES (1700000002000, 2000)')
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([2000])
  })

  it.each([
    ['with a rowid', table],
    ['without a rowid', 'CREATE TABLE a (ts, n PRIMARY KEY) WITHOUT ROWID; CREATE INDEX a_ts ON a (ts);'],
  ])(
    'do not keep a job that runs again from what has come, however many they are, in a table %s',
    async (_how, schema) => {
      const { log, lines } = recordingLog()
      const database = testDatabase(schema)
      const insert = database.db.prepare('INSERT INTO a VALUES (?, ?)')
      let n = 0
      const add = (rows: number, first: number) => {
        for (let i = 0; i < rows; i++) insert.run(first + i, ++n)
      }
      const driven = reader(database, { once: true, log, limits: { batch: 100, page: 200 } })
      await driven.settle()
      const seen: unknown[] = []
      const run = async () => {
        driven.clock.advance(1000)
        driven.start()
        // Killed once in the middle, each time.
        await driven.work(3)
        driven.commit(2)
        driven.kill()
        driven.start()
        await driven.settle()
        seen.push(...numbers(driven.take()))
        expect([driven.failed, seen.length, new Set(seen).size]).toEqual([undefined, n, n])
        expect(JSON.stringify([...driven.positions]).length).toBeLessThan(50_000)
      }
      add(10, 900)
      add(1500, 1_700_000_000_000)
      await run()
      add(50, 1100)
      await run()
      add(50, 1_700_000_100_000)
      add(1200, 50_000)
      add(50, 2100)
      await run()
      add(700, 100_000)
      add(50, 3100)
      await run()
      await run()
      expect(driven.counts.get('rows_missed')).toBeUndefined()
      // Rows between those that are too many to be known one by one.
      insert.run(1_700_000_000_000.5, ++n)
      driven.start()
      await driven.settle()
      driven.start()
      await driven.settle()
      expect(driven.take()).toEqual([])
      expect(driven.counts.get('rows_missed')).toBe(1)
      expect(lines.filter(({ msg }) => /new rows among so many of the future/.test(String(msg)))).toHaveLength(1)
      // The time of the first ones has come.
      driven.clock.advance(51_000)
      add(1, 50_600.5)
      add(1, 52_000)
      driven.start()
      await driven.settle()
      expect(numbers(driven.take())).toEqual([n])
      expect(driven.counts.get('rows_missed')).toBe(2)
    },
  )

  it('wait for their time in a reader that follows, which says so', async () => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`${table} INSERT INTO a VALUES (1059, 1)`)
    const driven = reader(database, { log })
    await driven.settle()
    expect(lines).toEqual([])
    database.db.exec('INSERT INTO a VALUES (9000, 2), (9000, 3)')
    for (let i = 0; i < 130; i++) await driven.look()
    expect(numbers(driven.take())).toEqual([1])
    expect(lines.map(({ msg, rows }) => [msg, rows])).toEqual([
      ['the table a has rows whose time is in the future; they wait until it has come', 2],
    ])
    expect(driven.counts.get('rows_ahead')).toBe(2)
    await driven.stop()
  })
})

describe('what cannot be read', () => {
  it.each([
    ['with an index', table],
    ['without an index', 'CREATE TABLE a (ts, n);'],
  ])('is counted again in a table %s', async (_how, schema) => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`${schema} INSERT INTO a VALUES (NULL, 1), (9e999, 2), (-9e999, 3)`)
    const driven = reader(database, { log })
    await driven.settle()
    expect(driven.counts.get('rows_without_time')).toBe(3)
    database.db.exec("INSERT INTO a VALUES (NULL, 4), ('2020-01-01', 5), (1000, 6)")
    for (let i = 0; i < 130; i++) await driven.look()
    expect(driven.counts.get('rows_without_time')).toBe(5)
    expect(lines.flatMap(({ level, rows }) => (level === 'warn' ? [rows] : []))).toEqual([3, 5])
    expect(numbers(driven.take())).toEqual([6])
    await driven.stop()
  })

  it('is said once for each table, and the others are read', async () => {
    const { log, lines } = recordingLog()
    const database = testDatabase(`
      ${table} INSERT INTO a VALUES (1, 1), (NULL, 2), ('2020-01-01', 3), (x'00', 4);
      CREATE TABLE plain (n); INSERT INTO plain VALUES (5);
      CREATE TABLE words (ts TEXT, n); INSERT INTO words VALUES (6, 6);
      CREATE VIEW seen AS SELECT * FROM a;
      CREATE TABLE slow (ts, n); INSERT INTO slow VALUES (7, 7)`)
    const driven = reader(database, { log })
    await driven.settle()
    await driven.look()
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 7])
    await driven.stop()
    expect(lines.map(({ level, msg }) => `${String(level)}: ${String(msg)}`).sort()).toEqual([
      'info: the table slow: there is no index on its field ts, so that it is searched from beginning to end again and again: CREATE INDEX "slow_ts" ON "slow" ("ts")',
      'warn: the table a has rows without a time of the kind that is read; they are not read',
      'warn: the table plain is not read: it has no field ts',
      'warn: the table words is not read: its field ts is declared as text; times are numbers',
    ])
  })
})

describe('remove', () => {
  it('deletes rows only when they are safe, then drops tables it has emptied', async () => {
    const database = testDatabase(`${table} CREATE TABLE b (ts, n); CREATE TABLE c (ts, n);
      INSERT INTO a VALUES (1, 1), (5000, 2); INSERT INTO b VALUES (2, 3)`)
    const left = () => database.db.prepare('SELECT count(*) FROM a').pluck().get()
    const tables = () => database.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    expect(left()).toBe(2)
    expect(driven.waiting).toBe(1)
    await driven.settle()
    expect(left()).toBe(1)
    // An empty table that it has read nothing of may be somebody's who is about to write.
    expect(tables()).toEqual(['a', 'c'])
    expect(driven.positions.size).toBe(0)
    expect(numbers(driven.take())).toEqual([1, 3])
    await driven.stop()
  })

  it('reads rows that come late, too', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (900, 1)`)
    const driven = reader(database, { remove: true })
    await driven.settle()
    database.db.exec('CREATE TABLE a (ts, n); INSERT INTO a VALUES (800, 2), (901, 3)')
    await driven.look()
    expect(numbers(driven.take())).toEqual([1, 2, 3])
    await driven.stop()
  })

  it('finishes after a restart what was safe and not deleted, and nothing else', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (1, 1), (2, 2), (3, 3), (5000, 4)`)
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    driven.commit()
    driven.kill()
    expect(numbers(driven.take())).toEqual([1, 2, 3])
    database.db.exec('INSERT INTO a VALUES (2, 5)')
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([5])
    expect(database.db.prepare('SELECT n FROM a').pluck().all()).toEqual([4])
    await driven.stop()
  })

  it('gathers what is safe until it is enough, or has waited a tenth of a second', async () => {
    const database = testDatabase(`${table} CREATE TABLE b (ts, n)`)
    database.db.exec(`${upTo(20)} INSERT INTO a SELECT value, value FROM series; INSERT INTO b SELECT ts, 0 FROM a`)
    const left = () => database.db.prepare('SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)').pluck().get()
    const driven = reader(database, { remove: true, limits: { batch: 2, removal: 5 } })
    const counts: unknown[] = []
    for (let batches = 0; batches < 8; batches++) {
      await driven.untilWaiting(1)
      counts.push(left())
      if (batches === 4) driven.clock.advance(0.1)
      driven.commit()
    }
    // Six rows, then four, two of which have waited so long.
    expect(counts).toEqual([40, 40, 40, 34, 34, 30, 30, 30])
    await driven.settle()
    expect(database.db.prepare('SELECT name FROM sqlite_schema').all()).toEqual([])
    expect(driven.take()).toHaveLength(40)
    await driven.stop()
  })

  it('drops the tables it has emptied also when it is killed at any call in between', async () => {
    const rows = 'INSERT INTO b VALUES (0, 0); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)'
    for (let died = true, calls = 1; died; calls++) {
      const database = testDatabase(`${table} CREATE TABLE b (ts, n); CREATE TABLE c (ts, n); ${rows}`)
      const driven = reader(database, { remove: true, limits: { batch: 1, page: 1, removal: 2 } })
      driven.liveFor(calls)
      await driven.settle()
      died = driven.dead
      if (died) driven.start()
      await driven.settle()
      const tables = database.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
      expect([calls, tables, numbers(driven.take())]).toEqual([calls, ['c'], [0, 1, 2, 3, 4, 5, 6]])
      expect(driven.positions.size).toBe(0)
      await driven.stop()
    }
  })

  it('finishes after a restart in every table what can be told apart, though one of them is gone', async () => {
    const tables = ['a', 'b', 'c', 'd']
    const make = (name: string) => `CREATE TABLE ${name} (ts, n); INSERT INTO ${name} VALUES (1, 1), (2, 2);`
    const database = testDatabase(tables.map(make).join(''))
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    driven.commit()
    driven.kill()
    expect(driven.take()).toHaveLength(8)
    database.db.exec('DROP TABLE b; UPDATE c SET n = 9 WHERE n = 2')
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([9])
    expect(database.db.prepare('SELECT name FROM sqlite_schema').all()).toEqual([])
    expect(driven.positions.size).toBe(0)
    await driven.stop()
  })

  it.each([
    ['with a rowid', 'CREATE TABLE a (ts, n INTEGER PRIMARY KEY)'],
    ['without a rowid', 'CREATE TABLE a (ts, n, PRIMARY KEY (n)) WITHOUT ROWID'],
  ])('finishes after a restart all but what was changed, of a table %s that got a column', async (_how, schema) => {
    const database = testDatabase(schema)
    database.db.exec(`${upTo(1000)} INSERT INTO a SELECT value / 10, value * 7 % 1009 FROM series`)
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    expect(JSON.stringify([...driven.positions]).length).toBeLessThan(10_000)
    driven.commit()
    driven.kill()
    expect(driven.take()).toHaveLength(1000)
    database.db.exec(`DELETE FROM a WHERE n = 7; UPDATE a SET ts = ts + 0.5 WHERE n = 14;
      INSERT INTO a VALUES (50, 5000); ALTER TABLE a ADD COLUMN more DEFAULT 'x'`)
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([14, 5000])
    expect(database.db.prepare('SELECT name FROM sqlite_schema').all()).toEqual([])
    await driven.stop()
  })

  it('does not take a new row for the one it has deleted, whose rowid and time it got', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (1, 1)`)
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    driven.commit()
    driven.kill()
    // As when it was killed after the deletion, before that was saved.
    database.db.exec('DELETE FROM a; INSERT INTO a VALUES (1, 2)')
    driven.start()
    await driven.settle()
    expect(numbers(driven.take())).toEqual([1, 2])
    await driven.stop()
  })

  it('finishes what an earlier run left behind also when it is switched off', async () => {
    const database = testDatabase(`${table} INSERT INTO a VALUES (1, 1), (2, 2)`)
    const driven = reader(database, { remove: true })
    await driven.untilWaiting(1)
    driven.commit()
    driven.kill()
    database.db.exec('INSERT INTO a VALUES (3, 3)')
    const other = new Driven(() => database.store(), {}, 1000)
    other.positions = driven.positions
    other.start()
    await other.settle()
    expect(numbers(other.take())).toEqual([3])
    expect(database.db.prepare('SELECT n FROM a').pluck().all()).toEqual([3])
    await other.stop()
    expect([...other.positions.keys()]).toEqual(['table:a'])
  })
})

it('goes on after a restart in the middle of a page, and of rows of one time', async () => {
  const database = testDatabase(table)
  database.db.exec(`${upTo(40)} INSERT INTO a SELECT value / 10, value FROM series`)
  const driven = reader(database, { limits: { batch: 7, page: 5 } })
  for (let batches = 1; batches <= 3; batches++) {
    await driven.untilWaiting(batches)
    driven.commit(batches)
    driven.kill()
    driven.start()
  }
  await driven.settle()
  expect(numbers(driven.take())).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
  await driven.stop()
})

it('keeps only so much in hand as may be unsafe', async () => {
  const database = testDatabase(table)
  database.db.exec(`${upTo(100_000)} INSERT INTO a SELECT value, value FROM series`)
  const driven = reader(database, { once: true })
  await driven.untilWaiting(25)
  expect(driven.waiting).toBe(25)
  await driven.settle()
  expect(driven.take()).toHaveLength(100_000)
  expect(driven.ended).toBe(true)
})
