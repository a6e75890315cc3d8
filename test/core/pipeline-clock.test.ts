import { expect, test } from 'vitest'
import type { ActionContext, Emit, EventFilter } from '../../src/core/action.ts'
import { VirtualClock } from '../../src/core/clock.ts'
import type { Event } from '../../src/core/event.ts'
import { filter, input, output } from '../helpers/actions.ts'
import { makePipeline } from '../helpers/run-pipeline.ts'

const timeframe = 10

/** Says `silence` when no event came for ten seconds, and again each ten seconds. */
function watchdog({ time }: ActionContext): EventFilter & { due: number } {
  return {
    due: time.start + timeframe,
    apply(event: Event, emit: Emit) {
      this.due = time.timeOf(event) + timeframe
      emit(event)
    },
    tick(now: number, emit: Emit) {
      this.due = now + timeframe
      emit({ tag: 'alert', timestamp: now, record: { silence: true, clock: time.now } })
    },
  }
}

const watch = filter('watch', watchdog)
const later = filter('later', () => ({
  async applyBatch(events) {
    await new Promise((resolve) => setImmediate(resolve))
    return events.map((event) => [event])
  },
}))

const at = (timestamp: number): Event => ({ tag: 'event', timestamp, record: {} })
const shown = (events: readonly Event[]) => events.map(({ tag, timestamp }) => `${tag} ${timestamp}`)

test.each([1, 2, 7])('what was due comes before the event that shows it, in batches of %i', async (size) => {
  const clock = new VirtualClock(1e9)
  const { pipeline, out } = makePipeline([{ name: 'filter_watch', match: 'event' }], { extra: [watch], clock })
  await pipeline.open()
  const events = [0, 5, 15, 16, 40, 41, 90].map(at)
  for (let i = 0; i < events.length; i += size) await pipeline.inject(events.slice(i, i + size))
  expect(shown(out)).toEqual([
    ...['event 0', 'event 5', 'alert 15', 'event 15', 'event 16', 'alert 26', 'alert 36', 'event 40', 'event 41'],
    ...['alert 51', 'alert 61', 'alert 71', 'alert 81', 'event 90'],
  ])
  expect(out.flatMap(({ record }) => record.clock ?? [])).toEqual([15, 26, 36, 51, 61, 71, 81])
})

test('an event that the filter does not take moves the time on all the same', async () => {
  const clock = new VirtualClock(1e9)
  const { pipeline, out } = makePipeline([{ name: 'filter_watch', match: 'event' }], { extra: [watch], clock })
  await pipeline.open()
  await pipeline.inject([at(0), { ...at(12), tag: 'other' }])
  expect(shown(out)).toEqual(['event 0', 'alert 10', 'other 12'])
})

test('with a clock of its own a test lets time go by to the very moment', async () => {
  const clock = new VirtualClock(100)
  const { pipeline, out } = makePipeline([{ name: 'filter_watch', match: 'event' }], { extra: [watch], clock })
  await pipeline.open()
  clock.advance(9.75)
  await pipeline.elapse(0)
  expect(out).toEqual([])
  clock.advance(0.25)
  await pipeline.elapse(0)
  expect(shown(out)).toEqual(['alert 110'])
})

test('time: arrival asks for the moment of arrival in place of the time of the event', async () => {
  const clock = new VirtualClock(100)
  const { pipeline, out } = makePipeline([{ name: 'filter_watch', match: 'event', time: 'arrival' }], {
    extra: [watch],
    clock,
  })
  await pipeline.open()
  await pipeline.inject([at(1), at(5000)])
  clock.advance(12)
  await pipeline.inject([at(2)])
  expect(shown(out)).toEqual(['event 1', 'event 5000', 'alert 110', 'event 2'])
})

test.each([1, 2, 7])(
  'behind a filter that waits the time is that of the events that came through, in batches of %i',
  async (size) => {
    const rule = { name: 'filter_watch', match: 'event' }
    const clock = new VirtualClock(1e9)
    const { pipeline, out } = makePipeline([rule, { name: 'filter_later' }, rule], { extra: [watch, later], clock })
    await pipeline.open()
    const events = [0, 5, 14, 21, 30, 45, 50].map(at)
    for (let i = 0; i < events.length; i += size) await pipeline.inject(events.slice(i, i + size))
    expect(shown(out.filter(({ tag }) => tag === 'alert'))).toEqual(['alert 40', 'alert 40'])
  },
)

test('what the clock brings about goes through filters that wait, in order, and becomes safe', async () => {
  const written: string[] = []
  const sink = output('sink', { write: async (events) => void written.push(...shown(events)) })
  const clock = new VirtualClock(100)
  const { pipeline } = makePipeline(
    [{ name: 'filter_watch', match: 'event' }, { name: 'filter_later' }, { name: 'output_sink' }],
    { extra: [watch, later, sink], clock },
  )
  await pipeline.open()
  await pipeline.inject([at(100)])
  clock.advance(20)
  await pipeline.elapse(0)
  expect(written).toEqual(['event 100', 'alert 110', 'alert 120'])
})

test('in a silent stream the engine looks at the clock by itself, within a second', async () => {
  const stop = new AbortController()
  const silent = input('silent', {
    run: ({ signal }) => new Promise((end) => signal.addEventListener('abort', () => end())),
  })
  const dog = filter('dog', ({ time }) => ({
    due: time.start + 0.1,
    apply: (event, emit) => emit(event),
    tick(now, emit) {
      Object.assign(this, { due: Number.POSITIVE_INFINITY })
      emit({ tag: 'alert', timestamp: now, record: { start: time.start } })
    },
  }))
  const alerted = new Promise<Event>((resolve) => {
    const tell = output('tell', { write: async ([event]) => void (event && resolve(event)) })
    const { pipeline } = makePipeline([{ name: 'input_silent' }, { name: 'filter_dog' }, { name: 'output_tell' }], {
      extra: [silent, dog, tell],
    })
    void pipeline.open().then(() => pipeline.run(stop.signal))
  })
  const { timestamp, record } = await alerted
  stop.abort()
  expect(timestamp).toBe((record.start as number) + 0.1)
})

test('a filter that fails by the clock is counted, and the events go on', async () => {
  const broken = filter('broken', ({ time }) => ({
    due: time.start,
    apply: (event, emit) => emit(event),
    tick() {
      throw new Error('no')
    },
  }))
  const { pipeline, out } = makePipeline([{ name: 'filter_broken' }], { extra: [broken], clock: new VirtualClock(0) })
  await pipeline.open()
  await pipeline.inject([at(1), at(2)])
  expect(shown(out)).toEqual(['event 1', 'event 2'])
  expect(pipeline.stats().actions[0]?.counters.tick_errors).toBe(2)
})
