import fc from 'fast-check'
import { expect, it } from 'vitest'
import { copyText, keyOf, keyValue } from '../../../src/core/rules/identity.ts'
import { nameOf } from '../../helpers/naive-alerts.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\0', '\0s', '\0[1]', '\0#', '\0n1', '[1]', '1'),
)
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n }),
    fc.array(tie('any')),
    fc.dictionary(text, tie('any')),
  ),
})).any

it('two values have the same key when, and only when, they are the same', () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      expect(keyOf(a) === keyOf(b)).toBe(nameOf(a) === nameOf(b))
      expect(keyOf(structuredClone(a))).toBe(keyOf(a))
    }),
  )
})

it('a key gives its value back', () => {
  fc.assert(fc.property(value, (one) => void expect(keyValue(keyOf(one, 1e6) ?? null)).toEqual(one)))
})

it('keeps apart what JSON has no form for', () => {
  const values = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    'NaN',
    null,
    Buffer.from('a'),
    'YQ==',
    1n,
    1,
    '1',
  ]
  for (const wrap of [(one: unknown) => one, (one: unknown) => [one]]) {
    expect(new Set(values.map((one) => keyOf(wrap(one)))).size).toBe(values.length)
    for (const one of values) expect(keyValue(keyOf(wrap(one)) ?? null)).toEqual(wrap(one))
  }
})

it('keeps a long list apart from the text that it is written as', () => {
  const list = ['x'.repeat(2000)]
  const texts = [JSON.stringify(list), `\0${JSON.stringify(list)}`]
  expect(new Set([list, ...texts].map((one) => keyOf(one))).size).toBe(3)
})

it('refuses what is nested too deep, and does not overflow the stack', () => {
  let deep: unknown = 1
  for (let level = 0; level < 100_000; level++) deep = [deep]
  expect(() => keyOf(deep)).toThrow('nested more than')
})

it('copies any text', () => {
  fc.assert(fc.property(text, (one) => void expect(copyText(one)).toBe(one)))
})
