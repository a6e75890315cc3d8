import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import pino from 'pino'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Json, Marks, Position } from '../../../src/core/action.ts'
import { SqliteWriter } from '../../../src/core/sqlite/writer.ts'
import type { PipelineState } from '../../../src/core/state/pipeline-state.ts'
import { input } from '../../helpers/actions.ts'
import { deadLettersOf } from '../../helpers/dead-letters.ts'
import { hostileNames, hostileRecord, nested } from '../../helpers/hostile.ts'
import { type ActionMap, makePipeline, send, silent } from '../../helpers/run-pipeline.ts'
import { mountSmallDisk } from '../../helpers/small-disk.ts'

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-sqlite-'))
  file = join(folder, 'a.sqlite')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** 2023-10-05 12:34:56 UTC. */
const noon = 1696509296

const event = (record: Record<string, unknown>, timestamp = noon) => ({ tag: 't', timestamp, record })
const sqlite = (table: string, params: Record<string, unknown> = {}): ActionMap => ({
  name: 'output_sqlite',
  filename: file,
  table,
  retry_delay: 0.001,
  retry_max_delay: 0.01,
  ...params,
})
const quote = (name: string) => `"${name.replaceAll('"', '""')}"`

/** What `use` gives of the file, opened anew. */
function inFile<Result>(use: (db: Database.Database) => Result): Result {
  const db = new Database(file)
  try {
    return use(db)
  } finally {
    db.close()
  }
}

const tableNames = () =>
  inFile((db) => db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all())
const rowsOf = (table: string, columns = '*') =>
  inFile((db) => db.prepare(`SELECT ${columns} FROM ${quote(table)} ORDER BY rowid`).all())

describe('a value keeps its type:', () => {
  test.each([
    ['null', null, 'null', null],
    ['true', true, 'integer', 1n],
    ['false', false, 'integer', 0n],
    ['an integer', 42, 'integer', 42n],
    ['a negative integer', -42, 'integer', -42n],
    ['2^53 - 1', Number.MAX_SAFE_INTEGER, 'integer', 9007199254740991n],
    ['the largest bigint', 2n ** 63n - 1n, 'integer', 2n ** 63n - 1n],
    ['the smallest bigint', -(2n ** 63n), 'integer', -(2n ** 63n)],
    ['a bigint beyond 64 bits', 2n ** 64n, 'text', '18446744073709551616'],
    ['a float', 1.5, 'real', 1.5],
    ['a huge float', 1e300, 'real', 1e300],
    ['minus zero', -0, 'real', -0],
    ['infinity', Number.POSITIVE_INFINITY, 'real', Number.POSITIVE_INFINITY],
    ['no number', Number.NaN, 'null', null],
    ['text', 'h\u00e9llo \u{1f600}', 'text', 'h\u00e9llo \u{1f600}'],
    ['text that looks like a number', '007', 'text', '007'],
    ['text with a NUL', 'a\0b', 'text', 'a\0b'],
    ['empty text', '', 'text', ''],
    ['a map', { a: [1, { b: null }] }, 'text', '{"a":[1,{"b":null}]}'],
    ['a list', [1, 2n ** 60n], 'text', '[1,1152921504606846976]'],
    ['bytes', Buffer.from([0, 255, 1]), 'blob', Buffer.from([0, 255, 1])],
    ['a whole date', new Date(5000), 'integer', 5n],
    ['a date', new Date(5250), 'real', 5.25],
  ])('%s', async (_, value, type, stored) => {
    // The text before it would have turned a column with a type to text.
    await send([sqlite('t')], [event({ v: 'first' }), event({ v: value })])
    const row = inFile((db) => db.prepare('SELECT typeof(v) type, v FROM t LIMIT 1 OFFSET 1').safeIntegers().get())
    expect(row).toEqual({ type, v: stored })
  })
})

test('any plain record comes back as it was', async () => {
  const scalar = fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
  const record = fc.dictionary(fc.stringMatching(/^[a-f]$/), scalar, { minKeys: 1 })
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 60 }), async (records) => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
      await send(
        [sqlite('t')],
        records.map((record) => event(record)),
      )
      const rows = inFile((db) => db.prepare('SELECT * FROM t ORDER BY rowid').safeIntegers().all())
      const whole = (value: unknown) =>
        typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
      const all = new Set(records.flatMap((record) => Object.keys(record)))
      const expected = records.map((record) =>
        Object.fromEntries([
          ['timestamp', BigInt(noon)],
          ...[...all].map((key) => [key, Object.hasOwn(record, key) ? whole(record[key]) : null]),
        ]),
      )
      expect(rows).toEqual(expected)
    }),
    { numRuns: 20 },
  )
})

describe('the table', () => {
  test('is named by the template, whatever the values, and nothing else is touched', async () => {
    inFile((db) => db.exec('CREATE TABLE y (v); INSERT INTO y VALUES (1)'))
    const sources = ['a-b', 'select', 'x"; DROP TABLE y;--', '../z']
    await send(
      [sqlite('log_{source}')],
      sources.map((source) => event({ source })),
    )
    expect(tableNames()).toEqual([...sources.map((source) => `log_${source}`), 'y'].sort())
    for (const source of sources) expect(rowsOf(`log_${source}`)).toEqual([{ source, timestamp: noon }])
    expect(rowsOf('y')).toEqual([{ v: 1 }])
  })

  test.each([
    ['sqlite_schema', '_sqlite_schema'],
    ['SQLite_x', '_SQLite_x'],
    ['_feedoo_commits', '__feedoo_commits'],
    ['a\0b', 'a_b'],
    ['', '_'],
    ['é'.repeat(300), 'é'.repeat(119)],
  ])('%j is named %j', async (v, name) => {
    await send([sqlite('{v}', { fields: ['v'] })], [event({ v })])
    expect(tableNames()).toEqual([name])
  })

  test('is one for names that differ in case only', async () => {
    await send([sqlite('{v}')], [event({ v: 'Log' }), event({ v: 'log' }), event({ v: 'LOG', more: 1 })])
    expect(tableNames()).toEqual(['Log'])
    expect(rowsOf('Log', 'v, more')).toEqual([
      { v: 'Log', more: null },
      { v: 'log', more: null },
      { v: 'LOG', more: 1 },
    ])
  })

  test('is chosen by the time in the field', async () => {
    const records = [{ t: noon }, { t: '2020-01-02 03:04:05' }, { t: 1577934245.5 }]
    await send(
      [sqlite('d_%Y', { time_key: 't' })],
      records.map((record) => event(record, 0)),
    )
    expect(rowsOf('d_2023')).toEqual([{ t: noon }])
    expect(rowsOf('d_2020')).toEqual([{ t: '2020-01-02 03:04:05' }, { t: 1577934245.5 }])
  })

  test('holds any text for a name, and a row for each event', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('"', '""', '[', '`', "'", ';--', 'table', 'é'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 20 }), async (pairs) => {
        for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
        const { letters, options } = await deadLettersOf()
        const events = pairs.map(([v, key], n) =>
          event(
            Object.fromEntries([
              ['n', n],
              ['v', v],
              [`k${key}`, n],
            ]),
          ),
        )
        await send([sqlite('{v}')], events, options)
        expect(await letters()).toEqual([])
        const rows = tableNames().flatMap((name) => rowsOf(String(name)) as { n: number }[])
        expect(rows.map(({ n }) => n).sort((a, b) => a - b)).toEqual(pairs.map((_, n) => n))
      }),
      { numRuns: 30 },
    )
  })
})

describe('columns', () => {
  test('appear as fields do', async () => {
    const records = [{ a: 1 }, { a: 2, b: 'x' }, { b: 'y', a: 3 }, {}, JSON.parse('{"__proto__":5}')]
    await send(
      [sqlite('t')],
      records.map((record) => event(record)),
    )
    // By lists: better-sqlite3 takes a column of that name for the prototype of the row.
    const rows = inFile((db) => db.prepare('SELECT a, b, "__proto__", timestamp FROM t').raw().all())
    expect(rows).toEqual([
      [1, null, null, noon],
      [2, 'x', null, noon],
      [3, 'y', null, noon],
      [null, null, null, noon],
      [null, null, 5, noon],
    ])
  })

  test('that SQLite cannot tell apart lose nothing', async () => {
    await send([sqlite('t')], [event({ User: 1 }), event({ user: 2 }), event({ user: 3, USER: 4, user_2: 5 })])
    expect(rowsOf('t', 'User, USER_2, user_2_2')).toEqual([
      { User: 1, USER_2: null, user_2_2: null },
      { User: 2, USER_2: null, user_2_2: null },
      { User: 3, USER_2: 4, user_2_2: 5 },
    ])
  })

  test('may have any name', async () => {
    const record = { '': 1, 'a"b': 2, select: 3, 'a\0b': 4, rowid: 5, oid: 6, _rowid_: 7, "'; --": 8 }
    await send([sqlite('t')], [event(record)])
    expect(rowsOf('t')).toEqual([
      { '': 1, 'a"b': 2, select: 3, a_b: 4, rowid: 5, oid: 6, _rowid__2: 7, "'; --": 8, timestamp: noon },
    ])
  })

  test('are bounded: a record that would need more goes to the dead letters', async () => {
    const { letters, options } = await deadLettersOf()
    const wide = (from: number, to: number) =>
      Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`k${from + i}`, 1]))
    const records = [wide(0, 5), wide(0, 100_000), wide(5, 9), wide(9, 10), wide(3, 9)]
    await send(
      [sqlite('t', { max_columns: 10 })],
      records.map((record) => event(record)),
      options,
    )
    expect(rowsOf('t')).toHaveLength(3)
    expect((await letters()).map(({ code, reason }) => [code, reason])).toEqual([
      ['OUTPUT_REJECTED', 'the table would have more than max_columns (10) columns'],
      ['OUTPUT_REJECTED', 'the table would have more than max_columns (10) columns'],
    ])
  })

  test('are those of `fields`, and the time', async () => {
    const { letters, options } = await deadLettersOf()
    const records = [{ a: 1, b: { c: 'x' }, d: 9 }, { a: 1 }, { a: null, b: { c: null } }, { b: { c: 2 } }]
    await send(
      [sqlite('t', { fields: ['b.c', 'a'] })],
      records.map((record) => event(record)),
      options,
    )
    expect(rowsOf('t')).toEqual([
      { 'b.c': 'x', a: 1, timestamp: noon },
      { 'b.c': null, a: null, timestamp: noon },
    ])
    expect((await letters()).map(({ code, record }) => [code, record])).toEqual([
      ['FIELD_MISSING', records[1]],
      ['FIELD_MISSING', records[3]],
    ])
  })

  test('have an index on the time', async () => {
    await send([sqlite('t', { time_key: 'at.s', fields: ['a'] })], [event({ a: 1, at: { s: 5.5 } })])
    expect(rowsOf('t')).toEqual([{ a: 1, 'at.s': 5.5 }])
    const plan = inFile((db) => db.prepare('EXPLAIN QUERY PLAN SELECT * FROM t WHERE "at.s" > 1').all())
    expect(JSON.stringify(plan)).toContain('USING INDEX _feedoo_time_t')
  })

  test('a field named as the time column is written as the record has it', async () => {
    await send([sqlite('t')], [event({ timestamp: 'x' }), event({ a: 1 })])
    expect(rowsOf('t')).toEqual([
      { timestamp: 'x', a: null },
      { timestamp: noon, a: 1 },
    ])
  })
})

describe('a row alone goes to the dead letters', () => {
  test('when it cannot be made', async () => {
    const { letters, options } = await deadLettersOf()
    const bad = [
      { t: 'yesterday or so' },
      { a: 1 },
      { t: 1, deep: nested(100_000, 'list') },
      { t: 1, ['k'.repeat(2000)]: 1 },
    ]
    await send(
      [sqlite('t', { time_key: 't' })],
      [{ t: 1 }, ...bad, { t: 2 }].map((record) => event(record)),
      options,
    )
    expect(rowsOf('t')).toEqual([{ t: 1 }, { t: 2 }])
    expect((await letters()).map(({ code }) => code)).toEqual([
      'DATE_UNREADABLE',
      'FIELD_MISSING',
      'RECORD_UNWRITABLE',
      'OUTPUT_REJECTED',
    ])
  })

  test.each([
    ['of a unique key', 'CREATE TABLE t (n UNIQUE)'],
    ['of a unique key that keeps what stood before', 'CREATE TABLE t (n UNIQUE ON CONFLICT FAIL)'],
    ['of a unique key that ends the transaction', 'CREATE TABLE t (n UNIQUE ON CONFLICT ROLLBACK)'],
    ['of a primary key', 'CREATE TABLE t (n INTEGER PRIMARY KEY)'],
    ['of a table without row numbers', 'CREATE TABLE t (n PRIMARY KEY) WITHOUT ROWID'],
    [
      'of a trigger',
      `CREATE TABLE t (n); CREATE TRIGGER r BEFORE INSERT ON t WHEN EXISTS (SELECT 1 FROM t WHERE n = NEW.n)
       BEGIN SELECT RAISE(ROLLBACK, 'twice'); END`,
    ],
    [
      'of a constraint that is checked at the commit',
      `CREATE TABLE p (n PRIMARY KEY); CREATE TABLE t (n REFERENCES p DEFERRABLE INITIALLY DEFERRED, timestamp);
       WITH c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 299) INSERT INTO p SELECT n FROM c`,
    ],
  ])('because %s', async (_, schema) => {
    inFile((db) => db.exec(schema))
    const { letters, options } = await deadLettersOf()
    const numbers = Array.from({ length: 300 }, (_, n) => n)
    const deferred = schema.includes('DEFERRED')
    const wrong = deferred ? [1000, 1001] : [7, 7, 150]
    const sent = [...numbers.slice(0, 200), ...wrong, ...numbers.slice(200)]
    await send(
      [sqlite('t')],
      sent.map((n) => event({ n })),
      options,
    )
    expect(inFile((db) => db.prepare('SELECT n FROM t ORDER BY n').pluck().all())).toEqual(numbers)
    expect((await letters()).map(({ record }) => record)).toEqual(wrong.map((n) => ({ n })))
  })

  test('when its name is one of a view', async () => {
    inFile((db) => db.exec('CREATE VIEW v AS SELECT 1 AS a'))
    const { letters, options } = await deadLettersOf()
    await send([sqlite('{name}')], [event({ name: 'v' }), event({ name: 't' })], options)
    expect(rowsOf('t')).toHaveLength(1)
    expect(await letters()).toHaveLength(1)
  })
})

describe('a hostile record is a row or a dead letter:', () => {
  test.each(hostileNames)('%s', async (name) => {
    const { letters, options } = await deadLettersOf()
    const { record } = hostileRecord(name)
    await send([sqlite('t')], [event({ n: 1 }), event({ ...record }), event({ n: 2 })], options)
    expect(rowsOf('t').length + (await letters()).length).toBe(3)
    expect(inFile((db) => db.prepare('SELECT n FROM t WHERE n > 0').pluck().all())).toEqual([1, 2])
  })
})

describe('the file', () => {
  test('is made with its folders, for its owner and group', async () => {
    file = join(folder, 'x/y/a.sqlite')
    await send([sqlite('t')], [event({ n: 1 })])
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(rowsOf('t', 'n')).toEqual([{ n: 1 }])
  })

  test('may be none', async () => {
    const { letters, options } = await deadLettersOf()
    await send([sqlite('t', { filename: ':memory:', fields: ['n'] })], [event({ n: 1 }), event({})], options)
    expect(existsSync(':memory:')).toBe(false)
    expect((await letters()).map(({ code }) => code)).toEqual(['FIELD_MISSING'])
  })

  test('may be locked for a while: one line says so, one that it is over, and no row is lost', async () => {
    const holder = new Database(file)
    holder.pragma('journal_mode = WAL')
    holder.exec('BEGIN IMMEDIATE')
    const lines: { level: number; msg: string }[] = []
    const log = pino(
      { level: 'info' },
      {
        write(line: string) {
          lines.push(JSON.parse(line))
          if (lines.length === 1) holder.exec('COMMIT')
        },
      },
    )
    const events = Array.from({ length: 2500 }, (_, n) => event({ n }))
    await send([sqlite('t')], events, { log })
    holder.close()
    expect(rowsOf('t', 'n')).toEqual(events.map(({ record }) => record))
    expect(lines.map(({ level }) => level)).toEqual([40, 30])
  })

  test('may be no database for a while: no row is lost', async () => {
    writeFileSync(file, 'x'.repeat(5000))
    let waits = 0
    const log = pino({ level: 'warn' }, { write: () => (waits++ === 0 ? rmSync(file) : undefined) })
    await send([sqlite('t')], [event({ n: 1 })], { log })
    expect(waits).toBe(1)
    expect(rowsOf('t', 'n')).toEqual([{ n: 1 }])
  })

  test('and its tables may go away while feedoo runs: they are made again', async () => {
    const { pipeline } = makePipeline([sqlite('t')])
    await pipeline.open()
    await pipeline.inject([event({ n: 1 })])
    inFile((db) => db.exec('DROP TABLE t'))
    await pipeline.inject([event({ n: 2 })])
    expect(rowsOf('t', 'n')).toEqual([{ n: 2 }])
    rmSync(file)
    await pipeline.inject([event({ n: 3 })])
    expect(rowsOf('t', 'n')).toEqual([{ n: 3 }])
    await pipeline.run(new AbortController().signal)
  })

  test('takes rows of another process at the same time', async () => {
    const code = `
      const Database = require('better-sqlite3')
      const db = new Database(process.argv[1], { timeout: 60000 })
      db.pragma('journal_mode = WAL')
      db.exec('CREATE TABLE IF NOT EXISTS other (n)')
      const insert = db.prepare('INSERT INTO other VALUES (?)')
      const write = db.transaction((from) => { for (let n = from; n < from + 100; n++) insert.run(n) })
      for (let n = 0; n < 20000; n += 100) { write.immediate(n); if (n === 0) console.log('begun') }
    `
    const child = spawn(process.execPath, ['-e', code, file], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    await once(child.stdout, 'data')
    const events = Array.from({ length: 20_000 }, (_, n) => event({ n }))
    await send([sqlite('t', { buffer_size: 100 })], events)
    expect(await exited).toEqual([0, null])
    for (const table of ['t', 'other']) {
      expect(inFile((db) => db.prepare(`SELECT count(*), count(DISTINCT n) FROM ${table}`).raw().get())).toEqual([
        20_000, 20_000,
      ])
    }
  })
})

const disk = mountSmallDisk(1024)
afterAll(() => disk?.remove())

test.skipIf(disk === undefined)(
  'a full disk holds rows up, and each is there once when there is room (needs the right to mount one)',
  async () => {
    file = join(disk?.folder ?? '', 'a.sqlite')
    const filler = join(disk?.folder ?? '', 'filler')
    writeFileSync(filler, 'x'.repeat(700_000))
    let waits = 0
    const log = pino({ level: 'warn' }, { write: () => (waits++ === 0 ? rmSync(filler) : undefined) })
    const events = Array.from({ length: 2000 }, (_, n) => event({ n, text: 'x'.repeat(100) }))
    await send([sqlite('t', { buffer_size: 200 })], events, { log })
    expect(waits).toBe(1)
    expect(rowsOf('t', 'n')).toEqual(events.map(({ record: { n } }) => ({ n })))
  },
)

test('under durable state each saved commit goes back to exactly the events it covers', async () => {
  const saved: { marks: Marks; next: Json | undefined; copy: string }[] = []
  const known = new Map<string, Json>()
  const keep = (marks: Position) => {
    for (const key of Object.keys(marks)) known.set(key, marks[key] ?? null)
  }
  const state: PipelineState = {
    id: 'test',
    isDurable: true,
    memory: () => [],
    marks: () => new Map(known),
    marked: () => [],
    waiting: () => [],
    marksElsewhere: () => undefined,
    intend: (_, marks) => keep(marks),
    batches: () => [],
    lastBatch: () => 0,
    timeline: () => undefined,
    wanted: (last) => !last,
    async save({ marks, positions }) {
      const next = [...positions.values()][0]?.get('next')
      const copy = join(folder, `copy${saved.length}.sqlite`)
      for (const suffix of ['', '-wal']) copyFileSync(file + suffix, copy + suffix)
      keep([...marks.values()][0] ?? {})
      saved.push({ marks: new Map(known), next: next ?? saved.at(-1)?.next, copy })
    },
    close() {},
  }
  const other = new Database(file)
  other.pragma('journal_mode = WAL')
  const numbers = input('numbers', {
    async run({ emit }) {
      const open: Promise<void>[] = []
      for (let n = 0; saved.length < 12; n += 3) {
        const events = [n, n + 1, n + 2].map((n) => event({ n }))
        // Many are open at a time: writes go on while a commit is made.
        open.push(emit(events, { next: n + 3 }, n % 10 === 0))
        if (open.length > 100) await open.shift()
        if (n % 30 === 0) await new Promise(setImmediate)
        // While the file is locked, further batches queue behind the one that is tried again.
        if (n % 300 === 0 && !other.inTransaction) {
          other.exec('BEGIN IMMEDIATE')
          setTimeout(() => other.open && other.exec('COMMIT'), 1)
        }
      }
    },
  })
  const list = [{ name: 'input_numbers' }, sqlite('t', { buffer_size: 7 })]
  const { pipeline } = makePipeline(list, { extra: [numbers], state })
  await pipeline.open()
  await pipeline.run(new AbortController().signal)
  other.close()
  for (const { marks, next, copy } of saved) {
    const writer = new SqliteWriter({
      path: copy,
      timeColumn: 'timestamp',
      maxColumns: 10,
      context: { deadLetter() {}, log: silent },
    })
    await writer.recover(marks)
    writer.close()
    file = copy
    expect(rowsOf('t', 'n')).toEqual(Array.from({ length: Number(next) }, (_, n) => ({ n })))
  }
})
