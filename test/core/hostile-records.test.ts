// A record that breaks an action never stops a pipeline: it is in the dead letters or passed on, and counted.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { ActionSpec } from '../../src/core/action.ts'
import { compileField } from '../../src/core/field.ts'
import { stringifyJson } from '../../src/core/json.ts'
import { sum } from '../../src/core/metrics.ts'
import { filter, output } from '../helpers/actions.ts'
import { deadLettersOf } from '../helpers/dead-letters.ts'
import { hostileNames, hostileRecord } from '../helpers/hostile.ts'
import { makePipeline } from '../helpers/run-pipeline.ts'

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
