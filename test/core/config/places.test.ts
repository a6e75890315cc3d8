import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Document, Scalar } from 'yaml'
import { diagnosticAt } from '../../../src/core/config/diagnostic.ts'
import { parseYaml } from '../../../src/core/config/parse.ts'
import { Reporter } from '../../../src/core/config/reporter.ts'
import { createSource } from '../../../src/core/config/source.ts'
import { textOf, toValue, treeAt } from '../../../src/core/config/tree.ts'

function parse(text: string) {
  const source = createSource('test.yaml', text)
  const reporter = new Reporter()
  const tree = parseYaml(source, reporter)
  return { tree, diagnostics: reporter.list([]) }
}

/** What stands in the source at an index of the value at `key`. */
function sourceAt(text: string, index: number): string | undefined {
  const { tree } = parse(text)
  const scalar = tree && treeAt(tree, ['key'])
  if (scalar?.kind !== 'scalar') throw new Error('no scalar')
  return text.slice(scalar.placeOf(index).start)
}

describe('an index of a value leads to its place in the source', () => {
  test.each<[string, string, number, string]>([
    ['plain', 'key: a{b\n', 1, '{b'],
    ['plain over lines', 'key: one\n  two\n', 4, 'two'],
    ['single quotes', "key: 'a''b'\n", 2, 'b'],
    ['single quotes over lines', "key: 'it''s\n   here'\n", 5, 'here'],
    ['double quotes', 'key: "a\\tb"\n', 2, 'b'],
    ['double quotes with a hex escape', 'key: "\\x41\\u00e9b"\n', 2, 'b'],
    ['double quotes with a long escape', 'key: "\\U0001F600b"\n', 2, 'b'],
    ['double quotes over lines', 'key: "one\n\n  two"\n', 4, 'two'],
    ['double quotes with an escaped line end', 'key: "one\\\n  two"\n', 3, 'two'],
    ['literal', 'key: |\n  one\n    two\n', 6, 'two'],
    ['folded', 'key: >-\n  one\n  two\n', 4, 'two'],
  ])('%s', (_, text, index, expected) => {
    expect(sourceAt(text, index)?.startsWith(expected)).toBe(true)
  })

  const styles: Scalar.Type[] = [
    Scalar.PLAIN,
    Scalar.QUOTE_SINGLE,
    Scalar.QUOTE_DOUBLE,
    Scalar.BLOCK_LITERAL,
    Scalar.BLOCK_FOLDED,
  ]
  test('whatever the text, in every style', () => {
    const chars = fc.string({
      unit: fc.constantFrom('a', 'b', "'", '"', '\\', ' ', '\n', 'é', '#', ':', '-'),
      minLength: 1,
      maxLength: 120,
    })
    fc.assert(
      fc.property(chars, fc.constantFrom(...styles), fc.nat(), (content, style, nat) => {
        const scalar = new Scalar(content)
        scalar.type = style
        const text = new Document({ key: scalar }).toString({ lineWidth: 30, minContentWidth: 10 })
        // The writer of the library does not keep every text in every style: what it wrote is what counts.
        const { tree } = parse(text)
        const value = textOf(tree && treeAt(tree, ['key']))
        fc.pre(value !== undefined && value !== '')
        const index = nat % value.length
        const char = value.charAt(index)
        // White space may be folded away; its place is only near.
        fc.pre(/\S/.test(char))
        const found = sourceAt(text, index) ?? ''
        const escaped = { '"': ['"', '\\"'], '\\': ['\\', '\\\\'], "'": ["'", "''"] }[char] ?? [char]
        expect(escaped.some((spelling) => found.startsWith(spelling))).toBe(true)
        // Not merely the same character elsewhere: as many of them follow as in the value.
        const inValue = value.slice(index).split('b').length
        expect(found.split('b').length).toBe(inValue)
      }),
      { numRuns: 500 },
    )
  })
})

describe('YAML', () => {
  test.each<[string, string, unknown]>([
    ['aliases', 'a: &x [1]\nb: *x\n', { a: [1], b: [1] }],
    ['an anchor given twice', 'a: &x 1\nb: &x 2\nc: *x\n', { a: 1, b: 2, c: 2 }],
    ['merge keys', 'a: &x { k: 1, l: 2 }\nb: { <<: *x, l: 3 }\n', { a: { k: 1, l: 2 }, b: { k: 1, l: 3 } }],
    ['own keys that stand before', 'a: { l: 3, <<: { k: 1, l: 2 } }\n', { a: { l: 3, k: 1 } }],
    ['lists of merged maps, the first wins', 'a: { <<: [{ k: 1 }, { k: 2, m: 4 }] }\n', { a: { k: 1, m: 4 } }],
    [
      'a merge of a merge',
      'a: &x { k: 1 }\nb: &y { <<: *x }\nc: { <<: *y }\n',
      { a: { k: 1 }, b: { k: 1 }, c: { k: 1 } },
    ],
    ['a quoted <<', 'a: { "<<": 1 }\n', { a: { '<<': 1 } }],
    ['keys that are no text', '1: a\ntrue: b\n', { '1': 'a', true: 'b' }],
    [
      'YAML 1.2 scalars',
      'a: [yes, 0o17, 1_000, 1:30, ~, .inf]\n',
      { a: ['yes', 15, '1_000', '1:30', null, Number.POSITIVE_INFINITY] },
    ],
    ['an explicit tag', 'a: !!str 5\n', { a: '5' }],
    ['Windows line ends', 'a: 1\r\nb: "x"\r\n', { a: 1, b: 'x' }],
  ])('understands %s', (_, text, expected) => {
    const { tree, diagnostics } = parse(text)
    expect(diagnostics).toEqual([])
    expect(tree && toValue(tree)).toEqual(expected)
  })

  test('keeps __proto__ a key like any other', () => {
    const { tree } = parse('__proto__: { a: 1 }\n')
    const value = tree && toValue(tree)
    expect(Object.keys(value ?? {})).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test.each([
    ['flow', '['.repeat(20_000)],
    ['flow maps', '{a: '.repeat(20_000)],
    ['dashes', `${'- '.repeat(20_000)}a\n`],
    ['indentation', Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ])('is refused, not a crash, when nested too deep: %s', (_, text) => {
    const { tree, diagnostics } = parse(text)
    expect(tree).toBeUndefined()
    expect(diagnostics.map(({ message }) => message)).toEqual(['lists and maps stand in each other more than 100 deep'])
  })

  test('a thousand aliases of one small map are no bomb', () => {
    const { tree, diagnostics } = parse(`a: &x { k: 1 }\nb:\n${'  - *x\n'.repeat(1000)}`)
    expect(diagnostics).toEqual([])
    expect(tree).toBeDefined()
  })

  test('counts columns in characters', () => {
    const source = createSource('test.yaml', 'é😀: x\n')
    expect(diagnosticAt({ source, start: 5, end: 6 }, 'error', '')).toMatchObject({ line: 1, column: 5 })
  })
})
