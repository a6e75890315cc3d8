import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Json } from '../../../src/core/action.ts'
import { FeedooError } from '../../../src/core/errors.ts'
import { applicationId, formatOf, migrate, migrations, stateFormat } from '../../../src/core/state/schema.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { locksAreTold, locksOn } from '../../helpers/file-locks.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { nothing, openFile, recall, remember } from './opening.ts'

async function statePath(): Promise<string> {
  return join(await scratchFolder(), 'state.sqlite')
}

function codeOf(error: unknown): unknown {
  return error instanceof FeedooError ? error.code : error
}

test('everything of a commit is there when the file is opened again', async () => {
  const path = await statePath()
  const first = await openFile(path)
  expect(first.seq).toBe(0)
  await first.save({
    memories: [{ action: 'a', format: 'text', segment: Buffer.from('one'), keep: 9 }],
    marks: new Map([['out', { 'a.log': 12, 'b.log': { length: 3 } }]]),
    positions: new Map([
      [
        'in',
        new Map<string, Json>([
          ['file', { offset: 7 }],
          ['__proto__', 1],
        ]),
      ],
    ]),
    timelines: new Map([['event', { start: 1, now: 2.5 }]]),
    buffers: [{ action: 'out', add: [{ seq: 1, name: 'id/x/1', events: 2, data: Buffer.from('x') }], done: [] }],
  })
  await first.save(remember('a', 'two', { keep: 9 }))
  first.close()

  const second = await openFile(path)
  expect(second.id).toBe(first.id)
  expect(second.seq).toBe(2)
  expect(recall(second, 'a')).toEqual(['one', 'two'])
  expect(second.marks('out')).toEqual(
    new Map<string, unknown>([
      ['a.log', 12],
      ['b.log', { length: 3 }],
    ]),
  )
  expect(second.positions('in')).toEqual(
    new Map<string, unknown>([
      ['file', { offset: 7 }],
      ['__proto__', 1],
    ]),
  )
  expect(second.timeline('event')).toEqual({ start: 1, now: 2.5 })
  expect(second.timeline('arrival')).toBeUndefined()
  expect(second.batches('out')).toEqual([{ seq: 1, name: 'id/x/1', events: 2, data: Buffer.from('x') }])
  second.close()
})

test('null takes a position or a mark away, and a batch that is done goes; its number does not come again', async () => {
  const path = await statePath()
  const file = await openFile(path)
  await file.save({
    ...nothing,
    marks: new Map([['out', { a: 1, b: 2 }]]),
    positions: new Map([
      [
        'in',
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      ],
    ]),
    buffers: [{ action: 'out', add: [{ seq: 1, name: 'id/x/1', events: 1, data: Buffer.from('x') }], done: [] }],
  })
  await file.save({
    ...nothing,
    marks: new Map([['out', { a: null }]]),
    positions: new Map([['in', new Map([['a', null]])]]),
    buffers: [{ action: 'out', add: [], done: [1] }],
  })
  file.close()
  const again = await openFile(path)
  expect([...again.marks('out').keys(), ...again.positions('in').keys()]).toEqual(['b', 'b'])
  expect(again.batches('out')).toEqual([])
  expect(again.lastBatch('out')).toBe(1)
  again.close()
})

test('an intent is there without a commit', async () => {
  const path = await statePath()
  const file = await openFile(path, { durability: 'disk' })
  file.intend('out', { a: 1 })
  file.close()
  const again = await openFile(path)
  expect(again.marks('out')).toEqual(new Map([['a', 1]]))
  expect(again.seq).toBe(0)
  again.close()
})

test('only as many of the newest segments stay as the last one says', async () => {
  const file = await openFile(await statePath())
  for (const [text, keep] of [
    ['1', 3],
    ['2', 3],
    ['3', 3],
    ['4', 3],
  ] as const)
    await file.save(remember('a', text, { keep }))
  expect(recall(file, 'a')).toEqual(['2', '3', '4'])
  await file.save(remember('a', '5', { keep: 1 }))
  expect(recall(file, 'a')).toEqual(['5'])
  await file.save(remember('b', 'other', { keep: 1 }))
  await file.save(remember('a', '6', { keep: 99 }))
  expect(recall(file, 'a')).toEqual(['5', '6'])
  expect(recall(file, 'b')).toEqual(['other'])
  file.close()
})

test('what was saved under another format is not given back, with a line in the log, and is replaced', async () => {
  const path = await statePath()
  const { lines, log } = recordingLog()
  const file = await openFile(path, { log })
  await file.save(remember('a', 'old', { keep: 9, format: 'v1' }))
  expect(recall(file, 'a', 'v2')).toEqual([])
  expect(lines).toMatchObject([{ level: 'warn', action: 'a', saved: 'v1', now: 'v2' }])
  await file.save(remember('a', 'new', { keep: 9, format: 'v2' }))
  file.close()
  const again = await openFile(path, { log })
  expect(recall(again, 'a', 'v2')).toEqual(['new'])
  expect(lines).toHaveLength(1)
  again.close()
})

test('pipelines that share a file do not see each other', async () => {
  const path = await statePath()
  const [p, q] = [await openFile(path), await openFile(path, { pipeline: 'q' })]
  await Promise.all([p.save(remember('a', 'of p')), q.save(remember('a', 'of q'))])
  expect([recall(p, 'a'), recall(q, 'a')]).toEqual([['of p'], ['of q']])
  expect([p.seq, q.seq]).toEqual([1, 1])
  p.close()
  await q.save(remember('a', 'more of q'))
  q.close()
  const again = await openFile(path)
  expect(recall(again, 'a')).toEqual(['of p'])
  again.close()
})

test('another process is refused while the file is open, and is not once it is closed', async () => {
  const path = await statePath()
  const file = await openFile(path)
  await expect(openFile(path, { instance: 'other' })).rejects.toMatchObject({
    code: 'STATE_LOCKED',
    message: expect.stringContaining(`${process.pid} on `),
  })
  await file.save(remember('a', 'still ours'))
  file.close()
  const other = await openFile(path, { instance: 'other' })
  expect(recall(other, 'a')).toEqual(['still ours'])
  await expect(openFile(path)).rejects.toMatchObject({ code: 'STATE_LOCKED' })
  other.close()
})

test('a file that is closed holds everything, also while somebody else has it open', async () => {
  const path = await statePath()
  const file = await openFile(path)
  const reader = new Database(path, { readonly: true })
  try {
    reader.prepare('SELECT * FROM commits').all()
    await file.save({ ...nothing, marks: new Map([['out', { file: 1 }]]) })
    file.close()
    expect(statSync(`${path}-wal`).size).toBe(0)
  } finally {
    reader.close()
  }
})

test('files are for their owner only, and folders are made', async () => {
  const path = join(await scratchFolder(), 'a', 'b', 'state.sqlite')
  const file = await openFile(path)
  await file.save(remember('a', 'x'))
  for (const suffix of ['', '-wal', '-shm', '-lock']) expect(statSync(path + suffix).mode & 0o777).toBe(0o600)
  file.close()
})

const damages: [string, (path: string) => void, RegExp][] = [
  ['cut in half', (path) => truncateSync(path, statSync(path).size / 2), /malformed|page|tree|disk image/i],
  ['cut in the middle of its header', (path) => truncateSync(path, 50), /too short/],
  ['not an SQLite file', (path) => writeFileSync(path, 'x'.repeat(5000)), /SQLite/],
  ['zeros', (path) => writeFileSync(path, Buffer.alloc(8192)), /SQLite/],
  ['with a page of noise', (path) => overwriteLastPage(path), /./],
  [
    'with a memory that is not what was written',
    (path) => alter(path, "UPDATE segments SET data = x'00' WHERE action = 'action 7'"),
    /action 7 is not as it was written/,
  ],
  ['without one of its tables', (path) => alter(path, 'DROP TABLE marks'), /no such table/],
  ['with a position that is no JSON', (path) => alter(path, "UPDATE positions SET json = '{'"), /positions/],
]

test.each(damages)('a file that is %s is set aside, and a new one begun', async (_, damage, reason) => {
  const path = await statePath()
  const file = await openFile(path)
  for (let i = 0; i < 20; i++) await file.save(remember(`action ${i}`, 'memory '.repeat(1000)))
  await file.save({ ...nothing, positions: new Map([['in', new Map([['a', 1]])]]) })
  file.close()
  damage(path)
  const damaged = readFileSync(path)

  const { lines, log } = recordingLog()
  const again = await openFile(path, { log })
  expect(again.seq).toBe(0)
  expect(recall(again, 'action 0')).toEqual([])
  expect(lines).toMatchObject([{ level: 'error', code: 'STATE_DAMAGED', reason: expect.stringMatching(reason) }])
  await again.save(remember('a', 'new'))
  again.close()
  const aside = readdirSync(join(path, '..')).filter((name) => /damaged-[0-9TZ]+$/.test(name))
  expect(aside).toHaveLength(1)
  expect(readFileSync(join(path, '..', String(aside))).equals(damaged)).toBe(true)
  const third = await openFile(path, { log })
  expect(recall(third, 'a')).toEqual(['new'])
  expect(lines).toHaveLength(1)
  third.close()
})

function overwriteLastPage(path: string): void {
  const bytes = readFileSync(path)
  bytes.fill(0xa5, bytes.length - 4096)
  writeFileSync(path, bytes)
}

function alter(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

test('an empty file is a new one', async () => {
  const path = await statePath()
  writeFileSync(path, '')
  const { lines, log } = recordingLog()
  const file = await openFile(path, { log })
  await file.save(remember('a', 'x'))
  file.close()
  expect(lines).toEqual([])
})

test('the journal of a file that somebody removed is not written into the new one', async () => {
  const path = await statePath()
  const file = await openFile(path)
  await file.save(remember('a', 'of the removed one'))
  const journal = readFileSync(`${path}-wal`)
  file.close()
  writeFileSync(`${path}-wal`, journal)
  rmSync(path)
  const { lines, log } = recordingLog()
  const again = await openFile(path, { log })
  expect(again.seq).toBe(0)
  expect(lines).toMatchObject([{ level: 'warn' }])
  again.close()
})

test('a database of somebody else is refused, and not touched', async () => {
  const path = await statePath()
  alter(path, 'CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)')
  const before = readFileSync(path)
  const error = await openFile(path).catch(codeOf)
  expect(error).toBe('STATE_FOREIGN')
  expect(readFileSync(path).equals(before)).toBe(true)
  expect(readdirSync(join(path, '..')).sort()).toEqual(['state.sqlite', 'state.sqlite-lock'])
})

test.skipIf(!locksAreTold)(
  'a database that another part of the process uses is refused, and stays locked (needs /proc)',
  async () => {
    const path = await statePath()
    const used = new Database(path)
    used.pragma('journal_mode = WAL')
    used.exec('CREATE TABLE theirs (a)')
    const held = locksOn(path)
    expect(held).not.toEqual([])
    expect(await openFile(path).catch(codeOf)).toBe('STATE_FOREIGN')
    expect(locksOn(path)).toEqual(held)
    used.close()
  },
)

test('a file of a newer format is refused, and not touched', async () => {
  const path = await statePath()
  const file = await openFile(path)
  await file.save(remember('a', 'x'))
  file.close()
  alter(path, `PRAGMA user_version = ${stateFormat + 1}`)
  const before = readFileSync(path)
  await expect(openFile(path)).rejects.toMatchObject({
    code: 'STATE_NEWER',
    message: expect.stringContaining(`format ${stateFormat + 1}`),
  })
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('what cannot be a file is refused with a sentence', async () => {
  const folder = await scratchFolder()
  await expect(openFile(folder)).rejects.toMatchObject({
    code: 'STATE_FOREIGN',
    message: `${folder} is not a regular file`,
  })
  writeFileSync(join(folder, 'file'), 'x')
  await expect(openFile(join(folder, 'file', 'state'))).rejects.toMatchObject({
    code: 'STATE_UNAVAILABLE',
    message: expect.stringContaining('a folder of its path is a file'),
  })
})

test('an older format is brought to the newest in one transaction', async () => {
  const database = new Database(await statePath())
  const steps = ['CREATE TABLE a (x)', 'ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)']
  migrate(database, steps.slice(0, 1))
  expect(formatOf(database)).toBe(1)
  expect(() => migrate(database, [...steps, 'not SQL'])).toThrow()
  expect(formatOf(database)).toBe(1)
  migrate(database, steps)
  migrate(database, steps)
  expect(formatOf(database)).toBe(2)
  expect(database.prepare('SELECT * FROM a').all()).toEqual([{ x: 1, y: 2 }])
  database.close()
})

test('batches that a file of format 1 holds keep the names that their targets may know', async () => {
  const path = await statePath()
  const database = new Database(path)
  migrate(database, migrations.slice(0, 1))
  database.pragma(`application_id = ${applicationId}`)
  database.exec(`INSERT INTO meta VALUES ('id', 'i');
    INSERT INTO batches (pipeline, action, seq, events, crc, data) VALUES ('p', 'out', 7, 1, 0, x'')`)
  database.pragma('journal_mode = WAL')
  database.close()
  const file = await openFile(path)
  expect(file.batches('out')).toEqual([{ seq: 7, name: 'i/p/out/7', events: 1, data: Buffer.from('') }])
  file.close()
})

test('the kind of the file stands in its header', async () => {
  const path = await statePath()
  ;(await openFile(path)).close()
  expect(readFileSync(path).readUInt32BE(68)).toBe(applicationId)
  expect(existsSync(`${path}.new`)).toBe(false)
})

test.skipIf(process.getuid?.() !== 0)(
  'files and folders go to the user that the process will be; one whose folder is not theirs is told of (needs root)',
  async () => {
    const folder = await scratchFolder()
    const owner = { uid: 65534, gid: 65534 }
    const { lines, log } = recordingLog()
    const theirs = await openFile(join(folder, 'new', 'state'), { owner, log })
    await theirs.save(remember('a', 'x'))
    for (const name of ['new', 'new/state', 'new/state-wal', 'new/state-shm', 'new/state-lock']) {
      expect(statSync(join(folder, name))).toMatchObject(owner)
    }
    theirs.close()
    expect(lines).toEqual([])
    const ours = await openFile(join(folder, 'state'), { owner, log })
    expect(lines).toMatchObject([{ level: 'warn', msg: expect.stringContaining('user 65534, group 65534') }])
    ours.close()
  },
)
