import { expect, test } from 'vitest'
import { VirtualClock } from '../../src/core/clock.ts'
import { createTallyLog } from '../../src/core/tally-log.ts'
import { recordingLog } from '../helpers/recording-log.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('the first of a kind is told at once, the others as a count every ten seconds', async () => {
  const { lines, log } = recordingLog()
  const clock = new VirtualClock()
  const counts: Record<string, number> = {}
  const tally = createTallyLog(log, clock, (kind) => {
    counts[kind] = (counts[kind] ?? 0) + 1
  })
  const told = async (seconds: number) => {
    clock.advance(seconds)
    await turn()
    return lines.splice(0).map(({ level, kind, msg, total, more }) => ({ level, kind, msg, total, more }))
  }
  for (let i = 0; i < 10_000; i++) tally.note('bomb', 'warn', 'a bomb', { peer: `p${i}` })
  tally.note('idle', 'info', 'idle')
  expect(lines[0]).toMatchObject({ peer: 'p0' })
  expect(await told(9)).toEqual([
    { level: 'warn', kind: 'bomb', msg: 'a bomb', total: 1, more: undefined },
    { level: 'info', kind: 'idle', msg: 'idle', total: 1, more: undefined },
  ])
  const more = { level: 'warn', kind: 'bomb', msg: 'bomb: 9999 more', total: 10_000, more: 9999 }
  expect(await told(1)).toEqual([more])
  // Right behind a count there is no line for one more, either.
  tally.note('bomb', 'warn', 'a bomb')
  expect(await told(9)).toEqual([])
  expect(await told(1)).toEqual([{ ...more, msg: 'bomb: 1 more', total: 10_001, more: 1 }])
  expect(await told(10)).toEqual([])
  // After ten seconds without one, the next is told at once again.
  tally.note('bomb', 'warn', 'a bomb')
  expect(await told(0)).toMatchObject([{ msg: 'a bomb', total: 10_002 }])
  expect(counts).toEqual({ bomb: 10_002, idle: 1 })
})

test('what was not told is told at the end', async () => {
  const { lines, log } = recordingLog()
  const tally = createTallyLog(log, new VirtualClock(), () => {})
  tally.note('bomb', 'warn', 'a bomb')
  tally.note('bomb', 'warn', 'a bomb')
  tally.close()
  await turn()
  expect(lines.map(({ msg }) => msg)).toEqual(['a bomb', 'bomb: 1 more'])
})
