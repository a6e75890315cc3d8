// docs/guide/move-a-database.md: its files are checked and its commands run, one after the other, in one folder.
import { readFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/guide/move-a-database.md', import.meta.url)), 'utf8')
/** Unix seconds of 2026-01-02 and the day after. */
const times = [1_767_312_000, 1_767_398_400]

test('every command of the guide does what the guide says', async () => {
  const folder = await scratchFolder()
  const old = new Database(join(folder, 'old.sqlite'))
  for (const table of ['log_a', 'log_b']) {
    old.exec(`CREATE TABLE ${table} (timestamp, message); CREATE INDEX ${table}_time ON ${table} (timestamp)`)
    for (const time of times) old.prepare(`INSERT INTO ${table} VALUES (?, ?)`).run(time + 0.5, `${table} at ${time}`)
  }
  old.close()
  for (const [, name = '', text = ''] of page.matchAll(/^```yaml (\S+)\n(.*?)^```$/gms)) {
    await writeFile(join(folder, name), text)
  }
  const commands = Array.from(page.matchAll(/^```sh\n(.*?)^```$/gms), ([, text = '']) => text.trim().split('\n')).flat()
  expect(commands).toEqual(
    ['check job.yaml', 'job.yaml', 'back.yaml', 'resume.yaml', 'resume.yaml'].map((args) => `feedoo ${args}`),
  )
  const summaries: unknown[] = []
  for (const command of commands) {
    const daemon = new Daemon(command.split(' ').slice(1), { cwd: folder })
    expect([command, await daemon.exit(), daemon.stderr]).toEqual([command, 0, daemon.stderr])
    summaries.push(daemon.logs().at(-1)?.outputs)
  }
  expect(summaries).toEqual([
    undefined,
    { 'archive/output_archive': 4 },
    { 'back/output_sqlite': 4 },
    { 'copy/output_sqlite': 4 },
    { 'copy/output_sqlite': 0 },
  ])
  const days = ['2026-01-02', '2026-01-03']
  expect((await readdir(join(folder, 'archive'))).sort()).toEqual(
    ['log_a', 'log_b'].flatMap((table) => days.map((day) => `${table}-${day}.jsonl`)),
  )
  expect(await linesIn(join(folder, 'archive'))).toHaveLength(4)
  expect(rows(join(folder, 'new.sqlite'), 'all')).toHaveLength(4)
  expect(rows(join(folder, 'copy.sqlite'), 'log_a')).toEqual(rows(join(folder, 'old.sqlite'), 'log_a'))
})

function rows(file: string, table: string): unknown[] {
  const db = new Database(file, { readonly: true })
  try {
    return db.prepare(`SELECT * FROM "${table}" ORDER BY rowid`).all()
  } finally {
    db.close()
  }
}
