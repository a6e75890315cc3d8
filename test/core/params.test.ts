import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { fieldParam, matchParam, outputParams, tagParam } from '../../src/core/params.ts'

const cases: [string, z.ZodType, unknown[], unknown[]][] = [
  ['match', matchParam, ['*', 'web.[ab]', ['a', 'b.*'], undefined], ['', [], [''], 7, null, 'web.[a', ['ok', '[z-a]']]],
  ['tag', tagParam, ['a', 'a b', 'x'.repeat(1024), '😀'], ['', 'x'.repeat(1025), 'a\nb', 'a\u0000', '\u0085', 7]],
  ['a field', fieldParam, ['a', 'a.b', '__proto__', '.'], ['', 7, null]],
  ['buffer_size', outputParams.buffer_size, [1, 1_000_000, undefined], [0, -1, 1.5, 1_000_001, '1', Number.NaN]],
  ['timeout_flush', outputParams.timeout_flush, [0, 0.5, 86_400], [-1, 86_401, Number.POSITIVE_INFINITY, '1']],
  ['retry_delay', outputParams.retry_delay, [0.001, 3600], [0, 3601, null]],
  ['retry_max_delay', outputParams.retry_max_delay, [0.001, 86_400], [0, 86_401]],
]

describe.each(cases)('%s', (_, schema, good, bad) => {
  test.each(good.map((value) => [value]))('takes %j', (value) => {
    expect(schema.safeParse(value).success).toBe(true)
  })
  test.each(bad.map((value) => [value]))('refuses %j', (value) => {
    expect(schema.safeParse(value).success).toBe(false)
  })
})

test('a mistake in a glob is reported at its place in the text', () => {
  const result = matchParam.safeParse('web.[z-a]')
  expect(result.error?.issues.flat().length).toBeGreaterThan(0)
  expect(JSON.stringify(result.error?.issues)).toContain('"index":5')
})

test('everything has a default that it accepts itself', () => {
  const defaults = z.strictObject(outputParams).parse({})
  expect(defaults).toEqual({
    match: '*',
    buffer_size: 1000,
    timeout_flush: 1,
    retry_delay: 0.5,
    retry_max_delay: 30,
    buffer_limit: 268_435_456,
    when_full: 'block',
  })
  expect(z.strictObject(outputParams).parse(defaults)).toEqual(defaults)
})
