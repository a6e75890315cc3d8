// A record that breaks an action never stops a pipeline: it is in the dead letters or passed on, and counted.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { ActionSpec } from '../../src/core/action.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Event } from '../../src/core/event.ts'
import { compileField } from '../../src/core/field.ts'
import { stringifyJson } from '../../src/core/json.ts'
import { sum } from '../../src/core/metrics.ts'
import { openState } from '../../src/core/state/file-state.ts'
import { filter, output } from '../helpers/actions.ts'
import { scratchFolder } from '../helpers/daemon.ts'
import { deadLettersOf } from '../helpers/dead-letters.ts'
import { hostileNames, hostileRecord, nested } from '../helpers/hostile.ts'
import { actionConfig, makePipeline, silent } from '../helpers/run-pipeline.ts'

/** Reads a field and writes the record as JSON, as real filters do. */
const reader: ActionSpec = filter('reader', () => {
  const field = compileField('log.a.b')
  return {
    apply(event, emit) {
      field.get(event.record)
      field.set(event.record, stringifyJson(event.record).length)
      emit(event)
    },
  }
})
const written: unknown[] = []
const keep = output('keep', {
  async write(events) {
    written.push(...events)
  },
})

describe('a pipeline goes on, and the record is passed on or set aside:', () => {
  test.each(hostileNames)('%s', async (name) => {
    const { record, writable } = hostileRecord(name)
    const { letters, options } = await deadLettersOf()
    const list = ['output_keep', 'filter_reader', 'output_keep'].map((name) => ({ name }))
    const { pipeline, out } = makePipeline(list, { ...options, extra: [keep, reader] })
    written.length = 0
    const event = (of: Record<string, unknown>) => ({ tag: 'a', timestamp: 1, record: of })
    await pipeline.inject([event({ n: 1 }), event({ ...record }), event({ n: 2 })])
    await pipeline.run(new AbortController().signal)
    // What holds itself is refused where a copy is made of it: before the first output has it.
    const failedAt = pipeline.stats().actions.map((action) => sum(action.dead_letters))
    expect(failedAt).toEqual(writable ? [0, 0, 0] : name === 'itself inside' ? [1, 0, 0] : [0, 1, 0])
    const failed = writable ? 0 : 1
    expect(out).toHaveLength(3 - failed)
    expect(written).toHaveLength(6 - failed - (failedAt[0] ?? 0))
    expect(await letters()).toHaveLength(failed)
  })
})

/** What a plugin may send, and whether a state can hold it. */
const strange: Record<string, { record: Record<string, unknown>; kept: boolean }> = {
  'maps 900 deep': { record: { log: nested(900, 'map') }, kept: true },
  'maps 1,100 deep': { record: { log: nested(1100, 'map') }, kept: false },
  // V8 writes these, and cannot read them again.
  'maps 2,900 deep': { record: { log: nested(2900, 'map') }, kept: false },
  'lists 5,000 deep': { record: { log: nested(5000, 'list') }, kept: false },
  'Maps in Sets, 2,000 deep': { record: { log: mixed(1000) }, kept: false },
  'a function': { record: { log: () => {} }, kept: false },
  'a symbol': { record: { log: Symbol('s') }, kept: false },
  'a getter that throws': {
    record: Object.defineProperty({}, 'log', {
      enumerable: true,
      get() {
        throw new Error('not now')
      },
    }),
    kept: false,
  },
  'an odd way to be shown': {
    record: {
      log: () => {},
      [Symbol.for('nodejs.util.inspect.custom')]() {
        throw new Error('not for you')
      },
    },
    kept: false,
  },
  ...Object.fromEntries(
    hostileNames.map((name) => [name, { record: hostileRecord(name).record, kept: hostileRecord(name).writable }]),
  ),
}

function mixed(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = new Set([new Map([[1, value]])])
  return value
}

describe('a commit saves what waits for a target that is away, or sets it aside:', () => {
  test.each(Object.keys(strange))('%s', async (name) => {
    const { record = {}, kept } = strange[name] ?? {}
    const folder = await scratchFolder()
    const { letters, options } = await deadLettersOf()
    const config = { name: 'test', actions: [actionConfig({ name: 'output_keep' })] }
    const stateOptions = { folder, fsync: 'never' as const, instance: 'this', owner: undefined }
    const run = async (events: readonly Event[]) => {
      const state = await openState(config, stateOptions, silent, systemClock)
      if (state === undefined) throw new Error('it has no state')
      const { pipeline } = makePipeline([{ name: 'output_keep' }], { ...options, state, extra: [keep] })
      await pipeline.open()
      await pipeline.inject(events)
      await pipeline.run(new AbortController().signal)
      return pipeline.stats().actions.map((action) => sum(action.dead_letters))
    }
    written.length = 0
    const event = (of: Record<string, unknown>) => ({ tag: 'a', timestamp: 1, record: of })
    const failed = await run([event({ n: 1 }), event(record), event({ n: 2 })])
    expect(failed).toEqual([kept ? 0 : 1])
    expect(written).toHaveLength(kept ? 3 : 2)
    const told = await letters()
    expect(told).toHaveLength(kept ? 0 : 1)
    if (!kept) {
      expect(told[0]).toMatchObject({ code: 'RECORD_UNWRITABLE', action: 'output_keep', tag: 'a', timestamp: 1 })
      expect(typeof told[0]?.record_text).toBe('string')
    }
  })
})

test('output_stdout prints one line for each that JSON can hold, and sets the others aside', () => {
  const script = fileURLToPath(new URL('../helpers/print-hostile.ts', import.meta.url))
  const run = spawnSync(process.execPath, ['--import', 'tsx', script], { maxBuffer: 1 << 28 })
  const aside = run.stderr.toString().trimEnd().split('\n')
  const printed = hostileNames.filter((name) => hostileRecord(name).writable)
  expect(aside).toEqual(hostileNames.filter((name) => !hostileRecord(name).writable))
  const lines = run.stdout.toString().trimEnd().split('\n')
  expect(lines).toHaveLength(hostileNames.length + printed.length)
  for (const line of lines) JSON.parse(line.slice(line.indexOf(': ') + 2))
  expect(lines.filter((line) => line.startsWith('hostile__[1.5]: {'))).toHaveLength(printed.length)
  expect(lines.filter((line) => line.startsWith('hostile.after[2]: '))).toEqual(
    hostileNames.map((after) => `hostile.after[2]: ${JSON.stringify({ after })}`),
  )
  expect(run.status).toBe(0)
})
