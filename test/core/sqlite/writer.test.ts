import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Marks, Position } from '../../../src/core/action.ts'
import { FeedooError } from '../../../src/core/errors.ts'
import type { Event } from '../../../src/core/event.ts'
import { SqliteWriter } from '../../../src/core/sqlite/writer.ts'
import { createRowMaker, type TableRows } from '../../../src/core/sqlite/writer-rows.ts'
import { locksAreTold, locksOn } from '../../helpers/file-locks.ts'
import { silent } from '../../helpers/run-pipeline.ts'
import { mountSmallDisk } from '../../helpers/small-disk.ts'

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-sqlite-'))
  file = join(folder, 'a.sqlite')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A writer with what it has set aside. */
function makeWriter(saved: Marks = new Map(), setAside = () => {}) {
  const letters: Event[] = []
  const marks = new Map(saved)
  function keep(changed: Position): void {
    for (const key of Object.keys(changed)) marks.set(key, changed[key] ?? null)
  }
  const writer = new SqliteWriter({
    path: file,
    timeColumn: 'timestamp',
    maxColumns: 100,
    context: {
      deadLetter(event) {
        letters.push(event)
        setAside()
      },
      log: silent,
      intend: keep,
    },
  })
  return {
    writer,
    letters,
    /** As the engine does: the marks that it saves. */
    async commit(): Promise<Marks> {
      keep(writer.mark())
      await writer.sync()
      return new Map(marks)
    },
    write: (table: string, ...records: Record<string, unknown>[]) => writer.write(rowsFor(table, ...records)),
  }
}

function rowsFor(table: string, ...records: Record<string, unknown>[]): Map<string, TableRows> {
  const add = createRowMaker({ timeKey: undefined, fields: undefined, maxColumns: 100 })
  const rows: TableRows = { table, runs: [] }
  for (const record of records) add(rows, { tag: 't', timestamp: 1, record })
  return new Map([[table, rows]])
}

function inFile<Result>(use: (db: Database.Database) => Result): Result {
  const db = new Database(file)
  try {
    return use(db)
  } finally {
    db.close()
  }
}

/** What a process of its own reads; it closes the file at its end. Undefined where there is no `sqlite3` command. */
function outside(sql: string): string | undefined {
  return spawnSync('sqlite3', [file, sql], { encoding: 'utf8' }).stdout ?? undefined
}

const numbers = (table = 't') =>
  inFile((db) => db.prepare(`SELECT n FROM "${table}" ORDER BY rowid`).pluck().all() as number[])
const count = (table: string) => inFile((db) => db.prepare(`SELECT count(*) FROM "${table}"`).pluck().get())
const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => ({ n: from + i }))

/** A writer that begins at its marks, as after a crash of the one before. */
async function recovered(marks: Marks = new Map()) {
  const made = makeWriter(marks)
  await made.writer.recover(marks)
  return made
}

test('a file behind a link is written and flushed as any other', async () => {
  mkdirSync(join(folder, 'real'))
  writeFileSync(join(folder, 'real/b.sqlite'), '')
  symlinkSync('real/b.sqlite', file)
  const { writer, write, commit } = await recovered()
  await write('t', ...upTo(3))
  await commit()
  writer.close()
  expect(numbers()).toEqual([0, 1, 2])
})

test('without durable state nothing is noted', async () => {
  const { writer, write } = makeWriter()
  await write('t', ...upTo(3))
  await writer.sync()
  expect(writer.mark()).toEqual({})
  writer.close()
  expect(inFile((db) => db.prepare('SELECT name FROM sqlite_schema').pluck().all())).not.toContain('_feedoo_commits')
})

test.skipIf(!locksAreTold)('a file that another output of the process opens stays locked (needs /proc)', async () => {
  const [one, two] = [await recovered(), await recovered()]
  await one.write('t', ...upTo(3))
  const held = locksOn(file)
  expect(held).not.toEqual([])
  await two.write('u', { n: 0 })
  expect(locksOn(file)).toEqual(held)
  // Else somebody who looks in takes himself for the last one, and takes the journal away.
  const read = outside('SELECT count(*) FROM t')
  await one.write('t', ...upTo(6, 3))
  if (read !== undefined) expect([read, outside('SELECT count(*) FROM t')]).toEqual(['3\n', '6\n'])
  one.writer.close()
  two.writer.close()
})

/** Has a file read-only; undefined where this process may not mount. */
function makeReadonly(path: string): (() => void) | undefined {
  if (spawnSync('mount', ['--bind', path, path]).status !== 0) return undefined
  const undo = () => void spawnSync('umount', ['-l', path])
  if (spawnSync('mount', ['-o', 'remount,bind,ro', path]).status === 0) return undo
  undo()
  return undefined
}

test('a file that cannot be written for a while is written later (needs the right to mount)', async ({ skip }) => {
  const first = makeWriter()
  await first.write('t', { n: 0 })
  first.writer.close()
  const undo = makeReadonly(file)
  if (undo === undefined) return skip()
  const { writer, write } = makeWriter()
  try {
    await expect(write('t', { n: 1 })).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
  } finally {
    undo()
  }
  await write('t', { n: 1 })
  writer.close()
  expect(numbers()).toEqual([0, 1])
})

describe('rows written after the mark are deleted', () => {
  test('when the writer begins, and only they', async () => {
    const first = await recovered()
    await first.write('t', ...upTo(100))
    await first.write('u', ...upTo(5))
    const mark = await first.commit()
    await first.write('t', ...upTo(200, 100))
    // Another program, in between.
    inFile((db) => db.exec('INSERT INTO t (n) VALUES (-1)'))
    await first.write('t', ...upTo(300, 200))
    await first.write('u', ...upTo(10, 5))
    await first.write('v', ...upTo(3))
    first.writer.close()

    const second = await recovered(mark)
    expect(numbers('t')).toEqual([...upTo(100).map(({ n }) => n), -1])
    expect(numbers('u')).toEqual([0, 1, 2, 3, 4])
    expect(numbers('v')).toEqual([])
    await second.write('t', ...upTo(110, 100))
    second.writer.close()
    const third = await recovered(mark)
    expect(numbers('t')).toHaveLength(101)
    third.writer.close()
  })

  test('from the mark that was saved, though there were later ones', async () => {
    const { writer, write, commit } = await recovered()
    const marks: Marks[] = []
    for (let n = 0; n < 20; n++) {
      await write('t', { n })
      marks.push(await commit())
    }
    await write('t', { n: 20 })
    writer.close()
    for (const last of [19, 12, 3]) {
      ;(await recovered(marks[last])).writer.close()
      expect(numbers()).toEqual(upTo(last + 1).map(({ n }) => n))
    }
  })

  test('but none of another output, and none without a mark', async () => {
    const one = await recovered()
    const mark = await one.commit()
    const other = await recovered()
    await other.write('t', { n: 1 })
    await one.write('t', { n: 2 })
    await other.write('t', { n: 3 })
    one.writer.close()
    other.writer.close()
    ;(await recovered()).writer.close()
    expect(numbers()).toEqual([1, 2, 3])
    ;(await recovered(mark)).writer.close()
    expect(numbers()).toEqual([1, 3])
  })

  test.each([
    ['whose key is the row number', 'CREATE TABLE t (n INTEGER PRIMARY KEY)', [5, 900, -7, 12, 11, 2 ** 60]],
    [
      'with the highest row number there is',
      'CREATE TABLE t (n); INSERT INTO t (rowid, n) VALUES (9223372036854775807, 0)',
      [1, 2, 3],
    ],
    ['with columns named as row numbers', 'CREATE TABLE t (n, rowid, _rowid_)', [1, 2, 3]],
    [
      'with a trigger',
      'CREATE TABLE t (n); CREATE TRIGGER r AFTER INSERT ON t WHEN NEW.n > 0 BEGIN INSERT INTO t (n) VALUES (-1); END',
      [1, 2, 3],
    ],
  ])('in a table that was there, %s', async (_, schema, values) => {
    inFile((db) => db.exec(schema))
    const before = count('t')
    const first = await recovered()
    const mark = await first.commit()
    await first.write('t', ...values.map((n) => ({ n })))
    await first.write('t', { n: 1000 })
    first.writer.close()
    expect(first.letters).toEqual([])
    expect(Number(count('t'))).toBeGreaterThan(values.length)
    ;(await recovered(mark)).writer.close()
    expect(count('t')).toBe(before)
  })

  test('before the next write, when the file is locked at first', async () => {
    const first = await recovered()
    const mark = await first.commit()
    await first.write('t', { n: 1 })
    first.writer.close()
    const holder = new Database(file)
    holder.exec('BEGIN IMMEDIATE')
    const second = await recovered(mark)
    await expect(second.write('t', { n: 2 })).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    holder.exec('COMMIT')
    holder.close()
    await second.write('t', { n: 3 })
    second.writer.close()
    expect(numbers()).toEqual([3])
  })
})

const disk = mountSmallDisk(512)
afterAll(() => disk?.remove())

test.skipIf(disk === undefined)(
  'a disk that is full before the first row holds all rows up, and refuses none (needs the right to mount one)',
  async () => {
    file = join(disk?.folder ?? '', 'a.sqlite')
    const filler = join(disk?.folder ?? '', 'filler')
    writeFileSync(filler, Buffer.alloc(400_000))
    const { writer, letters, write, commit } = await recovered()
    const rows = Array.from({ length: 1000 }, (_, n) => ({ n, text: 'x'.repeat(100) }))
    const groups = rowsFor('t', ...rows)
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(writer.write(groups)).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    }
    expect(letters).toEqual([])
    rmSync(filler)
    await writer.write(groups)
    const mark = await commit()
    await write('t', { n: 1000 })
    writer.close()
    ;(await recovered(mark)).writer.close()
    expect([numbers(), letters]).toEqual([upTo(1000).map(({ n }) => n), []])
  },
)

test.each([
  ['is gone', 'DROP TABLE _feedoo_commits', undefined],
  ['is another one', 'DROP TABLE _feedoo_commits; CREATE TABLE _feedoo_commits (x)', 'DROP TABLE _feedoo_commits'],
])('when the table of what was written %s, no row is refused', async (_, damage, mend) => {
  const { writer, letters, write } = await recovered()
  await write('t', ...upTo(3))
  inFile((db) => db.exec(damage))
  const groups = rowsFor('t', ...upTo(6, 3))
  await expect(writer.write(groups)).rejects.toMatchObject({
    code: 'OUTPUT_UNAVAILABLE',
    retriable: true,
    message: expect.stringContaining('_feedoo_commits'),
  })
  if (mend !== undefined) {
    await expect(writer.write(groups)).rejects.toMatchObject({ retriable: true })
    inFile((db) => db.exec(mend))
  }
  await writer.write(groups)
  writer.close()
  expect([numbers(), letters]).toEqual([[0, 1, 2, 3, 4, 5], []])
})

test('a batch that is given up half-way says which of its events are left', async () => {
  inFile((db) =>
    db.exec('CREATE TABLE parent (n PRIMARY KEY); INSERT INTO parent VALUES (0), (1), (2), (4), (5), (6), (7)'),
  )
  inFile((db) => db.exec('CREATE TABLE t (n REFERENCES parent DEFERRABLE INITIALLY DEFERRED, timestamp)'))
  const other = new Database(file)
  other.pragma('foreign_keys = ON')
  // The first row that is refused, when the half before it is there, has somebody lock the file.
  const { writer, letters } = makeWriter(new Map(), () => other.exec('BEGIN IMMEDIATE'))
  const groups = rowsFor('t', ...upTo(8))
  const error: unknown = await writer.write(groups).catch((error: unknown) => error)
  other.close()
  writer.close()
  const left = error instanceof FeedooError ? error.events?.map(({ record }) => record.n) : error
  expect([numbers(), letters.map(({ record }) => record.n), left]).toEqual([[0, 1, 2], [3], [4, 5, 6, 7]])
})

describe('at a clean end', () => {
  test('a mark whose rows could not be deleted yet lasts, and one of rows that are wanted does not', async () => {
    const first = await recovered()
    await first.write('t', { n: 0 })
    const mark = await first.commit()
    await first.write('t', { n: 1 })
    first.writer.close()
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    const second = await recovered(mark)
    expect(new Map(Object.entries(second.writer.lastingMarks()))).toEqual(mark)
    await second.writer.marksDropped()
    second.writer.close()
    other.close()
    const third = await recovered(mark)
    expect(third.writer.lastingMarks()).toEqual({})
    third.writer.close()
    expect(numbers()).toEqual([0])
  })

  test('nothing stays noted of what the output has written, and what others have noted does', async () => {
    const other = await recovered()
    await other.write('u', { n: 7 })
    const mark = await other.commit()
    await other.write('u', { n: 8 })
    const noted = count('_feedoo_commits')
    for (let run = 0; run < 3; run++) {
      const { writer, write, commit } = await recovered()
      for (let n = 0; n < 3; n++) {
        await write('t', { n })
        await commit()
      }
      expect(count('_feedoo_commits')).toBeGreaterThan(Number(noted))
      expect(writer.lastingMarks()).toEqual({})
      await writer.marksDropped()
      writer.close()
      expect(count('_feedoo_commits')).toBe(noted)
    }
    other.writer.close()
    ;(await recovered(mark)).writer.close()
    expect([numbers('u'), count('t')]).toEqual([[7], 9])
  })

  test('a file that is locked keeps its notes, and the end does not wait', async () => {
    const { writer, write, commit } = await recovered()
    await write('t', { n: 0 })
    await commit()
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    await writer.marksDropped()
    other.close()
    writer.close()
    expect(count('_feedoo_commits')).toBe(1)
  })
})

test('a table that numbers its rows in no way is refused under durable state', async () => {
  inFile((db) => db.exec('CREATE TABLE t (n PRIMARY KEY) WITHOUT ROWID'))
  const { writer, write, letters } = await recovered()
  await write('t', { n: 1 })
  await write('u', { n: 2 })
  writer.close()
  expect(letters.map(({ record }) => record)).toEqual([{ n: 1 }])
  expect(numbers('u')).toEqual([2])
})

test('what is noted is bounded, and what a saved commit needs stays', async () => {
  const { writer, write, commit } = await recovered()
  let mark: Marks | undefined
  for (let number = 0; number < 60; number++) {
    const groups = new Map<string, TableRows>()
    const add = createRowMaker({ timeKey: undefined, fields: ['n'], maxColumns: 100 })
    for (let table = 0; table < 500; table++) {
      const rows: TableRows = { table: `t${table}`, runs: [] }
      add(rows, { tag: 't', timestamp: 1, record: { n: number } })
      groups.set(rows.table, rows)
    }
    await writer.write(groups)
    if (number < 58) mark = await commit()
  }
  await write('t0', { n: 60 })
  writer.close()
  expect(count('_feedoo_commits')).toBeLessThanOrEqual(11_000)
  ;(await recovered(mark)).writer.close()
  for (const table of ['t0', 't499']) expect(numbers(table)).toEqual(upTo(58).map(({ n }) => n))
})

test('whatever is written, synced, saved and lost: each event is there once', async () => {
  const step = fc.constantFrom('write', 'write', 'many', 'other', 'sync', 'save', 'crash')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
      let running = await recovered()
      let synced = { mark: await running.commit(), next: 0 }
      let saved = synced
      let next = 0
      for (const now of steps) {
        if (now === 'write' || now === 'many' || now === 'other') {
          const end = next + (now === 'many' ? 300 : 1)
          await running.write(now === 'other' ? 'u' : 't', ...upTo(end, next))
          next = end
        } else if (now === 'sync') {
          synced = { mark: await running.commit(), next }
        } else if (now === 'save') {
          saved = synced
        } else {
          running.writer.close()
          running = await recovered(saved.mark)
          next = saved.next
          synced = saved
        }
      }
      await running.write('t', { n: next })
      await running.write('u', { n: next + 1 })
      running.writer.close()
      expect([...numbers('t'), ...numbers('u')].sort((a, b) => a - b)).toEqual(upTo(next + 2).map(({ n }) => n))
    }),
    { numRuns: 40 },
  )
})

describe('a job that is killed', () => {
  const script = fileURLToPath(new URL('../../helpers/sqlite-job.ts', import.meta.url))
  const args = (events: number, point = '', times = 1) => {
    const state = join(folder, 'state.json')
    return ['--import', 'tsx', script, file, state, String(events), point, String(times)]
  }
  const finish = (events: number) => {
    expect(spawnSync(process.execPath, args(events), { stdio: ['ignore', 'ignore', 'inherit'] }).status).toBe(0)
    expect(numbers('t0')).toEqual(upTo(events / 2).map(({ n }) => 2 * n))
    expect(numbers('t1')).toEqual(upTo(events / 2).map(({ n }) => 2 * n + 1))
  }

  test('at each point has written each event once', () => {
    const points = [
      'when it has begun',
      'after a write',
      'after a sync',
      'before the state is saved',
      'after the state is saved',
    ]
    for (const [index, point] of points.entries()) {
      const times = index === 0 ? 1 : 2
      const { signal } = spawnSync(process.execPath, args(2000, point, times), {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      expect([point, signal]).toEqual([point, 'SIGKILL'])
    }
    finish(2000)
  })

  test('in the middle of its work has written each event once', async () => {
    const events = 20_000
    for (const lines of [1, 12, 30, 31]) {
      const child = spawn(process.execPath, args(events), { stdio: ['ignore', 'pipe', 'inherit'] })
      const exited = once(child, 'exit')
      let text = ''
      child.stdout.on('data', (data) => {
        text += data
        // It goes on meanwhile: where in its work the kill finds it is left to chance.
        if (text.split('\n').length > lines) child.kill('SIGKILL')
      })
      expect((await exited)[1]).toBe('SIGKILL')
    }
    finish(events)
  })
})
