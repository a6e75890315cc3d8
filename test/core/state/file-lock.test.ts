import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { scratchFolder } from '../../helpers/daemon.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { openFile, recall, remember } from './opening.ts'

async function statePath(): Promise<string> {
  const path = join(await scratchFolder(), 'state.sqlite')
  const file = await openFile(path)
  await file.save(remember('a', 'kept'))
  file.close()
  return path
}

/** Writes over a part of a file, in place. */
function overwrite(path: string, bytes: Buffer, at = 0): void {
  const all = readFileSync(path)
  bytes.copy(all, at)
  writeFileSync(path, all, { flag: 'r+' })
}

test.each<[string, (path: string) => void]>([
  ['text', (path) => writeFileSync(path, 'no database, and longer than the header of one'.repeat(10))],
  ['nothing but zeros', (path) => writeFileSync(path, Buffer.alloc(8192))],
  ['a second page of zeros', (path) => overwrite(path, Buffer.alloc(4096), 4096)],
  ['its first page alone', (path) => truncateSync(path, 4096)],
  ['a part of a page', (path) => truncateSync(path, 100)],
  ['a journal of nonsense beside it', (path) => writeFileSync(`${path}-journal`, 'x'.repeat(5000))],
])('a lock file that holds %s is made anew, and the state is as it was', async (_, damage) => {
  const path = await statePath()
  damage(`${path}-lock`)
  const { lines, log } = recordingLog()
  const file = await openFile(path, { log })
  expect(recall(file, 'a')).toEqual(['kept'])
  for (const { level, msg } of lines) expect([level, msg]).toEqual(['warn', expect.stringContaining(`${path}-lock`)])
  // It locks as before: out go others, in come our own.
  await expect(openFile(path, { instance: 'other' })).rejects.toMatchObject({ code: 'STATE_LOCKED' })
  ;(await openFile(path, { pipeline: 'q' })).close()
  file.close()
  ;(await openFile(path, { instance: 'other' })).close()
})

test('a lock file that is damaged while another process holds it keeps others out', async () => {
  const path = await statePath()
  const script = fileURLToPath(new URL('./committing.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, path, 'system'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  writeFileSync(`${path}-lock`, Buffer.alloc(8192), { flag: 'r+' })
  await expect(openFile(path)).rejects.toMatchObject({ code: 'STATE_LOCKED' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  ;(await openFile(path)).close()
})

test('what stands there and is no lock file is named, and not touched', async () => {
  const path = await statePath()
  const text = 'x'.repeat(100_000)
  writeFileSync(`${path}-lock`, text)
  await expect(openFile(path)).rejects.toMatchObject({
    code: 'STATE_UNAVAILABLE',
    message: expect.stringContaining(`the lock file ${path}-lock`),
  })
  expect(readFileSync(`${path}-lock`, 'utf8')).toBe(text)
  expect(existsSync(path)).toBe(true)
})
