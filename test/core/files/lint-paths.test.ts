import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inputFile } from '../../../src/actions/input/input_file.ts'
import { scratch } from './tailing.ts'

test.each<[string, Record<string, unknown>, string, string | undefined]>([
  ['a file that is there', { path_pattern: '{dir}/a.log' }, '', undefined],
  ['a file that is not', { path_pattern: '{dir}/b.log' }, 'path_pattern', 'no file matches now'],
  ['a glob', { path_pattern: '{dir}/*.log' }, '', undefined],
  ['a glob that reaches into sub-folders', { path_pattern: '{dir}/*.txt' }, '', undefined],
  ['a folder that a link leads to', { path_pattern: '{dir}/link/*.txt' }, '', undefined],
  ['a glob that matches nothing', { path_pattern: '{dir}/*.gz' }, 'path_pattern', 'no file matches now'],
  ['a glob that matches folders only', { path_pattern: '{dir}/s?b' }, 'path_pattern', 'no file matches now'],
  ['a folder that files are taken out of', { path_pattern: '{dir}/*.gz', remove: true }, '', undefined],
  [
    'a folder that is not there',
    { path_pattern: '{dir}/no/*.log', remove: true },
    'path_pattern',
    'nothing can be read in {dir}/no now: there is no such folder',
  ],
  [
    'a file for a folder',
    { path_pattern: '*.log', watch_path: '{dir}/a.log' },
    'watch_path',
    'nothing can be read in {dir}/a.log now: it is not a folder',
  ],
])('feedoo check looks for %s', async (_, params, path, message) => {
  const dir = await scratch()
  await writeFile(join(dir, 'a.log'), '')
  await mkdir(join(dir, 'sub'))
  await writeFile(join(dir, 'sub/deep.txt'), '')
  await symlink('sub', join(dir, 'link'))
  await symlink('circle', join(dir, 'circle'))
  const raw = JSON.parse(JSON.stringify({ tag: 't', ...params }).replaceAll('{dir}', dir)) as unknown
  const expected = message === undefined ? [] : [{ path: [path], message: message.replaceAll('{dir}', dir) }]
  expect(inputFile.lint(raw)).toEqual(expected)
})
