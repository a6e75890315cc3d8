import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expandGlob } from '../../../src/core/config/path-glob.ts'

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'feedoo-glob-'))
  for (const file of [
    'a.yaml',
    'b.yaml',
    'c.yml',
    '.hidden.yaml',
    'sub/d.yaml',
    'sub/deep/e.yaml',
    'sub/.git/f.yaml',
  ]) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true })
    await writeFile(path.join(folder, file), '')
  }
  await mkdir(path.join(folder, 'folder.yaml'))
  await symlink(folder, path.join(folder, 'sub/loop'))
})

afterAll(() => rm(folder, { recursive: true }))

describe('a path glob', () => {
  test.each<[string, string[]]>([
    ['*.yaml', ['a.yaml', 'b.yaml']],
    ['a.yaml', ['a.yaml']],
    ['./a.yaml', ['a.yaml']],
    ['?.y*ml', ['a.yaml', 'b.yaml', 'c.yml']],
    ['[!a].yaml', ['b.yaml']],
    ['[ab].*', ['a.yaml', 'b.yaml']],
    ['.*.yaml', ['.hidden.yaml']],
    ['sub/*.yaml', ['sub/d.yaml']],
    ['*/d.yaml', ['sub/d.yaml']],
    ['**/*.yaml', ['a.yaml', 'b.yaml', 'sub/d.yaml', 'sub/deep/e.yaml']],
    ['sub/**', ['sub/d.yaml', 'sub/deep/e.yaml']],
    ['**/deep/*.yaml', ['sub/deep/e.yaml']],
    ['sub/../a.yaml', ['a.yaml']],
    ['nowhere/*', []],
    ['nowhere.yaml', []],
    ['folder.yaml', ['folder.yaml']],
  ])('%s', async (glob, expected) => {
    const found = await expandGlob(glob, folder)
    expect(found.map((file) => path.relative(folder, file))).toEqual(expected)
  })

  test('may be absolute', async () => {
    expect(await expandGlob(`${folder}/*.yml`, '/nowhere')).toEqual([path.join(folder, 'c.yml')])
  })
})
