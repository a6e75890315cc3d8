import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDateReader } from '../../../src/core/time/parse-date.ts'
import { openZone, utc } from '../../../src/core/time/zone.ts'

/** 2024-01-01 01:00 UTC. */
const newYear = 1704070800
const read = createDateReader({ zone: utc, now: () => newYear })
const shown = (value: unknown, reader = read) => {
  const time = reader(value)
  return Number.isNaN(time) ? 'unreadable' : new Date(time * 1000).toISOString()
}

test.each([
  // ISO 8601, RFC 3339
  ['2023-10-05', '2023-10-05T00:00:00.000Z'],
  ['2023-10-05T12:34:56Z', '2023-10-05T12:34:56.000Z'],
  ['2023-10-05t12:34:56z', '2023-10-05T12:34:56.000Z'],
  ['2023-10-05 12:34', '2023-10-05T12:34:00.000Z'],
  ['2023-10-05 12:34:56,789', '2023-10-05T12:34:56.789Z'],
  ['2023-10-05T12:34:56.789+02:00', '2023-10-05T10:34:56.789Z'],
  ['2023-10-05T12:34:56+0200', '2023-10-05T10:34:56.000Z'],
  ['2023-10-05T12:34:56-05', '2023-10-05T17:34:56.000Z'],
  ['2023-10-05 12:34:56 +0200', '2023-10-05T10:34:56.000Z'],
  ['2023-10-05 12:34:56 UTC', '2023-10-05T12:34:56.000Z'],
  ['2023/10/05 12:34:56', '2023-10-05T12:34:56.000Z'],
  ['20231005', '2023-10-05T00:00:00.000Z'],
  ['20231005123456', '2023-10-05T12:34:56.000Z'],
  ['20231005T123456.5Z', '2023-10-05T12:34:56.500Z'],
  ['  2023-10-05T12:34:56Z\n', '2023-10-05T12:34:56.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.000Z'],
  // RFC 2822 and its older forms
  ['Thu, 05 Oct 2023 12:34:56 +0200', '2023-10-05T10:34:56.000Z'],
  ['Thu, 05 Oct 2023 12:34:56 +0200 (CEST)', '2023-10-05T10:34:56.000Z'],
  ['5 Oct 2023 12:34:56 GMT', '2023-10-05T12:34:56.000Z'],
  ['Thu, 5 Oct 23 12:34 EST', '2023-10-05T17:34:00.000Z'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  // Apache
  ['10/Oct/2000:13:55:36 -0700', '2000-10-10T20:55:36.000Z'],
  ['[10/Oct/2000:13:55:36 -0700]', '2000-10-10T20:55:36.000Z'],
  // ctime, date, Cisco
  ['Thu Oct  5 12:34:56 2023', '2023-10-05T12:34:56.000Z'],
  ['Thu Oct  5 12:34:56.250 2023', '2023-10-05T12:34:56.250Z'],
  ['Thu Oct  5 12:34:56 EDT 2023', '2023-10-05T16:34:56.000Z'],
  ['Oct  5 2023 12:34:56', '2023-10-05T12:34:56.000Z'],
  // epoch
  [0, '1970-01-01T00:00:00.000Z'],
  ['0', '1970-01-01T00:00:00.000Z'],
  [1696509296.5, '2023-10-05T12:34:56.500Z'],
  ['1696509296,5', '2023-10-05T12:34:56.500Z'],
  [1696509296789, '2023-10-05T12:34:56.789Z'],
  ['1696509296789', '2023-10-05T12:34:56.789Z'],
  [1696509296789123, '2023-10-05T12:34:56.789Z'],
  [1696509296789123456n, '2023-10-05T12:34:56.789Z'],
  ['1696509296789123456', '2023-10-05T12:34:56.789Z'],
  [-1.5, '1969-12-31T23:59:58.500Z'],
  ['-1.5', '1969-12-31T23:59:58.500Z'],
  ['-1696509296789', '1916-03-29T11:25:03.211Z'],
  [new Date(1696509296789), '2023-10-05T12:34:56.789Z'],
  // leap second
  ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
  ['2016-12-31T23:59:60.5Z', '2017-01-01T00:00:00.500Z'],
  // what people write
  ['5 October 2023', '2023-10-05T00:00:00.000Z'],
  ['October 5, 2023 3:04 PM', '2023-10-05T15:04:00.000Z'],
  ['10/05/2023 3:04:05 PM', '2023-10-05T15:04:05.000Z'],
  ['2023-10-05 03:04 PM', '2023-10-05T15:04:00.000Z'],
  ['2 hours ago', '2023-12-31T23:00:00.000Z'],
])('%s is %s', (value, expected) => {
  expect(shown(value)).toBe(expected)
})

test.each([
  '2023-02-29',
  '2023-02-30T12:00:00Z',
  '1900-02-29',
  '2023-13-01',
  '2023-00-10',
  '2023-10-00',
  '2023-10-05 25:00:00',
  '2023-10-05 24:00:00',
  '2023-10-05 12:60:00',
  '2023-10-05 12:34:61',
  '2023-10-05T12:34:56+24:00',
  '2023-10-05T12:34:56.',
  '0000-01-01',
  '31/Apr/2023:00:00:00 +0000',
  '10/Foo/2000:13:55:36 -0700',
  'Thu, 31 Feb 2023 12:34:56 +0200',
  'Feb 30 12:00:00',
  '30 February 2023',
  '5 October 2023 25:00',
  'hello 5 October 2023',
  '2023-10-05T12:34:56Z and more',
  '10 - 12 August 2023',
  'October 2023',
  '12:34',
  'now',
  'may',
  '',
  ' ',
  '-',
  '1e9',
  '0x10',
  '1.2.3',
  '١٢٣',
  '9'.repeat(21),
  'x'.repeat(300),
  ' '.repeat(300),
  1e20,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  null,
  undefined,
  true,
  {},
  [1696509296],
  new Date(Number.NaN),
])('%j is unreadable', (value) => {
  expect(shown(value)).toBe('unreadable')
})

test.each([
  ['2024-01-01T01:00:00Z', 'Dec 31 23:59:59', '2023-12-31T23:59:59.000Z'],
  ['2024-01-01T01:00:00Z', 'Jan  1 00:59:59', '2024-01-01T00:59:59.000Z'],
  // A sender whose clock is ahead.
  ['2024-01-01T01:00:00Z', 'Jan  1 02:00:00', '2024-01-01T02:00:00.000Z'],
  ['2023-12-31T23:59:00Z', 'Jan  1 00:00:10', '2024-01-01T00:00:10.000Z'],
  ['2024-01-01T01:00:00Z', 'Jan  3 00:00:00', '2023-01-03T00:00:00.000Z'],
  ['2024-02-28T00:00:00Z', 'Feb 29 00:00:00', '2024-02-29T00:00:00.000Z'],
  ['2024-02-27T00:00:00Z', 'Feb 29 00:00:00', '2020-02-29T00:00:00.000Z'],
  ['1904-02-27T00:00:00Z', 'Feb 29 00:00:00', '1896-02-29T00:00:00.000Z'],
  ['2024-06-01T00:00:00Z', 'Fri Mar  1 00:00:00', '2024-03-01T00:00:00.000Z'],
])('at %s, %s is %s', (now, text, expected) => {
  const at = Date.parse(now) / 1000
  expect(shown(text, createDateReader({ zone: utc, now: () => at }))).toBe(expected)
})

test('the year of a syslog date is that of the zone it is in', () => {
  // Already 2024 in Tokyo.
  const now = () => Date.parse('2023-12-31T20:00:00Z') / 1000
  const reader = createDateReader({ zone: openZone('Asia/Tokyo'), now })
  expect(shown('Jan  1 05:00:00', reader)).toBe('2023-12-31T20:00:00.000Z')
})

test('a date without a zone is in the zone of the reader, and one with a zone is not', () => {
  const reader = createDateReader({ zone: openZone('America/New_York'), now: () => newYear })
  expect(shown('2023-07-05 12:00:00', reader)).toBe('2023-07-05T16:00:00.000Z')
  expect(shown('2023-12-05 12:00:00', reader)).toBe('2023-12-05T17:00:00.000Z')
  expect(shown('2023-07-05 12:00:00Z', reader)).toBe('2023-07-05T12:00:00.000Z')
  expect(shown('5 July 2023 12:00', reader)).toBe('2023-07-05T16:00:00.000Z')
  expect(shown(1696509296, reader)).toBe('2023-10-05T12:34:56.000Z')
})

describe('any date', () => {
  const anyTime = fc
    .integer({ min: Date.UTC(1000, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 })
    .map((time) => new Date(time * 1000))
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
  const two = (value: number) => String(value).padStart(2, '0')
  const iso = (date: Date) => date.toISOString().slice(0, 19)
  const writers: Record<string, (date: Date) => string> = {
    'ISO 8601': iso,
    'ISO 8601 with Z': (date) => `${iso(date)}Z`,
    'ISO 8601 basic': (date) => `${iso(date).replace(/[-:]/g, '')}Z`,
    'with a space': (date) => iso(date).replace('T', ' '),
    'RFC 2822': (date) => date.toUTCString(),
    Apache: (date) =>
      `${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${iso(date).slice(11)} +0000`,
    ctime: (date) =>
      `${date.toUTCString().slice(0, 3)} ${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${iso(date).slice(11)} ${date.getUTCFullYear()}`,
    'a number': (date) => String(date.getTime() / 1000),
  }

  test.each(Object.entries(writers))('is read back from %s', (_name, write) => {
    fc.assert(
      fc.property(anyTime, (date) => {
        // As text, numbers of 8 digits are dates.
        fc.pre(!/^(\d{8}|\d{14})$/.test(write(date)) && Math.abs(date.getTime()) < 1e14)
        expect(read(write(date))).toBe(date.getTime() / 1000)
      }),
    )
  })

  test('is moved by its offset', () => {
    const offset = fc.record({
      sign: fc.constantFrom(1, -1),
      hours: fc.nat(23),
      minutes: fc.nat(59),
      colon: fc.boolean(),
    })
    fc.assert(
      fc.property(anyTime, offset, (date, { sign, hours, minutes, colon }) => {
        const zone = `${sign < 0 ? '-' : '+'}${two(hours)}${colon ? ':' : ''}${two(minutes)}`
        expect(read(iso(date) + zone)).toBe(date.getTime() / 1000 - sign * (hours * 3600 + minutes * 60))
      }),
    )
  })

  test('keeps its fraction to the last bit but one, whatever its length', () => {
    const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 40 }).map((all) => all.join(''))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4e9 }), digits, fc.constantFrom('.', ','), (time, fraction, point) => {
        const expected = Number(`${time}.${fraction}`)
        const got = read(iso(new Date(time * 1000)) + point + fraction)
        expect(Math.abs(got - expected)).toBeLessThanOrEqual(expected * Number.EPSILON)
      }),
    )
  })

  test('exists or is unreadable, never another', () => {
    const parts = fc.tuple(
      fc.integer({ min: 1900, max: 2100 }),
      fc.nat(14),
      fc.nat(33),
      fc.nat(26),
      fc.nat(62),
      fc.nat(62),
    )
    fc.assert(
      fc.property(parts, ([year, month, day, hour, minute, second]) => {
        const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
        const text = `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`
        const exists = iso(date) === text
        const leapSecond = second === 60 && iso(new Date(date.getTime() - 1000)) === text.replace(/60$/, '59')
        expect(read(text)).toBe(exists || leapSecond ? date.getTime() / 1000 : Number.NaN)
      }),
      { numRuns: 2000 },
    )
  })

  test('of the last months is read back from syslog, whatever the zone', () => {
    const zones = fc.constantFrom('UTC', 'Europe/Paris', 'Asia/Kathmandu', 'Pacific/Apia')
    const now = fc.integer({ min: 1_300_000_000, max: 2_000_000_000 })
    fc.assert(
      fc.property(zones, now, fc.nat(300 * 86_400), (name, at, ago) => {
        const zone = openZone(name)
        const time = at - ago
        const local = new Date((time + zone.offsetAt(time)) * 1000)
        const text = `${months[local.getUTCMonth()]} ${String(local.getUTCDate()).padStart(2)} ${iso(local).slice(11)}`
        const found = createDateReader({ zone, now: () => at })(text)
        // Of two moments with the same local time, it is the first.
        expect(found).toBe(zone.fromLocal(local.getTime() / 1000))
      }),
    )
  })
})

test('no text makes the reader throw', () => {
  const piece = fc.constantFrom(
    '1',
    '12',
    '2023',
    '-',
    ':',
    '/',
    ' ',
    'Oct',
    'PM',
    '+',
    'Z',
    'T',
    'ago',
    'days',
    ',',
    '.',
    '[',
    '(',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 20 }).map((all) => all.join('')),
      ),
      (text) => {
        expect(typeof read(text)).toBe('number')
      },
    ),
    { numRuns: 2000 },
  )
})
