import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '../../../src/core/config/diagnostic.ts'
import { fixtures, loadFile } from './helpers.ts'

// Each file says in leading comments what is wrong with it:
// # expect: [file:]line:column severity part of the message [| part of the hint]
const folder = path.join(fixtures, 'broken')
const files = readdirSync(folder).filter((file) => /^\d.*\.yaml$/.test(file))

interface Expected {
  file: string
  line: number
  column: number
  severity: string
  message: string
  hint: string | undefined
}

function expectations(file: string): Expected[] {
  const text = readFileSync(path.join(folder, file), 'utf8')
  return [...text.matchAll(/^# expect: (.*)$/gm)].map(([, expectation = '']) => {
    const parts = /^(?:(\S+):)?(\d+):(\d+) (error|warning) (.*?)(?: \| (.*))?$/.exec(expectation)
    if (parts === null) throw new Error(`${file}: cannot read "${expectation}"`)
    const [, other = file, line, column, severity = '', message = '', hint] = parts
    return { file: other, line: Number(line), column: Number(column), severity, message, hint }
  })
}

/** The diagnostic in the form of the expectation: with the parts of its texts that are expected. */
function seen(one: Diagnostic, expected: Expected | undefined): Expected {
  const part = (text: string | undefined, wanted: string | undefined) =>
    wanted !== undefined && text?.includes(wanted) ? wanted : text
  return {
    file: path.relative(folder, one.file),
    line: one.line,
    column: one.column,
    severity: one.severity,
    message: part(one.message.replaceAll(`${folder}/`, ''), expected?.message) ?? '',
    hint: part(one.hint, expected?.hint),
  }
}

describe('a broken configuration is reported at its exact place', () => {
  test('there are at least forty', () => {
    expect(files.length).toBeGreaterThanOrEqual(40)
  })

  test.each(files)('%s', async (file) => {
    const expected = expectations(file)
    expect(expected).not.toEqual([])
    const { config, diagnostics } = await loadFile(path.join(folder, file))
    // A hint is only compared where one is expected: some name folders of this machine.
    const found = diagnostics.map((one, i) => {
      const wanted = expected[i]
      return { ...seen(one, wanted), ...(wanted?.hint === undefined ? { hint: undefined } : {}) }
    })
    expect(found).toEqual(expected)
    expect(config === undefined).toBe(diagnostics.some(({ severity }) => severity === 'error'))
  })
})

describe('a file that cannot be read is reported', () => {
  test.each([
    ['nowhere.yaml', 'there is no such file'],
    ['parts/folder.yaml', 'it is a folder'],
    ['parts/latin1.bin', 'it is not UTF-8 text'],
  ])('%s', async (file, reason) => {
    const { config, diagnostics } = await loadFile(path.join(folder, file))
    expect(config).toBeUndefined()
    expect(diagnostics).toHaveLength(1)
    expect(diagnostics[0]).toMatchObject({ line: 1, column: 1, message: `cannot read this file: ${reason}` })
  })
})
