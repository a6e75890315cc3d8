import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { staleFiles, writeDocs } from '../../scripts/docs.ts'
import { actions } from '../../src/actions/index.ts'

it('docs/reference is what the specs say (if not: npm run docs)', () => {
  expect(staleFiles()).toEqual([])
})

it('writes one page an action, and notices a page that is changed, missing or of no action', () => {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-docs-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const pages = [...actions.map(({ name }) => `${name}.md`), 'README.md', 'configuration.md', 'errors.md'].sort()
  expect(writeDocs(folder)).toEqual(pages)
  expect(staleFiles(folder)).toEqual([])

  writeFileSync(join(folder, 'errors.md'), 'by hand')
  rmSync(join(folder, 'README.md'))
  writeFileSync(join(folder, 'filter_gone.md'), '')
  expect(staleFiles(folder)).toEqual(['README.md', 'errors.md', 'filter_gone.md'])
  writeDocs(folder)
  expect(staleFiles(folder)).toEqual([])
})
