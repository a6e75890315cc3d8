import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ExpectedAlert } from '../../../src/core/config/types.ts'
import type { Event, EventRecord } from '../../../src/core/event.ts'
import { alertDifferences, compareAlerts } from '../../../src/core/lab/compare.ts'

const start = 1_767_225_600

function alert(record: EventRecord, at = 0, tag = 'alert', metadata: EventRecord = { id: 'x', rule: 'r' }): Event {
  return { tag, timestamp: start + at, record, metadata }
}

describe('an alert is as expected', () => {
  test.each<[string, ExpectedAlert, Event, string[]]>([
    ['when nothing is asked of it', {}, alert({ a: 1 }), []],
    ['with more fields than asked for', { record: { a: 1 } }, alert({ a: 1, b: 2 }), []],
    ['with more fields than asked for in a map inside', { record: { a: { b: 1 } } }, alert({ a: { b: 1, c: 2 } }), []],
    ['not without a field', { record: { a: 1 } }, alert({ b: 1 }), ['record.a']],
    ['not with a field that only its prototype has', { record: { toString: null } }, alert({}), ['record.toString']],
    ['not with a number for a text', { record: { a: '1' } }, alert({ a: 1 }), ['record.a']],
    ['not with a text for null', { record: { a: null } }, alert({ a: '' }), ['record.a']],
    ['with a list of the same items', { record: { a: [1, { b: 2 }] } }, alert({ a: [1, { b: 2, c: 3 }] }), []],
    ['not with a longer list', { record: { a: [1] } }, alert({ a: [1, 2] }), ['record.a']],
    ['not with another item', { record: { a: [1, 2] } }, alert({ a: [1, 3] }), ['record.a[1]']],
    ['not with a list for a map', { record: { a: {} } }, alert({ a: [] }), ['record.a']],
    ['with its tag', { tag: 'alert' }, alert({}), []],
    ['not with another tag', { tag: 'alert.x' }, alert({}), ['tag']],
    ['at its time', { at: 40.1 }, alert({}, 40.1), []],
    ['not a hundredth of a second later', { at: 40.1 }, alert({}, 40.11), ['at']],
    ['with a sum of fractions', { record: { a: 0.3 } }, alert({ a: 0.1 + 0.2 }), []],
    ['not with a number near it', { record: { a: 0.3 } }, alert({ a: 0.3000001 }), ['record.a']],
    ['with a number beyond 2^53', { record: { a: 2 ** 60 } }, alert({ a: 2n ** 60n }), []],
    [
      'not with a number that .inf is far from',
      { record: { a: Number.POSITIVE_INFINITY } },
      alert({ a: 5 }),
      ['record.a'],
    ],
    ['not with a great one', { record: { a: Number.POSITIVE_INFINITY } }, alert({ a: 2n ** 60n }), ['record.a']],
    ['with what is no number', { record: { a: Number.NaN } }, alert({ a: Number.NaN }), []],
    ['not with a great number for a fraction', { record: { a: 1.5 } }, alert({ a: 1n }), ['record.a']],
    ['with its cause', { cause: { u: 'x' } }, alert({}, 0, 'alert', { id: 'i', cause: { u: 'x', v: 1 } }), []],
    ['not without its cause', { cause: { u: 'x' } }, alert({}), ['cause']],
  ])('%s', (_, expected, actual, paths) => {
    expect(alertDifferences(expected, actual, start).map(({ path }) => path)).toEqual(paths)
  })
})

const expected = (...keys: string[]) => keys.map((k): ExpectedAlert => ({ record: { k } }))
const actual = (...keys: string[]) => keys.map((k) => alert({ k }))

describe('compareAlerts', () => {
  test.each([
    ['all as expected', expected('a', 'b'), actual('a', 'b'), ['same', 'same']],
    ['none expected, none came', [], [], []],
    ['one is missing in the middle', expected('a', 'b', 'c'), actual('a', 'c'), ['same', 'missing', 'same']],
    ['one too many in the middle', expected('a', 'c'), actual('a', 'b', 'c'), ['same', 'unexpected', 'same']],
    ['one is another', expected('a', 'b', 'c'), actual('a', 'x', 'c'), ['same', 'differs', 'same']],
    ['one is another, and one is missing', expected('a', 'b', 'c'), actual('x', 'c'), ['differs', 'missing', 'same']],
    ['the order is another', expected('a', 'b'), actual('b', 'a'), ['missing', 'same', 'unexpected']],
  ])('%s', (_, wanted, came, kinds) => {
    expect(compareAlerts(wanted, came, start).map(({ kind }) => kind)).toEqual(kinds)
  })

  test('finds as many that are as expected as there can be in order', () => {
    const keys = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 })
    fc.assert(
      fc.property(keys, keys, (wanted, came) => {
        const findings = compareAlerts(expected(...wanted), actual(...came), start)
        const count = (kind: string) => findings.filter((finding) => finding.kind === kind).length
        expect(count('same')).toBe(longest(wanted, came))
        expect(count('same') + count('differs') + count('missing')).toBe(wanted.length)
        expect(count('same') + count('differs') + count('unexpected')).toBe(came.length)
      }),
    )
  })
})

/** The longest common subsequence, by trying all. */
function longest([a, ...as]: string[], [b, ...bs]: string[]): number {
  if (a === undefined || b === undefined) return 0
  if (a === b) return 1 + longest(as, bs)
  return Math.max(longest([a, ...as], bs), longest(as, [b, ...bs]))
}
