import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openZone, timezoneParam, utc } from '../../../src/core/time/zone.ts'

const names = [
  'Europe/Paris',
  'America/New_York',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Casablanca',
  'America/Sao_Paulo',
]
const anyZone = fc.constantFrom(...names)
const anyTime = fc.integer({ min: -2_500_000_000, max: 4_000_000_000 })

const formats = new Map(
  names.map((name) => [name, new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })]),
)

/** `GMT+05:45`, as Intl itself writes the offset. */
function intlOffset(name: string, time: number): number {
  const text =
    formats
      .get(name)
      ?.formatToParts(time * 1000)
      .find(({ type }) => type === 'timeZoneName')?.value ?? ''
  const [, sign, hours, minutes, seconds] = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text) ?? []
  const size = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)
  return sign === '-' ? -size : size
}

const utcOf = (text: string) => Date.parse(`${text}Z`) / 1000

test('an offset is what Intl shows', () => {
  fc.assert(
    fc.property(anyZone, anyTime, (name, time) => {
      expect(openZone(name).offsetAt(time)).toBe(intlOffset(name, time))
    }),
    { numRuns: 300 },
  )
})

test.each(names)('the offset of %s is right at every quarter of an hour around each change in 2010 to 2012', (name) => {
  const zone = openZone(name)
  const start = utcOf('2010-01-01T00:00:00')
  for (let day = 0; day < 1096; day++) {
    const time = start + day * 86_400
    if (intlOffset(name, time) === intlOffset(name, time + 86_400)) continue
    for (let at = time; at <= time + 86_400; at += 900) {
      expect(zone.offsetAt(at)).toBe(intlOffset(name, at))
      expect(zone.offsetAt(at - 0.001)).toBe(intlOffset(name, at - 0.001))
    }
  }
})

test('a local time leads back to its moment, or to the first moment that shows the same time', () => {
  fc.assert(
    fc.property(anyZone, anyTime, (name, time) => {
      const zone = openZone(name)
      const local = time + zone.offsetAt(time)
      const found = zone.fromLocal(local)
      expect(found + zone.offsetAt(found)).toBe(local)
      expect(found).toBeLessThanOrEqual(time)
    }),
    { numRuns: 300 },
  )
})

test.each([
  // Twice: the first one counts.
  ['Europe/Paris', '2023-10-29T02:30:00', '2023-10-29T00:30:00'],
  ['Europe/Paris', '2023-10-29T01:59:59', '2023-10-28T23:59:59'],
  ['Europe/Paris', '2023-10-29T02:59:59', '2023-10-29T00:59:59'],
  ['Europe/Paris', '2023-10-29T03:00:00', '2023-10-29T02:00:00'],
  ['America/New_York', '2023-11-05T01:30:00', '2023-11-05T05:30:00'],
  ['Australia/Lord_Howe', '2023-04-02T01:45:00', '2023-04-01T14:45:00'],
  // Never: moved on by the gap.
  ['Europe/Paris', '2023-03-26T02:00:00', '2023-03-26T01:00:00'],
  ['Europe/Paris', '2023-03-26T02:30:00', '2023-03-26T01:30:00'],
  ['Europe/Paris', '2023-03-26T03:00:00', '2023-03-26T01:00:00'],
  ['America/New_York', '2023-03-12T02:30:00', '2023-03-12T07:30:00'],
  ['Australia/Lord_Howe', '2023-10-01T02:15:00', '2023-09-30T15:45:00'],
  // A whole day that Samoa left out.
  ['Pacific/Apia', '2011-12-30T12:00:00', '2011-12-30T22:00:00'],
])('in %s, %s is %s UTC', (name, local, expected) => {
  expect(new Date(openZone(name).fromLocal(utcOf(local)) * 1000).toISOString().slice(0, 19)).toBe(expected)
})

test('UTC has several names and one zone', () => {
  for (const name of ['UTC', 'utc', 'Etc/UTC', 'GMT', 'Z']) expect(openZone(name)).toBe(utc)
})

test.each(['Europe/Atlantis', '', '+02:00', 'constructor', '../etc'])('%j names no zone', (name) => {
  expect(timezoneParam.safeParse(name).success).toBe(false)
})
