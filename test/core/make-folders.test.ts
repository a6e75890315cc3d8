import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { makeFolders } from '../../src/core/make-folders.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-folders-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

test('makes what is missing and says what it made, the deepest first', () => {
  const deep = join(folder, 'a/b/c')
  expect(makeFolders(deep, 0o700)).toEqual([deep, join(folder, 'a/b'), join(folder, 'a')])
  expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o700)
  expect(makeFolders(deep)).toEqual([])
  expect(makeFolders(join(folder, 'a/x'))).toEqual([join(folder, 'a/x')])
})

test.each([
  ['a file', 'file', 'ENOTDIR'],
  ['a file above', 'file/below/it', 'ENOTDIR'],
  ['a link to nothing', 'link', 'EEXIST'],
])('throws when %s is in the way', (_, place, code) => {
  writeFileSync(join(folder, 'file'), '')
  symlinkSync(join(folder, 'nowhere'), join(folder, 'link'))
  expect(() => makeFolders(join(folder, place))).toThrow(expect.objectContaining({ code }))
  expect(existsSync(join(folder, 'nowhere'))).toBe(false)
})

test('comes back from where the system makes no folders', () => {
  expect(() => makeFolders('/proc/feedoo/a')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
})
