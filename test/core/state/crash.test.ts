import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { checkDatabase } from '../../../src/core/state/examine.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { mountSmallDisk } from '../../helpers/small-disk.ts'
import { allNumbered, numbered, numbersIn } from './numbered.ts'
import { nothing, openFile } from './opening.ts'

const script = fileURLToPath(new URL('./committing.ts', import.meta.url))

function startCommitting(path: string, durability: string): ChildProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', script, path, durability], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Comes back when the child has told of `commits`; returns the last number it told of by the time it was dead. */
async function killAfter(child: ChildProcess, commits: number): Promise<number> {
  let told = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    told += text
    if (told.split('\n').length > commits) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return Number(told.split('\n').at(-2))
}

test.each(['disk', 'system', 'unsafe'])(
  'a process killed while it commits leaves one of its commits, not before the last it told of (%s)',
  async (durability) => {
    const path = join(await scratchFolder(), 'state')
    for (const commits of [1, 33, 90]) {
      const told = await killAfter(startCommitting(path, durability), commits)
      const { lines, log } = recordingLog()
      const file = await openFile(path, { log })
      expect(file.seq).toBeGreaterThanOrEqual(told)
      expect(numbersIn(file)).toEqual(allNumbered(file.seq))
      expect(lines).toEqual([])
      file.close()
    }
  },
)

test('while another process commits, it is refused here, read here, and backed up here', async () => {
  const folder = await scratchFolder()
  const path = join(folder, 'state')
  const child = startCommitting(path, 'system')
  await once(child.stdout ?? child, 'data')
  await expect(openFile(path)).rejects.toMatchObject({
    code: 'STATE_LOCKED',
    message: expect.stringContaining(`${child.pid}`),
  })
  const reader = new Database(path, { readonly: true })
  for (let i = 0; i < 5; i++) {
    const copy = join(folder, `copy${i}`)
    await reader.backup(copy)
    const file = await openFile(copy)
    expect(numbersIn(file)).toEqual(allNumbered(file.seq))
    file.close()
  }
  expect(checkDatabase(reader)).toBeUndefined()
  reader.close()
})

test('a copy of the file and its journal, cut off anywhere, opens clean and holds one of the commits', async () => {
  const folder = await scratchFolder()
  const path = join(folder, 'state')
  const file = await openFile(path)
  for (let n = 1; n <= 150; n++) {
    await file.save(numbered(n))
    if (n % 5 !== 0) continue
    const copy = join(folder, `copy${n}`)
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    // A journal that was being written: a part of its last bytes.
    const journal = readFileSync(`${copy}-wal`).length
    if (n % 2 === 0) truncateSync(`${copy}-wal`, Math.max(0, journal - ((n * 7907) % 30_000)))
    const { lines, log } = recordingLog()
    const copied = await openFile(copy, { log })
    if (n % 2 === 0) expect(copied.seq).toBeLessThanOrEqual(n)
    else expect(copied.seq).toBe(n)
    expect(numbersIn(copied)).toEqual(allNumbered(copied.seq))
    expect(lines).toEqual([])
    copied.close()
  }
  file.close()
})

test('a kill while the file is made leaves no half of one', async () => {
  const folder = await scratchFolder()
  const path = join(folder, 'state')
  writeFileSync(`${path}.new`, 'half of a file')
  writeFileSync(`${path}.new-journal`, 'and its journal')
  const file = await openFile(path)
  await file.save(numbered(1))
  file.close()
  expect(readdirSync(folder).sort()).toEqual(['state', 'state-lock'])
})

test('a thread that is ended while it has the file leaves it to the next', async () => {
  const path = join(await scratchFolder(), 'state')
  const worker = new Worker(
    `import('tsx/esm/api').then(({ register }) => { register(); process.argv[2] = ${JSON.stringify(path)}; process.argv[3] = 'disk'; return import(${JSON.stringify(script)}) })`,
    { eval: true, stdout: true },
  )
  await once(worker.stdout, 'data')
  await worker.terminate()
  const file = await openFile(path)
  expect(file.seq).toBeGreaterThan(0)
  expect(numbersIn(file)).toEqual(allNumbered(file.seq))
  file.close()
})

const disk = mountSmallDisk(1024)

test.skipIf(disk === undefined)(
  'on a full disk a commit waits, with two lines in the log, and nothing is lost (needs root)',
  async () => {
    if (disk === undefined) return
    onTestFinished(() => disk.remove())
    const path = join(disk.folder, 'state')
    const { lines, log } = recordingLog()
    const file = await openFile(path, { log, durability: 'disk' })
    await file.save(numbered(1))
    const filler = join(disk.folder, 'filler')
    fill(filler)
    let saved = false
    const saving = file.save(numbered(2)).then(() => {
      saved = true
    })
    while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(lines).toMatchObject([{ level: 'warn', code: 'STATE_UNAVAILABLE', msg: expect.stringContaining('full') }])
    expect(saved).toBe(false)
    truncateSync(filler)
    await saving
    expect(lines).toMatchObject([{ level: 'warn' }, { level: 'info', msg: expect.stringContaining('written again') }])
    expect(numbersIn(file)).toEqual(allNumbered(2))

    fill(filler)
    const given = file.save(numbered(3))
    while (lines.length < 3) await new Promise((resolve) => setTimeout(resolve, 10))
    file.close()
    await expect(given).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' })
    truncateSync(filler)
    const again = await openFile(path)
    expect(numbersIn(again)).toEqual(allNumbered(2))
    again.close()
  },
)

test.skipIf(process.getuid?.() !== 0)('a new file on a full disk is refused with the reason (needs root)', async () => {
  const small = mountSmallDisk(64)
  if (small === undefined) return
  onTestFinished(() => small.remove())
  fill(join(small.folder, 'filler'))
  await expect(openFile(join(small.folder, 'state'))).rejects.toMatchObject({
    code: 'STATE_UNAVAILABLE',
    message: expect.stringContaining('full'),
  })
})

/** Writes until there is no room. */
function fill(path: string): void {
  for (const size of [4096, 1]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // That is the point.
    }
  }
}

test('a commit waits for that of another pipeline, and is not refused for it', async () => {
  const path = join(await scratchFolder(), 'state')
  const file = await openFile(path)
  const other = new Database(path)
  other.exec('BEGIN IMMEDIATE')
  const { lines, log } = recordingLog()
  const second = await openFile(path, { pipeline: 'q', log })
  const saving = second.save(nothing)
  while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  other.exec('COMMIT')
  await saving
  expect(second.seq).toBe(1)
  for (const database of [other, second, file]) database.close()
})
