import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMsgpack } from '../../src/protocol/msgpack-decoder.ts'
import { MsgpackWriter } from '../../src/protocol/msgpack-writer.ts'
import { hex } from './traffic.ts'

/** More maps than it takes to learn their keys. */
const many = 100

type Pairs = readonly (readonly [key: string, value: unknown])[]

/** Maps as they are on the wire: also with keys that are equal. */
function encode(maps: readonly Pairs[]): Buffer {
  const writer = new MsgpackWriter().arrayHeader(maps.length)
  for (const pairs of maps) {
    writer.mapHeader(pairs.length)
    for (const [key, value] of pairs) writer.str(key).value(value)
  }
  return writer.take()
}

/** What they are to become, made without any of the decoder's code. */
function expected(maps: readonly Pairs[]): unknown[] {
  return maps.map((pairs) => Object.fromEntries(pairs))
}

describe('maps with the same keys again and again', () => {
  const usual: Pairs = [
    ['host', 'web-1'],
    ['n', 1],
    ['a key of more than 24 bytes in a row', { a: 1, b: [2, { a: 3, b: 4 }] }],
    ['ok', true],
  ]
  const cases: [name: string, other: Pairs][] = [
    ['another last key', [...usual.slice(0, 3), ['on', false]]],
    ['another first key', [['hosts', 1], ...usual.slice(1)]],
    ['another key in the middle', [...usual.slice(0, 2), ['a key of more than 24 bytes in a rox', 1], ['ok', 2]]],
    ['another order', [...usual.slice(0, 1), ...usual.slice(1).reverse()]],
    ['the same key twice', [...usual.slice(0, 3), ['host', 'last one wins']]],
    ['__proto__ as a key', [...usual.slice(0, 3), ['__proto__', { polluted: true }]]],
    ['numbers as keys', [...usual.slice(0, 2), ['2', 1], ['1', 2]]],
    ['characters that end a literal', [...usual.slice(0, 2), ['"]: 1}; //\n\u2028', 1], ["'`$1\\", 2]]],
    ['fewer keys', usual.slice(0, 3)],
  ]
  it.each(cases)('are read rightly when one of them has %s', (_, other) => {
    for (const [most, one] of [
      [usual, other],
      [other, usual],
    ] as const) {
      const maps = [...Array<Pairs>(many).fill(most), one, ...Array<Pairs>(many).fill(most)]
      const decoded = decodeMsgpack(encode(maps))
      expect(decoded).toStrictEqual(expected(maps))
      expect(Object.hasOwn({}, 'polluted')).toBe(false)
    }
  })

  it('are read rightly when a short map ends the bytes', () => {
    decodeMsgpack(encode(Array<Pairs>(many).fill([['hostname', 1]])))
    expect(decodeMsgpack(hex('81 a8 68 6f 73 74 6e 61 6d 65 01'))).toStrictEqual({ hostname: 1 })
    expect(decodeMsgpack(hex('81 a8 68 6f 73 74 6e 61 6d 66 01'))).toStrictEqual({ hostnamf: 1 })
    expect(decodeMsgpack(hex('82 a1 68 01 a1 69 02'))).toStrictEqual({ h: 1, i: 2 })
    decodeMsgpack(encode(Array<Pairs>(many).fill([['long-name', 1]])))
    expect(decodeMsgpack(hex('81 a0 01'))).toStrictEqual({ '': 1 })
  })

  it('are read rightly when maps of another size with the same first key are kept in the same place', () => {
    // An empty key has no second byte: that of the value tells where the keys are kept.
    const small: Pairs = [['', 65_536]]
    const large: Pairs = [
      ['', { a: 0, b: 0, c: 0, d: 0 }],
      ['e', null],
      ['f', 1],
    ]
    for (const [most, one] of [
      [small, large],
      [large, small],
    ] as const) {
      const maps = [...Array<Pairs>(many).fill(most), one, ...Array<Pairs>(many).fill(most)]
      expect(decodeMsgpack(encode(maps))).toStrictEqual(expected(maps))
    }
  })

  it('are read as their pairs say, whatever keys come in whatever order', () => {
    const key = fc.constantFrom('a', 'b', 'ab', '__proto__', 'constructor', '', 'é', 'a long key', '0', 'a\u0000b')
    const value = fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.dictionary(fc.string(), fc.integer()))
    const pairs = fc.array(fc.tuple(key, value), { maxLength: 5 })
    fc.assert(
      fc.property(fc.array(pairs, { minLength: 1, maxLength: 4 }), (kinds) => {
        const maps = Array.from({ length: many }, (_, i) => kinds[(i * i) % kinds.length] ?? [])
        expect(decodeMsgpack(encode(maps))).toEqual(expected(maps))
      }),
      { numRuns: 100 },
    )
  })
})

it('reads short texts rightly when others with the same beginning, end and length came before', () => {
  const texts = Array.from({ length: 5000 }, (_, i) => `web-${i % 777}${'x'.repeat(i % 21)}é`.slice(i % 5))
  expect(decodeMsgpack(new MsgpackWriter().value(texts).take())).toStrictEqual(texts)
})
