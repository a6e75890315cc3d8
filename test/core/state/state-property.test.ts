import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../../../src/core/action.ts'
import type { SavedBatch, StateChange } from '../../../src/core/state/pipeline-state.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { openFile } from './opening.ts'

const name = fc.constantFrom('a', 'b', '__proto__')
const data = fc.uint8Array({ maxLength: 40 })
const json: fc.Arbitrary<Json> = fc
  .oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(null))
  .map((value) => value as Json)
/** Position keys are texts as a system gives them: whole characters. */
const key = fc.oneof(name, fc.string({ unit: 'grapheme', maxLength: 6 }))
const keyed = fc.array(fc.tuple(key, json), { maxLength: 4 })

const step = fc.record({
  memories: fc.uniqueArray(
    fc.record({
      action: name,
      format: fc.constantFrom('v1', 'v2'),
      segment: data,
      keep: fc.integer({ min: 1, max: 4 }),
    }),
    { selector: ({ action }) => action, maxLength: 2 },
  ),
  positions: fc.array(fc.tuple(name, keyed), { maxLength: 2 }),
  marks: fc.array(fc.tuple(name, keyed), { maxLength: 2 }),
  event: fc.option(fc.integer()),
  add: fc.array(data, { maxLength: 3 }),
  done: fc.nat(3),
  reopen: fc.boolean(),
})

/** The naive model: what a file must hold. */
class Model {
  seq = 0
  memories = new Map<string, { format: string; segments: Uint8Array[] }>()
  positions = new Map<string, Map<string, Json>>()
  marks = new Map<string, Map<string, Json>>()
  now: number | undefined
  batches: SavedBatch[] = []
  last = 0

  apply(change: StateChange): void {
    this.seq++
    for (const { action, format, segment, keep } of change.memories) {
      const known = this.memories.get(action)
      const segments = known?.format === format ? known.segments : []
      this.memories.set(action, { format, segments: [...segments, segment].slice(-keep) })
    }
    for (const [input, changed] of change.positions) merge(this.positions, input, [...changed])
    for (const [action, changed] of change.marks) merge(this.marks, action, Object.entries(changed))
    this.now = change.timelines.get('event')?.now ?? this.now
    for (const { add, done } of change.buffers) {
      this.batches = [...this.batches.filter(({ seq }) => !done.includes(seq)), ...add]
      this.last = add.at(-1)?.seq ?? this.last
    }
  }
}

function merge(all: Map<string, Map<string, Json>>, of: string, changed: readonly [string, Json][]): void {
  const values = all.get(of) ?? new Map<string, Json>()
  for (const [key, value] of changed) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  all.set(of, values)
}

function sorted(values: ReadonlyMap<string, Json> | undefined): [string, string][] {
  return [...(values ?? [])].map(([key, value]): [string, string] => [key, JSON.stringify(value)]).sort()
}

test('whatever is saved, and whenever it is opened again, a file holds what a plain model holds', async () => {
  const folder = await scratchFolder()
  let files = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const path = join(folder, String(files++))
      const model = new Model()
      let file = await openFile(path, { durability: 'unsafe' })
      for (const { memories, positions, marks, event, add, done, reopen } of steps) {
        const change: StateChange = {
          memories,
          positions: new Map(positions.map(([input, changed]) => [input, new Map(changed)])),
          marks: new Map(marks.map(([action, changed]) => [action, Object.fromEntries(changed)])),
          timelines: new Map(event === null ? [] : [['event', { start: 0, now: event }]]),
          buffers: [
            {
              action: 'out',
              add: add.map((data, i) => ({ seq: model.last + 1 + i, name: 'b', events: 1, data })),
              done: model.batches.slice(0, done).map(({ seq }) => seq),
            },
          ],
        }
        await file.save(change)
        model.apply(change)
        if (reopen) {
          file.close()
          file = await openFile(path, { durability: 'unsafe' })
        }
        expect(file.seq).toBe(model.seq)
        for (const action of ['a', 'b', '__proto__']) {
          for (const format of ['v1', 'v2']) {
            const known = model.memories.get(action)
            const expected = known?.format === format ? known.segments : []
            expect(file.memory(action, format).map((segment) => Buffer.from(segment))).toEqual(
              expected.map((segment) => Buffer.from(segment)),
            )
          }
          expect(sorted(file.positions(action))).toEqual(sorted(model.positions.get(action)))
          expect(sorted(file.marks(action))).toEqual(sorted(model.marks.get(action)))
        }
        expect(file.timeline('event')?.now).toBe(model.now)
        expect(file.batches('out').map(({ seq }) => seq)).toEqual(model.batches.map(({ seq }) => seq))
        expect(file.lastBatch('out')).toBe(model.last)
      }
      file.close()
    }),
    { numRuns: 60 },
  )
})
