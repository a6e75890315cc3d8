// Random pipelines against a walk that does it by hand: the same events in the same order, however they are batched.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Filter } from '../../src/core/action.ts'
import type { Event } from '../../src/core/event.ts'
import { compileMatch } from '../../src/core/tag.ts'
import { filter } from '../helpers/actions.ts'
import { makePipeline } from '../helpers/run-pipeline.ts'

const acts = ['drop', 'pass', 'twice', 'retag', 'alert', 'throw'] as const
type Act = (typeof acts)[number]

/** What stands in the place of an event; `throw` has handed on an alert before it throws. */
function outcome(act: Act, { tag, timestamp, record }: Event): Event[] {
  const same = { tag, timestamp, record }
  const alert = { tag: 'alert', timestamp, record: { of: tag } }
  switch (act) {
    case 'drop':
      return []
    case 'pass':
      return [same]
    case 'twice':
      return [same, { ...same, record: { ...record, again: true } }]
    case 'retag':
      return [{ ...same, tag: tag === 'a.x' ? 'b.x' : 'a.x' }]
    case 'alert':
      return [same, alert]
    case 'throw':
      return [alert]
  }
}

const sync = (act: Act): Filter => ({
  apply(event, emit) {
    for (const result of outcome(act, event)) emit(result)
    if (act === 'throw') throw new Error('on purpose')
  },
})

const batched = (act: Act): Filter => ({
  async applyBatch(events) {
    await new Promise((resolve) => setImmediate(resolve))
    return events.map((event) => outcome(act, event))
  },
})

const extra = acts.flatMap((act) => [
  filter(`${act}_sync`, () => sync(act)),
  filter(`${act}_batch`, () => batched(act)),
])

interface Action {
  match: string
  act: Act
  how: 'sync' | 'batch'
}

function walk(actions: readonly Action[], from: number, event: Event, out: Event[]): void {
  const action = actions[from]
  if (action === undefined) {
    out.push(event)
    return
  }
  const results = compileMatch(action.match)(event.tag) ? outcome(action.act, event) : [event]
  for (const result of results) walk(actions, from + 1, result, out)
}

const action = fc.record<Action>({
  match: fc.constantFrom('*', 'a.*', 'b.*', 'alert', '[!a]*'),
  act: fc.constantFrom(...acts),
  how: fc.constantFrom('sync', 'sync', 'batch'),
})
const tags = fc.array(fc.constantFrom('a.x', 'a.y', 'b.x', 'c'), { maxLength: 30 })

test('a random pipeline emits what a walk by hand does, in that order, whatever the batches', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 6 }), tags, async (actions, list) => {
      const events = () => list.map((tag, n): Event => ({ tag, timestamp: n, record: { n } }))
      const expected: Event[] = []
      for (const event of events()) walk(actions, 0, event, expected)
      for (const size of [1, 7, 1000]) {
        const { pipeline, out } = makePipeline(
          actions.map(({ match, act, how }) => ({ name: `filter_${act}_${how}`, match })),
          { extra },
        )
        const all = events()
        const safe: Promise<void>[] = []
        for (let i = 0; i < all.length; i += size) safe.push(pipeline.inject(all.slice(i, i + size)))
        await Promise.all(safe)
        expect(out).toEqual(expected)
      }
    }),
    { numRuns: 150 },
  )
})
