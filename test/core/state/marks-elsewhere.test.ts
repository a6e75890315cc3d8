import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sqlite from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { marksElsewhere } from '../../../src/core/state/marks-elsewhere.ts'
import { StateFile } from '../../../src/core/state/state-file.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { silent } from '../../helpers/run-pipeline.ts'

async function open(path: string, pipeline: string): Promise<StateFile> {
  const options = { pipeline, durability: 'system', instance: 'test', log: silent, clock: systemClock } as const
  const file = await StateFile.open(path, options)
  onTestFinished(() => file.close())
  return file
}

test('a state that is alone in its folder sees no other marks', async () => {
  const folder = await scratchFolder()
  const file = await open(join(folder, 'a.sqlite'), 'a')
  file.intend('out', { file: 1 })
  expect(file.marksElsewhere()).toBeUndefined()
})

test('the marks of other pipelines are seen in files in use, in those a kill has left, and in a file that is shared', async () => {
  const folder = await scratchFolder()
  const file = await open(join(folder, 'a.sqlite'), 'a')
  file.intend('out', { file: 1 })
  const used = await open(join(folder, 'used.sqlite'), 'used')
  used.intend('out', { file: 2, other: 3 })
  // What a kill leaves: the file, and a journal that nobody has written into it.
  for (const suffix of ['', '-wal']) copyFileSync(`${used.path}${suffix}`, join(folder, `left.sqlite${suffix}`))
  const shared = await open(file.path, 'b')
  shared.intend('out', { file: 4 })
  expect(Object.fromEntries(file.marksElsewhere() ?? [])).toEqual({ file: [2, 2, 4], other: [3, 3] })
})

test('what is damaged, or no state, has no marks; what cannot be opened is unavailable', async () => {
  const folder = await scratchFolder()
  writeFileSync(join(folder, 'damaged.sqlite'), 'x'.repeat(8192))
  writeFileSync(join(folder, 'empty.sqlite'), '')
  expect(marksElsewhere(sqlite, join(folder, 'a.sqlite'))).toEqual(new Map())
  mkdirSync(join(folder, 'folder.sqlite'))
  expect(() => marksElsewhere(sqlite, join(folder, 'a.sqlite'))).toThrow(
    expect.objectContaining({ code: 'STATE_UNAVAILABLE' }),
  )
})
