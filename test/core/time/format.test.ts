import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileStrftime, formatMistake, strftimeParam } from '../../../src/core/time/format.ts'
import { openZone } from '../../../src/core/time/zone.ts'

/** What Python 3.11 on Linux wrote for these formats and moments. */
const python = JSON.parse(readFileSync(new URL('../../fixtures/strftime.json', import.meta.url), 'utf8')) as {
  formats: string[]
  cases: [zone: string, time: number, texts: string[]][]
}

test.each(python.cases)('every directive gives what Python gives, in %s at %d', (zone, time, texts) => {
  const got = python.formats.map((format) => compileStrftime(format, { zone: openZone(zone) })(time))
  expect(got).toEqual(texts)
})

test.each([
  ['%s', 1696509296.789, '1696509296'],
  ['%Z', 0, 'UTC'],
  ['%:z', 0, '+00:00'],
  ['%S.%f', 59.9999999, '00.000000'],
  ['%Y-%m-%d', -62135596800, '0001-01-01'],
  ['%Y-%m-%d', 253402300799, '9999-12-31'],
  ['no directive', 5, 'no directive'],
])('%s of %d is %s', (format, time, text) => {
  expect(compileStrftime(format)(time)).toBe(text)
})

test('the name of a zone follows its clocks', () => {
  const format = compileStrftime('%Z %:z', { zone: openZone('America/New_York') })
  expect([format(1696509296), format(1704067200)]).toEqual(['EDT -04:00', 'EST -05:00'])
  expect(compileStrftime('%Z', { zone: openZone('Europe/Paris') })(1696509296)).toBe('CEST')
})

test.each([
  ['%Y-%Q', 3, '%s'],
  ['%i', 0, '%M'],
  ['%H:%L', 3, '%f'],
  ['100%', 3, '%%'],
  ['%%%', 2, '%%'],
  ['%é', 0, '%%'],
  ['%-', 0, '%%'],
])('the format %s has a mistake at %d, and the message names %s', (format, index, hint) => {
  const issue = strftimeParam.safeParse(format).error?.issues[0]
  expect(issue).toMatchObject({ code: 'custom', params: { index } })
  expect(issue?.message).toContain(hint)
})

test('a format without mistakes passes', () => {
  for (const format of python.formats) expect(formatMistake(format)).toBeUndefined()
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, 253402300800, -62135596801])('%d is refused', (time) => {
  expect(() => compileStrftime('%Y')(time)).toThrow(expect.objectContaining({ code: 'DATE_UNREADABLE' }))
})

test('a formatter that keeps texts gives what a new one gives, in any order of times', () => {
  const format = fc.constantFrom('%Y-%m-%d', '%H', '%H:%M', '%S', '%f', '%c %z')
  const zone = fc.constantFrom('UTC', 'Europe/Paris', 'Asia/Kathmandu')
  const start = fc.integer({ min: -2e9, max: 4e9 })
  const steps = fc.array(fc.oneof(fc.double({ min: -2, max: 2, noNaN: true }), fc.integer({ min: -90000, max: 90000 })))
  fc.assert(
    fc.property(format, zone, start, steps, (text, name, from, moves) => {
      const kept = compileStrftime(text, { zone: openZone(name) })
      let time = from
      for (const move of moves) {
        time += move
        expect(kept(time)).toBe(compileStrftime(text, { zone: openZone(name) })(time))
      }
    }),
  )
})
