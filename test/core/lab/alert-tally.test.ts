import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AlertTally } from '../../../src/core/lab/alert-tally.ts'

function tallyOf(alerts: { time: number; rule?: number; key?: unknown; record?: Record<string, unknown> }[]) {
  const tally = new AlertTally()
  for (const { time, rule = 0, key, record = {} } of alerts) {
    const metadata = { id: 'x', rule: 'r', ...(key === undefined ? {} : { query_key: key }) }
    tally.add({ event: { tag: 'a', timestamp: time, record, metadata }, rule, delivered: true })
  }
  return tally
}

describe('AlertTally', () => {
  test('counts by rule and by key; a resolved alert is none, and keys of other types are others', () => {
    const { rules } = tallyOf([
      { time: 5, key: 1 },
      { time: 3, key: '1', record: { suppressed: 4 } },
      { time: 9, key: '1' },
      { time: 11, key: '1', record: { status: 'resolved' } },
      { time: 7, rule: 1 },
    ])
    expect(rules.get(0)).toEqual({
      ...{ alerts: 3, resolved: 1, suppressed: 4, first: 3, last: 9, moreKeys: false },
      keys: new Map([
        ['1', { alerts: 1, resolved: 0, suppressed: 0, first: 5, last: 5 }],
        ['"1"', { alerts: 2, resolved: 1, suppressed: 4, first: 3, last: 9 }],
      ]),
    })
    expect(rules.get(1)).toMatchObject({ alerts: 1, keys: new Map() })
  })

  test('keeps a bounded number of keys, and says that there are more', () => {
    const tally = tallyOf(Array.from({ length: 100_001 }, (_, key) => ({ time: 0, key })))
    expect(tally.rules.get(0)).toMatchObject({ alerts: 100_001, moreKeys: true })
    expect(tally.rules.get(0)?.keys.size).toBe(100_000)
  })

  test('counts over time are right, whatever the times', () => {
    const time = fc.oneof(fc.integer({ min: -100, max: 5000 }), fc.integer({ min: 1_600_000_000, max: 1_700_000_000 }))
    fc.assert(
      fc.property(fc.array(time, { maxLength: 300 }), fc.integer({ min: 6, max: 30 }), (times, limit) => {
        const { width, bars } = tallyOf(times.map((time) => ({ time }))).histogram(limit)
        expect(bars.length).toBeLessThanOrEqual(limit)
        const isRow = (bars.at(-1)?.from ?? 0) - (bars[0]?.from ?? 0) < limit * width
        for (const [index, { from, alerts }] of bars.entries()) {
          // Only times that are centuries apart leave gaps.
          if (isRow) expect(from).toBe((bars[0]?.from ?? 0) + index * width)
          expect(alerts).toBe(times.filter((time) => time >= from && time < from + width).length)
        }
        expect(bars.reduce((sum, { alerts }) => sum + alerts, 0)).toBe(times.length)
      }),
    )
  })

  test('counts over time take bounded memory, and are still right', () => {
    const times = Array.from({ length: 20_000 }, (_, i) => i * 7)
    const { width, bars } = tallyOf(times.map((time) => ({ time }))).histogram(24)
    expect(width).toBe(10_800)
    expect(bars.map(({ alerts }) => alerts).slice(0, 3)).toEqual([1543, 1543, 1543])
    expect(bars.reduce((sum, { alerts }) => sum + alerts, 0)).toBe(20_000)
  })
})
