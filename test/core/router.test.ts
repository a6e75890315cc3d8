import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/event.ts'
import { sum, type TagCounts } from '../../src/core/metrics.ts'
import { Router, type Stop } from '../../src/core/router.ts'
import { compileMatch } from '../../src/core/tag.ts'

type Counts = Record<'in' | 'bypass' | 'do' | 'out', TagCounts>

/** What a made-up action emits for an event it takes. */
type Act = 'drop' | 'pass' | 'twice' | 'retag' | 'alert'

interface Action {
  match: string | null
  act: Act
  always: boolean
}

function outcome(act: Act, event: Event): Event[] {
  const other: Event = { ...event, tag: event.tag === 'a.x' ? 'b.x' : 'a.x' }
  return { drop: [], pass: [event], twice: [event, event], retag: [other], alert: [event, { ...event, tag: 'alert' }] }[
    act
  ]
}

const stopOf = ({ match, always }: Action): Stop => ({
  takes: match === null ? () => false : compileMatch(match),
  always,
})

/** Walks events through the router as the pipeline does, place after place. */
function walk(router: Router, actions: readonly Action[], event: Event, from: number): void {
  const place = router.next(event, from)
  const action = actions[place]
  if (action === undefined) return
  const results = router.takes(event.tag, place) ? outcome(action.act, event) : [event]
  for (const result of results) walk(router, actions, result, place + 1)
}

/** Counts the same by looking at every action for every event. */
function naive(counts: readonly Counts[], actions: readonly Action[], event: Event, from: number): void {
  const action = actions[from]
  const count = counts[from]
  if (action === undefined || count === undefined) return
  const add = (key: keyof Counts, tag: string) => {
    count[key][tag] = (count[key][tag] ?? 0) + 1
  }
  const taken = action.match !== null && compileMatch(action.match)(event.tag)
  add('in', event.tag)
  add(taken ? 'do' : 'bypass', event.tag)
  for (const result of taken ? outcome(action.act, event) : [event]) {
    add('out', result.tag)
    naive(counts, actions, result, from + 1)
  }
}

const action = fc.record<Action>({
  match: fc.constantFrom('*', 'a.*', 'b.*', 'alert', '[!a]*', 'none', null),
  act: fc.constantFrom<Act>('drop', 'pass', 'twice', 'retag', 'alert'),
  always: fc.boolean(),
})
const sent = fc.record({ tag: fc.constantFrom('a.x', 'a.y', 'b.x', 'c', '*', '__proto__x'), from: fc.nat(5) })

function run(actions: readonly Action[], stream: readonly { tag: string; from: number }[], maxTags: number) {
  const router = new Router(actions.map(stopOf), maxTags)
  const expected = actions.map((): Counts => ({ in: {}, bypass: {}, do: {}, out: {} }))
  for (const { tag, from } of stream) {
    const event: Event = { tag, timestamp: 0, record: {} }
    // An input in the middle of the list counts what it sends as its own.
    const start = from % (actions.length + 1)
    const sender = expected[start - 1]
    if (sender !== undefined) sender.out[tag] = (sender.out[tag] ?? 0) + 1
    walk(router, actions, event, start)
    naive(expected, actions, event, start)
  }
  return { counted: actions.map((_, place) => router.counts(place)), expected }
}

const pipeline = fc.array(action, { minLength: 1, maxLength: 6 })
const stream = fc.array(sent, { maxLength: 30 })

describe('the counters of every action', () => {
  test('agree with counting at each step, tag by tag', () => {
    fc.assert(
      fc.property(pipeline, stream, (actions, events) => {
        const { counted, expected } = run(actions, events, 100)
        expect(counted).toEqual(expected)
      }),
      { numRuns: 1000 },
    )
  })

  test('agree in sum when more tags come than are kept, and name no more than that and *', () => {
    const sums = (counts: Counts) => [sum(counts.in), sum(counts.bypass), sum(counts.do), sum(counts.out)]
    fc.assert(
      fc.property(pipeline, stream, fc.integer({ min: 1, max: 3 }), (actions, events, maxTags) => {
        const { counted, expected } = run(actions, events, maxTags)
        expect(counted.map(sums)).toEqual(expected.map(sums))
        for (const counts of counted) expect(Object.keys(counts.in).length).toBeLessThanOrEqual(maxTags + 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('hold a tag named __proto__', () => {
    const router = new Router([stopOf({ match: '*', act: 'pass', always: false })], 10)
    router.next({ tag: '__proto__', timestamp: 0, record: {} }, 0)
    expect(JSON.stringify(router.counts(0).in)).toBe('{"__proto__":1}')
  })
})

test('a glob is tried once for each tag and action, however many events come', () => {
  let tried = 0
  const takes = () => {
    tried++
    return true
  }
  const router = new Router([{ takes, always: false }], 10)
  tried = 0
  for (let i = 0; i < 1000; i++) router.next({ tag: i % 2 === 0 ? 'a' : 'b', timestamp: 0, record: {} }, 0)
  expect(tried).toBe(2)
})

test('100,000 different tags need room for as many as are kept', () => {
  const router = new Router([stopOf({ match: 'a*', act: 'pass', always: false })], 10)
  for (let i = 0; i < 100_000; i++) router.next({ tag: `a${i}`, timestamp: 0, record: {} }, 0)
  const counts = router.counts(0)
  expect(Object.keys(counts.do)).toHaveLength(11)
  expect(counts.do['*']).toBe(99_990)
})
