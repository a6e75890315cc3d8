import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineAction, type InputRun } from '../../src/core/action.ts'
import { systemClock } from '../../src/core/clock.ts'
import { FeedooError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import type { Remains } from '../../src/core/pipeline.ts'
import { openState } from '../../src/core/state/file-state.ts'
import { actionConfig, makePipeline, silent } from '../helpers/run-pipeline.ts'

const examples = [{ title: 'x', yaml: '', out: [] }] as const
const forever = new AbortController().signal
const list = [{ name: 'input_hand' }, { name: 'output_target', retry_delay: 0.001, retry_max_delay: 0.001 }]
const event = (n: number): Event => ({ tag: 't', timestamp: n, record: { n } })

/** An input that a test holds in its hand, and an output with a target that comes and goes. */
function bench() {
  const it = {
    runs: [] as InputRun[],
    closed: 0,
    away: false,
    failed: 0,
    written: [] as unknown[],
  }
  const input = defineAction({
    ...{ kind: 'input', name: 'input_hand', summary: 'x', examples, params: z.strictObject({}) },
    create: () => ({
      async run(run) {
        it.runs.push(run)
        await new Promise((resolve) => run.signal.addEventListener('abort', resolve))
      },
      async close() {
        it.closed++
      },
    }),
  })
  const output = defineAction({
    ...{ kind: 'output', name: 'output_target', summary: 'x', examples },
    params: z.strictObject({ retry_delay: z.number().describe('x'), retry_max_delay: z.number().describe('x') }),
    create: () => ({
      async write(events) {
        if (it.away) {
          it.failed++
          throw new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true })
        }
        it.written.push(...events.map(({ record }) => record.n))
      },
    }),
  })
  return { it, extra: [input, output] }
}

async function open(extra: ReturnType<typeof bench>['extra'], folder?: string, remains?: Remains) {
  const options = { folder, fsync: 'never' as const, instance: 'one', owner: undefined }
  const config = { name: 'test', actions: list.map(actionConfig) }
  const state = await openState(config, options, silent, systemClock)
  const { pipeline } = makePipeline(list, { extra, remains, ...(state === undefined ? {} : { state }) })
  await pipeline.open()
  return pipeline
}

test('an input that runs on is neither started again nor closed, and what it sends meanwhile comes in order', async () => {
  const { it, extra } = bench()
  const first = await open(extra)
  const running = first.run(forever)
  await it.runs[0]?.emit([event(1)])
  first.makeWay(new Set(['input_hand/input_hand/1']))
  await running
  const sent = [2, 3].map((n) => it.runs[0]?.emit([event(n)]))
  const stop = new AbortController()
  const second = await open(extra, undefined, first.remains)
  const end = second.run(stop.signal)
  await Promise.all([...sent, it.runs[0]?.emit([event(4)], undefined, true)])
  expect(it.written).toEqual([1, 2, 3, 4])
  expect(it.runs).toHaveLength(1)
  expect(it.closed).toBe(0)
  expect(second.stats().events).toBe(3)
  stop.abort()
  await end
  expect(it.closed).toBe(1)
})

test('an input that is not kept is stopped and closed', async () => {
  const { it, extra } = bench()
  const first = await open(extra)
  const running = first.run(forever)
  first.makeWay(new Set())
  await running
  expect(it.closed).toBe(1)
  expect(first.remains?.inputs.size).toBe(0)
})

test('what waits in the state for a target that is away is written once, by the pipeline that comes next', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const { it, extra } = bench()
  it.away = true
  const first = await open(extra, folder)
  const running = first.run(forever)
  await it.runs[0]?.emit([event(1)])
  await it.runs[0]?.emit([event(2)])
  first.makeWay(new Set(['input_hand/input_hand/1']))
  await running
  const { failed } = it
  expect(failed).toBeGreaterThan(0)
  await new Promise((resolve) => setTimeout(resolve, 20))
  // Nobody tries any more.
  expect(it.failed).toBe(failed)
  it.away = false
  const stop = new AbortController()
  const second = await open(extra, folder, first.remains)
  const end = second.run(stop.signal)
  await it.runs[0]?.emit([event(3)])
  stop.abort()
  await end
  expect(it.written).toEqual([1, 2, 3])
})
