// What SQLite holds, as the time-series reader gets it: values, names, layouts, and a file that is away.
import { renameSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import type { Range, SeriesTable, Taken } from '../../../src/core/series/store.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { type TestDatabase, testDatabase } from '../series/database.ts'
import { Driven } from '../series/driven.ts'

const everything: Range = { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }

async function open(database: TestDatabase, name: string, timeKey = 'ts'): Promise<SeriesTable> {
  const table = await database.store({ timeKey }).table(name)
  if (table === undefined || 'problem' in table) throw new Error(table?.problem ?? 'no such table')
  return table
}

async function records(table: SeriesTable): Promise<readonly unknown[]> {
  return (await table.page(everything, 100, 1e9)).records
}

describe('values', () => {
  it.each([
    ['null', 'NULL', null],
    ['an integer', '42', 42],
    ['the largest safe integer', '9007199254740991', 9007199254740991],
    ['a larger integer', '9007199254740993', 9007199254740993n],
    ['the largest integer', '9223372036854775807', 9223372036854775807n],
    ['the smallest integer', '-9223372036854775808', -9223372036854775808n],
    ['a float', '1.25', 1.25],
    ['a large float', '1e300', 1e300],
    ['text', "'héllo 😀'", 'héllo 😀'],
    ['bytes', "x'00ff'", Buffer.from([0, 255])],
  ])('of %s stay what they are', async (_what, sql, value) => {
    const database = testDatabase(`CREATE TABLE t (ts, v); INSERT INTO t VALUES (1, ${sql})`)
    const [record] = await records(await open(database, 't'))
    expect(record).toEqual({ ts: 1, v: value })
  })

  it('of times and rowids beyond 2^53 are told apart, and removed exactly', async () => {
    const big = 9223372036854775000n
    const database = testDatabase('CREATE TABLE t (ts, n); CREATE INDEX i ON t (ts)')
    const insert = database.db.prepare('INSERT INTO t (rowid, ts, n) VALUES (?, ?, ?)')
    for (let i = 0n; i < 6n; i++) insert.run(big + i, big + i / 2n, i)
    const driven = new Driven(() => database.store(), { remove: true, once: true, limits: { batch: 1, page: 1 } }, 1000)
    driven.start()
    await driven.untilWaiting(4)
    driven.commit(3)
    driven.kill()
    expect(driven.take().map(({ n }) => n)).toEqual([0, 1, 2])
    driven.start()
    await driven.settle()
    expect(driven.take().map(({ n }) => n)).toEqual([3, 4, 5])
    expect(database.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()).toEqual([])
  })

  it('of big rows make short pages', async () => {
    const database = testDatabase('CREATE TABLE t (ts, v); CREATE INDEX i ON t (ts)')
    const insert = database.db.prepare('INSERT INTO t VALUES (?, ?)')
    for (let i = 0; i < 200; i++) insert.run(i, Buffer.alloc(100_000))
    const table = await open(database, 't')
    const first = await table.page(everything, 2000, 1_000_000)
    const second = await table.page({ ...everything, after: first.cursor(first.times.length - 1) }, 2000, 1_000_000)
    expect(second.times.length).toBeLessThan(11)
    expect(second.more).toBe(true)
  })
})

describe('names', () => {
  it.each([`a-b`, `select`, `x"; DROP TABLE y;--`, `../z`, `'`, `[a]`, ' ', 'été', '%_*?'])(
    'of tables and columns may be %j',
    async (name) => {
      const quoted = `"${name.replaceAll('"', '""')}"`
      const database = testDatabase(`
        CREATE TABLE y (n); CREATE TABLE ${quoted} (${quoted}, n); CREATE INDEX i ON ${quoted} (${quoted});
        INSERT INTO ${quoted} VALUES (1, 1), (2, 2)`)
      const driven = new Driven(() => database.store({ timeKey: name }), { remove: true, once: true })
      driven.start()
      await driven.settle()
      expect(driven.failed).toBeUndefined()
      expect(driven.take()).toEqual([
        { [name]: 1, n: 1 },
        { [name]: 2, n: 2 },
      ])
      expect(database.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()).toEqual(['y'])
    },
  )

  it.each([
    ['__proto__', 'CREATE TABLE t (ts, "__proto__")'],
    ['rowid', 'CREATE TABLE t (ts, rowid)'],
    ['oid', 'CREATE TABLE t (ts, oid, rowid)'],
    ['rowid', 'CREATE TABLE t (ts, rowid INTEGER PRIMARY KEY)'],
    ['v', 'CREATE TABLE t (ts, _rowid_ AS (ts + 1), v)'],
  ])('of a column may be %s in %s', async (name, sql) => {
    const database = testDatabase(`${sql}; INSERT INTO t (ts, ${name}) VALUES (1, 7)`)
    const [record] = await records(await open(database, 't'))
    expect(Object.entries(record ?? {}).find(([key]) => key === name)).toEqual([name, 7])
  })

  it('of the time field is found as SQLite finds it', async () => {
    const database = testDatabase('CREATE TABLE t (TS, n); INSERT INTO t VALUES (1, 2)')
    expect(await records(await open(database, 't'))).toEqual([{ TS: 1, n: 2 }])
  })
})

describe('an index', () => {
  it.each([
    ['on the field', 'CREATE TABLE t (ts, n); CREATE INDEX i ON t (ts)', true],
    ['that begins with the field', 'CREATE TABLE t (ts, n); CREATE INDEX i ON t (ts DESC, n)', true],
    ['that ends with the field', 'CREATE TABLE t (ts, n); CREATE INDEX i ON t (n, ts)', false],
    ['of some rows', 'CREATE TABLE t (ts, n); CREATE INDEX i ON t (ts) WHERE n > 1', false],
    ['that is the rowid', 'CREATE TABLE t (ts INTEGER PRIMARY KEY)', true],
    ['that is the table', 'CREATE TABLE t (ts, n, PRIMARY KEY (ts, n)) WITHOUT ROWID', true],
  ])('%s is known for what it is', async (_what, sql, found) => {
    const table = await open(testDatabase(sql), 't')
    expect(table.advice === undefined).toBe(found)
  })
})

it.each([
  ['with an index', 'CREATE INDEX i ON t (ts);'],
  ['without an index', ''],
])(
  'a table %s is read to its end when somebody else removes more rows than are looked up at once',
  async (_how, index) => {
    const database = testDatabase(`CREATE TABLE t (ts, n); ${index}
    WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 90) INSERT INTO t SELECT n, n FROM series`)
    const driven = new Driven(() => database.store(), { once: true, limits: { batch: 1, page: 2 } })
    driven.start()
    await driven.untilWaiting(4)
    database.db.exec('DELETE FROM t WHERE n < 70')
    await driven.settle()
    expect(driven.ended).toBe(true)
    expect(driven.take().map(({ n }) => n)).toEqual(
      expect.arrayContaining(Array.from({ length: 21 }, (_, i) => 70 + i)),
    )
  },
)

describe('removal', () => {
  const rowsOf = (name: string) => `INSERT INTO ${name} VALUES (1, 1), (1, 2), (2, 3)`
  const rows = rowsOf('t')

  it.each([
    ['that came in their place', 'DELETE FROM t; INSERT INTO t VALUES (1, 91), (1, 2), (2, 93), (2, 94)', [91, 93, 94]],
    ['that were changed', 'UPDATE t SET n = 90 WHERE n = 2', [90]],
    ['whose time was changed', 'UPDATE t SET ts = 5 WHERE n = 2', [2]],
    ['that came beside them', 'INSERT INTO t VALUES (1, 4)', [4]],
    ['in a table with a new column', "ALTER TABLE t ADD COLUMN v DEFAULT 'x'; UPDATE t SET n = 90 WHERE n = 2", [90]],
    [
      'in a table with another column',
      'ALTER TABLE t RENAME COLUMN n TO m; ALTER TABLE t ADD COLUMN n',
      [null, null, null],
    ],
    ['of a table made anew', 'DROP TABLE t; CREATE TABLE t (ts, m, n); INSERT INTO t VALUES (1, 1, 1)', [1]],
  ])('of rows that were read spares those %s meanwhile', async (_which, change, left) => {
    const database = testDatabase(`CREATE TABLE t (ts, n); ${rows}`)
    const table = await open(database, 't')
    const taken = (await table.page(everything, 100, 1e6)).take(0, 3)
    database.db.exec(change)
    await taken.remove()
    expect(database.db.prepare('SELECT n FROM t ORDER BY n').pluck().all()).toEqual(left)
  })

  it.each([
    ['a rowid', 'CREATE TABLE t (ts, n)'],
    ['a column for its rowid', 'CREATE TABLE t (ts, n, rowid)'],
    ['an integer key', 'CREATE TABLE t (n INTEGER PRIMARY KEY, ts)'],
    ['another key', 'CREATE TABLE t (ts, n TEXT PRIMARY KEY) WITHOUT ROWID'],
  ])('removes of a table with %s the rows that were read, and no others that stand between them', async (_, sql) => {
    const database = testDatabase(sql)
    // Some are not read: they have no time, or come after the last one of the page.
    const big = 2n ** 60n
    const times = [5, null, 3, 4, 9, 1, 2, 8]
    const insert = database.db.prepare('INSERT INTO t (ts, n) VALUES (?, ?)')
    const isRowid = /INTEGER/.test(sql)
    times.forEach((ts, i) => void insert.run(ts, isRowid ? big + BigInt(i) : `k${i}`))
    const table = await open(database, 't')
    const page = await table.page({ from: Number.NEGATIVE_INFINITY, until: 5 }, 100, 1e6)
    expect(page.times).toEqual([1, 2, 3, 4, 5])
    const taken = page.take(0, 4)
    await taken.remove()
    expect(database.db.prepare('SELECT ts FROM t ORDER BY ts').pluck().all()).toEqual([null, 5, 8, 9])
    await page.take(4, 5).remove()
    await taken.remove()
    expect(database.db.prepare('SELECT ts FROM t ORDER BY ts').pluck().all()).toEqual([null, 8, 9])
  })

  it('of rows of many tables is all or nothing, and spares in each what was changed or is gone', async () => {
    const database = testDatabase(
      ['a', 'b', 'c'].map((name) => `CREATE TABLE ${name} (ts, n); ${rowsOf(name)}`).join(';'),
    )
    const store = database.store()
    const taken: Taken[] = []
    for (const name of ['a', 'b', 'c']) {
      const table = await store.table(name)
      if (table === undefined || 'problem' in table) throw new Error('it is there')
      taken.push((await table.page(everything, 100, 1e6)).take(0, 3))
    }
    const left = (name: string) => database.db.prepare(`SELECT n FROM ${name} ORDER BY n`).pluck().all()
    database.db.exec(`UPDATE a SET n = 9 WHERE n = 2; DROP TABLE c;
      CREATE TRIGGER keep BEFORE DELETE ON b BEGIN SELECT RAISE(ABORT, 'not now'); END`)
    await expect(store.removeAll?.(taken)).rejects.toThrow('not now')
    expect([left('a'), left('b')]).toEqual([
      [1, 3, 9],
      [1, 2, 3],
    ])
    database.db.exec('DROP TRIGGER keep')
    await store.removeAll?.(taken)
    expect([left('a'), left('b')]).toEqual([[9], []])
  })

  it('of rows that were read spares those of a table that has another kind of key now', async () => {
    const database = testDatabase(`CREATE TABLE t (ts, n); ${rows}`)
    const table = await open(database, 't')
    const taken = (await table.page(everything, 100, 1e6)).take(0, 3)
    database.db.exec(`DROP TABLE t; CREATE TABLE t (ts, n, PRIMARY KEY (ts, n)) WITHOUT ROWID; ${rows}`)
    await taken.remove()
    expect(database.db.prepare('SELECT n FROM t ORDER BY n').pluck().all()).toEqual([1, 2, 3])
  })

  it('of rows that were read spares equal ones of a file that took the place of theirs', async () => {
    const database = testDatabase(`CREATE TABLE t (ts, n); ${rows}`)
    const store = database.store()
    const table = await store.table('t')
    if (table === undefined || 'problem' in table) throw new Error('it is there')
    const taken = (await table.page(everything, 100, 1e6)).take(0, 3)
    const other = new Sqlite(`${database.path}.new`)
    other.exec(`CREATE TABLE t (ts, n); ${rows}`)
    renameSync(`${database.path}.new`, database.path)
    await store.tables()
    await taken.remove()
    expect(other.prepare('SELECT n FROM t').pluck().all()).toEqual([1, 2, 3])
    other.close()
  })
})

describe('a file', () => {
  it('that is locked or gone for a while is waited for, with one line when it goes and one when it is back', async () => {
    const { log, lines } = recordingLog()
    const database = testDatabase('CREATE TABLE t (ts, n); CREATE INDEX i ON t (ts); INSERT INTO t VALUES (1, 1)')
    const driven = new Driven(() => database.store(), { log }, 1000)
    driven.start()
    await driven.settle()
    const away = async () => {
      for (let i = 0; i < 10; i++) await driven.look(1)
    }
    database.db.exec('BEGIN EXCLUSIVE; INSERT INTO t VALUES (2, 2)')
    await away()
    database.db.exec('COMMIT')
    await away()
    database.db.close()
    renameSync(database.path, `${database.path}.away`)
    await away()
    renameSync(`${database.path}.away`, database.path)
    const again = new Sqlite(database.path)
    again.exec('INSERT INTO t VALUES (3, 3)')
    await away()
    again.close()
    expect(driven.take().map(({ n }) => n)).toEqual([1, 2, 3])
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the database cannot be read; feedoo tries until it can',
      'the database is back',
      'the database cannot be read; feedoo tries until it can',
      'the database is back',
    ])
    await driven.stop()
  })

  it.each([
    ['another one', 'INSERT INTO t VALUES (900, 11), (901, 12)', [11, 12]],
    ['a copy', 'INSERT INTO t VALUES (998, 1), (999, 2), (1000, 3)', [3]],
  ])('whose place %s takes is read for what it is', async (_what, sql, expected) => {
    const database = testDatabase('CREATE TABLE t (ts, n); INSERT INTO t VALUES (998, 1), (998.5, 10), (999, 2)')
    const driven = new Driven(() => database.store(), {}, 1000)
    driven.start()
    await driven.settle()
    expect(driven.take()).toHaveLength(3)
    const other = new Sqlite(`${database.path}.new`)
    other.exec(`CREATE TABLE t (ts, n); ${sql}`)
    other.close()
    renameSync(`${database.path}.new`, database.path)
    await driven.look()
    expect(driven.take().map(({ n }) => n)).toEqual(expected)
    await driven.stop()
  })

  it('that was never there ends a finite job', async () => {
    const database = testDatabase()
    renameSync(database.path, `${database.path}.away`)
    const driven = new Driven(() => database.store({ mustExist: true }), { once: true }, 1000)
    driven.start()
    await driven.settle()
    expect(driven.failed).toMatchObject({
      code: 'INPUT_UNREADABLE',
      message: `${database.path}: there is no such file`,
    })
  })

  it('is opened for reading only when nothing is to be removed', async () => {
    const database = testDatabase('CREATE TABLE t (ts, n); INSERT INTO t VALUES (1, 1)')
    const table = await database.store({ readonly: true }).table('t')
    if (table === undefined || 'problem' in table) throw new Error('it is there')
    const page = await table.page(everything, 10, 1e6)
    expect(() => page.take(0, 1)).toThrow(TypeError)
    expect(database.db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(1)
  })
})
