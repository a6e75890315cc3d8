import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCsv } from '../../src/core/csv.ts'

test.each([
  [{ a: 1, b: 'x' }, '1,x'],
  [{ a: true, b: 1.5 }, 'true,1.5'],
  [{ a: 'say "hi"', b: 'x,y' }, '"say ""hi""","x,y"'],
  [{ a: 'two\nlines', b: 'cr\r' }, '"two\nlines","cr\r"'],
  [{ a: null }, ','],
  [{ a: '', b: '' }, '"",""'],
  [{ a: { c: 'x', d: [1] }, b: 12345678901234567890n }, '"{""c"":""x"",""d"":[1]}",12345678901234567890'],
  [{ a: '=1+1', b: ' spaced ' }, '=1+1, spaced '],
])('record %# is written as a line', (record, line) => {
  expect(createCsv(['a', 'b']).line(record)).toBe(line)
})

test('a column may be a dotted path, and its name is quoted like a value', () => {
  const csv = createCsv(['user.name', 'a,b'])
  expect(csv.head).toBe('user.name,"a,b"\n')
  expect(csv.line({ user: { name: 'ann' }, 'a,b': 1 })).toBe('ann,1')
})

test('a line with one empty cell is not blank, which readers would skip', () => {
  expect(createCsv(['a']).line({})).toBe('""')
})

/** RFC 4180, read one character at a time. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (quoted && char === '"' && text[i + 1] === '"') cell += text[++i]
    else if (char === '"') quoted = !quoted
    else if (!quoted && char === ',') {
      row.push(cell)
      cell = ''
    } else if (!quoted && char === '\n') {
      rows.push([...row, cell])
      row = []
      cell = ''
    } else cell += char
  }
  return rows
}

test('texts are read back by a reader of RFC 4180', () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom('"', ',', '\n', '\r', 'a')).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(fc.array(fc.record({ a: text, b: text }), { minLength: 1 }), (records) => {
      const csv = createCsv(['a', 'b'])
      const written = records.map((record) => `${csv.line(record)}\n`).join('')
      expect(parseCsv(written)).toEqual(records.map(({ a, b }) => [a, b]))
    }),
  )
})
