// What a pipeline between databases withstands: names made of hostile values, and files that are locked for a while.
import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { r } from 'rethinkdb-ts'
import { expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { lockForAWhile } from '../helpers/locked-database.ts'
import { servers } from '../helpers/rethinkdb.ts'

const sources = ['a-b', 'select', 'x"; DROP TABLE y;--', '../z']
const events = sources.map((source, n) => ({ source, n }))

test('a table template log_{source} with hostile values makes four SQLite tables of those very names, and touches nothing else', async () => {
  const folder = await scratchFolder()
  const file = join(folder, 'db.sqlite')
  const db = new Database(file)
  db.exec('CREATE TABLE y (kept); INSERT INTO y VALUES (1)')
  await writeFile(join(folder, 'in.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  const yaml = `
pipelines:
  p:
    - { name: input_file, tag: t, path_pattern: "{dir}/in.jsonl", once: true }
    - { name: parser_json, key: log }
    - { name: output_sqlite, filename: "{dir}/db.sqlite", table: "log_{source}", time_key: n }
`
  const daemon = await Daemon.start(yaml, folder)
  expect([await daemon.exit(), daemon.stderr]).toEqual([0, daemon.stderr])
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  expect(tables.sort()).toEqual([...sources.map((source) => `log_${source}`), 'y'].sort())
  for (const { source, n } of events) {
    const name = `"log_${source.replaceAll('"', '""')}"`
    expect(db.prepare(`SELECT source, n FROM ${name}`).all()).toEqual([{ source, n }])
  }
  expect(db.prepare('SELECT kept FROM y').pluck().all()).toEqual([1])
  db.close()
  expect((await readdir(folder)).sort()).toEqual(['db.sqlite', 'feedoo.yaml', 'in.jsonl'])
  expect(existsSync(join(folder, '..', 'z'))).toBe(false)
})

test.for(servers.filter(({ skipped }) => !skipped))(
  'a table template log_{source} with hostile values makes tables of $title, `_` for what no name may hold, and touches nothing else',
  async ({ start }) => {
    const server = await start()
    const folder = await scratchFolder()
    const { database, ...reach } = server.params
    const connection = await server.connect()
    await r.dbCreate(database).run(connection)
    await r.db(database).tableCreate('y').run(connection)
    await r.db(database).table('y').insert({ id: 'kept' }).run(connection)
    const yaml = `
pipelines:
  p:
    - { name: input_dummy, tag: t, repeat: 1, data: ${JSON.stringify(events)} }
    - ${JSON.stringify({ name: 'output_rethinkdb', ...reach, database, table: 'log_{source}' })}
`
    const daemon = await Daemon.start(yaml, folder)
    const code = await daemon.exit()
    const names = ['log_a-b', 'log_select', 'log_x___DROP_TABLE_y_--', 'log____z']
    // The emulator is of a time when names had no `-`: it refuses those two, which are dead letters then.
    const made = server.isEmulator ? names.filter((name) => !name.includes('-')) : names
    expect([code, daemon.logs().at(-1)?.dead_letters]).toEqual(server.isEmulator ? [1, 2] : [0, 0])
    expect((await r.db(database).tableList().run(connection)).sort()).toEqual([...made, 'y'].sort())
    for (const [n, name] of names.entries()) {
      if (!made.includes(name)) continue
      expect(await r.db(database).table(name).pluck('source', 'n').run(connection)).toEqual([events[n]])
    }
    expect(await r.db(database).table('y').run(connection)).toEqual([{ id: 'kept' }])
    await connection.close()
  },
)

test.each([false, true])(
  'SQLite files that are locked for a while are waited for: no row is lost, one line when it goes and one when it is back; remove: %s',
  (remove) => lockForAWhile(0, remove),
)
