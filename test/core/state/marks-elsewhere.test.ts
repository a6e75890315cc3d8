import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { openState, stateFileName } from '../../../src/core/state/file-state.ts'
import type { StateFile, StateFileOptions } from '../../../src/core/state/state-file.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { silent } from '../../helpers/run-pipeline.ts'
import { openFile } from './opening.ts'

async function open(path: string, pipeline: string, others: StateFileOptions['others'] = new Map()) {
  const file = await openFile(path, { pipeline, others })
  onTestFinished(() => file.close())
  return file
}

/** The files that the marks of other pipelines come from, by key. */
function seenBy(file: StateFile): Record<string, string[]> | undefined {
  const marks = file.marksElsewhere()
  return marks && Object.fromEntries([...marks].map(([key, others]) => [key, others.map(({ state }) => state)]))
}

/** What a kill leaves: the file, and a journal that nobody has written into it. */
async function killed(path: string, pipeline: string): Promise<void> {
  const file = await open(join(await scratchFolder(), 'file.sqlite'), pipeline)
  file.intend('out', { [`of ${pipeline}`]: 1 })
  for (const suffix of ['', '-wal']) copyFileSync(`${file.path}${suffix}`, `${path}${suffix}`)
  writeFileSync(`${path}-lock`, '')
}

test('a state that is alone in its folder sees no other marks', async () => {
  const file = await open(join(await scratchFolder(), 'a.sqlite'), 'a', new Map([['b.sqlite', 'b']]))
  file.intend('out', { file: 1 })
  expect(file.marksElsewhere()).toBeUndefined()
})

test('marks are seen in the files of other pipelines of the configuration, as a kill has left them too, and in any that is in use', async () => {
  const folder = await scratchFolder()
  const paths = ['used', 'left'].map((name) => join(folder, `${name}.sqlite`))
  const [usedPath = '', leftPath = ''] = paths
  const file = await open(join(folder, 'a.sqlite'), 'a', new Map([['left.sqlite', 'left']]))
  const used = await open(usedPath, 'used')
  used.intend('out', { 'of used': 2, 'of left': 3 })
  await killed(leftPath, 'left')
  expect(file.marksElsewhere()?.get('of used')).toEqual([{ mark: 2, state: usedPath }])
  const seen = seenBy(file)
  expect(seen?.['of left']?.sort()).toEqual([leftPath, usedPath])
  used.close()
  expect(seenBy(file)).toEqual({ 'of left': [leftPath] })
})

test('which pipelines the configuration has is known to the state of each', async () => {
  const folder = await scratchFolder()
  const name = 'Other pipeline'
  await killed(join(folder, stateFileName(name)), name)
  const options = { folder, fsync: 'commit', instance: 'this', owner: undefined } as const
  for (const pipelines of [['a'], ['a', name]]) {
    const state = await openState({ name: 'a', actions: [] }, { ...options, pipelines }, silent, systemClock)
    expect(state?.marksElsewhere()?.size).toBe(pipelines.includes(name) ? 1 : undefined)
    state?.close()
  }
})

test('marks in a backup, in the file of a pipeline that has another name now, and in what others have put there, are not seen', async () => {
  const folder = await scratchFolder()
  const file = await open(join(folder, 'a.sqlite'), 'a', new Map([['b.sqlite', 'b']]))
  await killed(join(folder, 'a-backup.sqlite'), 'a')
  await killed(join(folder, 'b-backup.sqlite'), 'b')
  await killed(join(folder, 'before.sqlite'), 'before')
  writeFileSync(join(folder, 'theirs.sqlite'), 'x'.repeat(8192))
  mkdirSync(join(folder, 'folder.sqlite'))
  writeFileSync(join(folder, 'damaged.sqlite-lock'), 'x'.repeat(8192))
  writeFileSync(join(folder, 'damaged.sqlite'), '')
  expect(seenBy(file)).toBeUndefined()
  // Somebody has given the file of one pipeline to another.
  await killed(join(folder, 'b.sqlite'), 'before')
  expect(seenBy(file)).toEqual({})
})

test('what is damaged, or no state, has no marks; what cannot be opened is unavailable', async () => {
  const folder = await scratchFolder()
  const others = ['damaged', 'empty', 'folder'].map((name) => [`${name}.sqlite`, name] as const)
  const file = await open(join(folder, 'a.sqlite'), 'a', new Map(others))
  writeFileSync(join(folder, 'damaged.sqlite'), 'x'.repeat(8192))
  writeFileSync(join(folder, 'empty.sqlite'), '')
  expect(seenBy(file)).toEqual({})
  mkdirSync(join(folder, 'folder.sqlite'))
  expect(() => file.marksElsewhere()).toThrow(expect.objectContaining({ code: 'STATE_UNAVAILABLE' }))
})
