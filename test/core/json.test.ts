import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { indentJson, stringifyJson } from '../../src/core/json.ts'

describe('stringifyJson', () => {
  test.each<[unknown, string]>([
    [{ a: 1 }, '{"a":1}'],
    [undefined, 'null'],
    [Number.NaN, 'null'],
    [12345678901234567890n, '12345678901234567890'],
    [{ a: [1n, { b: -2n }], c: undefined, d: null }, '{"a":[1,{"b":-2}],"d":null}'],
    [[undefined, 1n, Number.POSITIVE_INFINITY], '[null,1,null]'],
    // A list with a hole.
    [Object.assign(new Array(2), { 1: 1n }), '[null,1]'],
    [{ at: new Date(0), n: 1n }, '{"at":"1970-01-01T00:00:00.000Z","n":1}'],
    [JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
    [Object.assign(JSON.parse('{"__proto__":1}'), { n: 1n }), '{"__proto__":1,"n":1}'],
    ['line\u2028 \ud800"', JSON.stringify('line\u2028 \ud800"')],
  ])('case %#', (value, expected) => {
    expect(stringifyJson(value)).toBe(expected)
  })

  test('with a BigInt somewhere, everything else is written as JSON.stringify writes it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(stringifyJson([value, 1n])).toBe(`[${JSON.stringify(value)},1]`)
        expect(indentJson([value, 1n])).toBe(JSON.stringify([value, 1], null, 2))
      }),
    )
  })

  test('indented, an integer beyond 2^53 keeps its digits', () => {
    expect(indentJson({ a: [], b: { n: 9007199254740993n } })).toBe(
      '{\n  "a": [],\n  "b": {\n    "n": 9007199254740993\n  }\n}',
    )
  })

  test.each([0, 1n])('data deeper than the stack is a RangeError, with %s at the bottom', (bottom) => {
    let value: unknown = bottom
    for (let i = 0; i < 100_000; i++) value = i % 2 === 0 ? [value] : { a: value }
    expect(() => stringifyJson(value)).toThrow(RangeError)
  })

  test('a cycle throws and does not hang', () => {
    const cycle: Record<string, unknown> = { n: 1n }
    cycle.self = cycle
    expect(() => stringifyJson(cycle)).toThrow()
  })
})
