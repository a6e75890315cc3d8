import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../../src/core/event.ts'
import { History } from '../../../src/core/lab/history.ts'
import { type ReplayOptions, replay } from '../../../src/core/lab/replay.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { around, labConfig, labRegistry, onlyPipeline } from '../../helpers/lab.ts'

/** Replays files of events, given as `[time, record]`, and hands back what it says, with the alerts. */
async function play(middle: string, files: [number, Record<string, unknown>][][], more: Partial<ReplayOptions> = {}) {
  const folder = await scratchFolder()
  const paths: string[] = []
  for (const [index, events] of files.entries()) {
    const lines = events.map(([timestamp, record]) => `${JSON.stringify({ tag: 'in', timestamp, record })}\n`)
    const path = join(folder, `${index}.jsonl`)
    await writeFile(path, lines.join(''))
    paths.push(path)
  }
  const alerts: Event[] = []
  const result = await replay({
    config: onlyPipeline(await labConfig(around(middle))),
    registry: labRegistry,
    history: new History({ tag: 'in', timeKey: 'timestamp', raw: false }),
    files: paths,
    speed: Number.POSITIVE_INFINITY,
    realDns: false,
    alert: ({ event }) => alerts.push(structuredClone(event)),
    ...more,
  })
  return { result, paths, times: alerts.map(({ timestamp }) => timestamp), alerts }
}

const every10 = '- { name: filter_probe, every: 10 }'

test('the clock begins with the first event, goes by the events, and ends with the last', async () => {
  const { times, result } = await play(every10, [
    [
      [1000, {}],
      [1009, {}],
      [1035, {}],
    ],
  ])
  expect(times).toEqual([1010, 1020, 1030])
  expect(result).toMatchObject({ events: 3, first: 1000, last: 1035, damaged: [], notes: [] })
})

test('a rule that goes by the time of arrival sees each event arrive at its own time', async () => {
  const arrival = '- { name: filter_probe, time: arrival }'
  const { alerts } = await play(arrival, [
    [
      [1000, { bad: 1 }],
      [1009, { bad: 2 }],
      [1005, { bad: 3 }],
    ],
  ])
  expect(alerts.map(({ record }) => record.now)).toEqual([1000, 1009, 1009])
})

test('a date that names no year is of the time of the event', async () => {
  const middle = '- { name: filter_date, key: t, timestamp: true }\n- { name: filter_probe }'
  // 2011-03-05.
  const { times } = await play(middle, [[[1_299_283_200, { t: 'Mar  4 12:00:00', bad: 1 }]]])
  expect(times).toEqual([Date.parse('2011-03-04T12:00:00Z') / 1000])
})

test('neither inputs nor outputs are made', async () => {
  // Those of the configuration throw when they are.
  expect((await play('- { name: filter_probe }', [[[1, { bad: 1 }]]])).times).toEqual([1])
})

describe('a note says that', () => {
  test('files are in the wrong order', async () => {
    const { result, paths } = await play(every10, [[[900_000, {}]], [[800_000, {}]]])
    expect(result.notes).toEqual([`${paths[1]} begins before the file in front of it ends`])
  })

  test('names were not asked for', async () => {
    const middle = '- { name: filter_dnsbl, match: in, key: ip, domains: [bl.test], tag: alert }'
    const { result, times } = await play(middle, [
      [
        [1, { ip: '203.0.113.9' }],
        [2, { ip: '203.0.113.10' }],
      ],
    ])
    expect(times).toEqual([])
    expect(result.notes).toEqual(['2 DNS questions were answered with no such name; --dns asks them'])
  })
})

test('a file that cannot be read is told, and the others are played', async () => {
  const folder = await scratchFolder()
  const missing = join(folder, 'missing')
  const good = join(folder, 'good')
  await writeFile(good, '{"tag":"in","timestamp":5,"record":{"bad":1}}\n')
  const { result, times } = await play('- { name: filter_probe }', [], { files: [missing, good] })
  expect(result.damaged).toEqual([`${missing}: there is no such file`])
  expect(times).toEqual([5])
})

test('alerts that cannot be taken end it', async () => {
  let taken = 0
  const alert = () => {
    taken++
    throw new Error('the disk is full')
  }
  const events: [number, Record<string, unknown>][] = [1, 2, 3].map((second) => [second, { bad: 1 }])
  await expect(play('- { name: filter_probe }', [events], { alert })).rejects.toThrow('the disk is full')
  expect(taken).toBe(1)
})

test('no events at all is no failure', async () => {
  const { result } = await play(every10, [[]])
  expect(result).toMatchObject({ events: 0, first: Number.NaN, notes: [], damaged: [] })
})

test('at a speed, events are as far apart as they were, divided by it', async () => {
  const began = performance.now()
  const { times } = await play(
    '- { name: filter_probe }',
    [
      [
        [1000, { bad: 1 }],
        [1100, { bad: 1 }],
        [1200, {}],
      ],
    ],
    { speed: 1000 },
  )
  expect(times).toEqual([1000, 1100])
  expect(performance.now() - began).toBeGreaterThanOrEqual(195)
})
