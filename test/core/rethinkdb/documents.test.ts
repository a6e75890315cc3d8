import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventRecord } from '../../../src/core/event.ts'
import { decodeDocument, encodeDocument } from '../../../src/core/rethinkdb/documents.ts'

const idFor = () => 'made'

function through(record: EventRecord): EventRecord {
  return decodeDocument(encodeDocument(record, idFor).text)
}

function nested(levels: number): EventRecord {
  let record: EventRecord = {}
  for (let i = 1; i < levels; i++) record = { a: record }
  return record
}

describe('a record as a document', () => {
  it.each<[title: string, record: EventRecord, text: string]>([
    ['plain values', { id: 1, a: [null, true, 'x'] }, '{"id":1,"a":[null,true,"x"]}'],
    ['a record without an id', { a: 1 }, '{"id":"made","a":1}'],
    ['an empty record', {}, '{"id":"made"}'],
    ['a large integer', { id: 1, n: 9223372036854775807n }, '{"id":1,"n":{"$feedoo:int":"9223372036854775807"}}'],
    ['a small one of the same type', { id: 7n }, '{"id":7}'],
    ['infinity', { id: 1, n: Number.NEGATIVE_INFINITY }, '{"id":1,"n":{"$feedoo:float":"-Infinity"}}'],
    ['bytes', { id: 1, b: Buffer.from([0, 255]) }, '{"id":1,"b":{"$reql_type$":"BINARY","data":"AP8="}}'],
    [
      'a date',
      { id: 1, d: new Date(1_600_000_000_123) },
      '{"id":1,"d":{"$reql_type$":"TIME","epoch_time":1600000000.123,"timezone":"+00:00"}}',
    ],
    ['a list as id', { id: [1] }, '{"id":"made","$feedoo:id":[1]}'],
    [
      'a large integer as id',
      { id: -9223372036854775808n, a: 1 },
      '{"id":"-9223372036854775808","$feedoo:id":{"$feedoo:int":"-9223372036854775808"},"a":1}',
    ],
    ['a key of RethinkDB', { id: 1, m: { $reql_type$: 'TIME' } }, '{"id":1,"m":{"$feedoo:key:$reql_type$":"TIME"}}'],
    ['a key of ours', { id: 1, '$feedoo:id': 2 }, '{"id":1,"$feedoo:key:$feedoo:id":2}'],
    ['__proto__', JSON.parse('{"id":1,"__proto__":{"a":1}}'), '{"id":1,"$feedoo:key:__proto__":{"a":1}}'],
  ])('holds %s', (_, record, text) => {
    expect(encodeDocument(record, idFor).text).toBe(text)
  })

  it.each<[title: string, id: unknown, key: string]>([
    ['text', 'a', '"a"'],
    ['a number', 1.5, '1.5'],
    ['a boolean', false, 'false'],
    ['null', null, '"made"'],
    ['nothing', undefined, '"made"'],
    ['a map', { a: 1 }, '"made"'],
    ['text of 128 bytes', 'ü'.repeat(64), '"made"'],
    ['text of 127 bytes', 'a'.repeat(127), JSON.stringify('a'.repeat(127))],
    ['text with a NUL', 'a\0', '"made"'],
    ['NaN', Number.NaN, '"made"'],
  ])('has a primary key from an id that is %s', (_, id, key) => {
    expect(encodeDocument({ id }, idFor).key).toBe(key)
  })

  it.each<[title: string, record: EventRecord]>([
    ['101 levels', nested(101)],
    ['a list of 101 levels', { a: JSON.parse('['.repeat(100) + ']'.repeat(100)) }],
    ['no date', { d: new Date(Number.NaN) }],
    ['the year 1399', { d: new Date('1399-12-31T23:59:59Z') }],
    ['the year 10000', { d: new Date('+010000-01-01T00:00:00Z') }],
    ['a function', { f: () => 1 }],
    ['a map of JavaScript', { m: new Map() }],
  ])('is refused with %s', (_, record) => {
    expect(() => encodeDocument(record, idFor)).toThrow(expect.objectContaining({ code: 'RECORD_UNWRITABLE' }))
  })

  it('may have 100 levels', () => {
    expect(through({ ...nested(100), id: 1 })).toEqual({ ...nested(100), id: 1 })
  })

  it('comes back as it was, whatever it holds', () => {
    const leaf = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.double().filter((n) => !Object.is(n, -0)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter((n) => n > 2n ** 53n || n < -(2n ** 53n)),
      fc.string({ unit: 'grapheme' }),
      fc.date({ min: new Date('1400-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    )
    const key = fc.oneof(
      fc.string(),
      fc.constantFrom('id', '__proto__', '$reql_type$', '$feedoo:int', '$feedoo:key:a', '$feedoo:id', 'epoch_time'),
    )
    const { map } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, leaf, tie('map'), fc.array(tie('value'), { maxLength: 4 })),
      map: fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    }))
    fc.assert(
      fc.property(map, (value) => {
        const record = value as EventRecord
        const expected = Object.hasOwn(record, 'id') ? record : withId(record)
        expect(entriesOf(through(record))).toEqual(entriesOf(expected))
      }),
    )
  })
})

describe('a document that others wrote', () => {
  it.each<[title: string, text: string, record: EventRecord]>([
    [
      'a date between two milliseconds',
      '{"d":{"$reql_type$":"TIME","epoch_time":1600000000.1239998,"timezone":"+02:00"}}',
      { d: new Date(1_600_000_000_124) },
    ],
    [
      'a point',
      '{"p":{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[1,2]}}',
      { p: { $reql_type$: 'GEOMETRY', type: 'Point', coordinates: [1, 2] } },
    ],
    ['a mark that is none', '{"n":{"$feedoo:int":"1e9"}}', { n: { '$feedoo:int': '1e9' } }],
  ])('is read with %s', (_, text, record) => {
    expect(decodeDocument(text)).toEqual(record)
  })

  it('keeps its prototype when it has a key __proto__', () => {
    const record = decodeDocument('{"__proto__":{"polluted":1},"a":"$"}')
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
    expect(Object.keys(record)).toEqual(['__proto__', 'a'])
  })
})

function withId(record: EventRecord): EventRecord {
  const copy = Object.create(null)
  for (const key of Object.keys(record)) copy[key] = record[key]
  copy.id = 'made'
  return copy
}

/** Maps as sorted lists of pairs: prototypes do not hide in them, and RethinkDB sorts keys. */
function entriesOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(entriesOf)
  if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return value
  return Object.entries(value)
    .map(([key, item]) => [key, entriesOf(item)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}
