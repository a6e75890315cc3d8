import { describe, expect, it } from 'vitest'
import { FeedKeys } from '../../../src/core/rethinkdb/feed-keys.ts'
import { compareKeys } from '../../../src/core/rethinkdb/keys.ts'
import type { Range } from '../../../src/core/series/store.ts'

function range(after: readonly [number, string] | undefined, from = 0, seen?: string[]): Range {
  return { after: after === undefined ? undefined : [...after], from, until: Number.POSITIVE_INFINITY, seen }
}

function running(): FeedKeys {
  const keys = new FeedKeys()
  keys.begin()
  return keys
}

describe('the keys of a feed', () => {
  it('are done when they were told and read, in either order', () => {
    const keys = running()
    keys.told('"a"', 1)
    keys.read(['"a"', '"b"'])
    keys.told('"b"', 1)
    expect(keys.late(range([9, '"z"']), 10)).toEqual([])
  })

  it('are late when the reader is past them, and only then', () => {
    const keys = running()
    for (const [key, time] of [
      ['"a"', 1],
      ['"b"', 5],
      ['"d"', 5],
      ['"e"', 6],
    ] as const)
      keys.told(key, time)
    expect(keys.late(range([5, '"c"']), 10)).toEqual(['"a"', '"b"'])
    expect(keys.late(range([5, '"c"'], 2), 10)).toEqual(['"b"'])
    expect(keys.late(range([5, '"c"']), 1)).toEqual(['"a"'])
    expect(keys.late(range(undefined), 10)).toEqual([])
    // Of the last time, where its keys are known, the reader finds by itself what it has not read.
    expect(keys.late(range([5, '"c"'], 0, ['"c"']), 10)).toEqual(['"a"'])
  })

  it('are still to be read when the feed ends that told of them', () => {
    const keys = running()
    keys.told('"a"', 1)
    keys.told('"b"', 1)
    keys.end()
    keys.told('"c"', 1)
    keys.read(['"b"'])
    keys.begin()
    expect(keys.late(range([9, '"z"']), 10)).toEqual(['"a"'])
  })
})

it('primary keys are in the order of RethinkDB: by type, then by value, text by its bytes', () => {
  const ordered = [
    '[1]',
    'false',
    'true',
    '-1',
    '2',
    '10',
    '{"$reql_type$":"TIME"}',
    '""',
    '"B"',
    '"a"',
    '"\uffee"',
    '"\u{1f600}"',
  ]
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(i - j))
  }
})
