import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileTableName, tableTemplateParam, withoutControls } from '../../../src/core/series/writer-table.ts'

/** 2023-10-05 12:34:56 UTC. */
const noon = 1696509296

const rules = { maxBytes: 80, clean: withoutControls }

test.each([
  ['log_{source}', { source: 'a-b' }, 'log_a-b'],
  ['log_{source}', { source: 'x"; DROP TABLE y;--' }, 'log_x"; DROP TABLE y;--'],
  ['log_{source}', { source: '../z' }, 'log_../z'],
  ['log_{source}', { source: 'a\0b\n\u0085c' }, 'log_a_b__c'],
  ['log_{source}', { source: '\ud800x' }, 'log__x'],
  ['log_{source}', { source: '' }, 'log__'],
  ['log_{source}', {}, 'log_unknown'],
  ['log_{source}', { source: null }, 'log_unknown'],
  ['log_{a.b}_%Y-%m-%d', { a: { b: 5 } }, 'log_5_2023-10-05'],
  ['{source}_%Y', { source: 'é'.repeat(100) }, `${'é'.repeat(29)}_2023`],
])('%s for %j is %s', (template, record, name) => {
  expect(compileTableName(template, rules)(noon, record)).toBe(name)
})

test('the last word on a name is the store its own', () => {
  const table = compileTableName('{a}', { ...rules, finish: (name) => `_${name}` })
  expect(table(noon, { a: 'x' })).toBe('_x')
})

test('a name keeps to its bytes and holds no control characters, whatever the values', () => {
  const table = compileTableName('log_{a}_%Y_{b}', rules)
  const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 }), fc.jsonValue())
  fc.assert(
    fc.property(value, value, (a, b) => {
      const name = table(noon, { a, b })
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(80)
      expect(name).not.toMatch(/[\p{Cc}\p{Cs}]/u)
      expect(name).toMatch(/^log_.+_2023_./su)
    }),
  )
})

test.each(['', 'a\nb', 'log_%Q', 'x'.repeat(1001)])('%j is no template', (template) => {
  expect(tableTemplateParam.safeParse(template).success).toBe(false)
})
