import { expect, test } from 'vitest'
import { VirtualClock } from '../../src/core/clock.ts'
import type { Event } from '../../src/core/event.ts'
import { ArrivalTimeline, EventTimeline, Timelines } from '../../src/core/timeline.ts'

const at = (timestamp: number): Event => ({ tag: 'a', timestamp, record: {} })

function eventTime(start = 1000) {
  const clock = new VirtualClock(start)
  return { clock, time: new EventTimeline(clock) }
}

test('before any event, the time is that of the wall clock, and goes on with it', () => {
  const { clock, time } = eventTime()
  expect([time.start, time.now]).toEqual([1000, 1000])
  clock.advance(30)
  expect(time.silentNow()).toBe(1030)
})

test.each([
  ['older', 10],
  ['newer', 5000],
])('the first event says what time it is, also when it is %s than the wall clock', (_, first) => {
  const { time } = eventTime()
  time.see(at(first))
  expect([time.start, time.now]).toEqual([first, first])
})

test('from the first event on it is the highest event time seen', () => {
  const { time } = eventTime()
  const seen = [10, 12, 11, 12, 15, 3].map((timestamp) => {
    time.see(at(timestamp))
    return time.now
  })
  expect(seen).toEqual([10, 12, 12, 12, 15, 15])
  expect(time.start).toBe(10)
})

test('in silence the wall clock moves it on from the highest event time', () => {
  const { clock, time } = eventTime()
  time.see(at(10))
  // The first look takes note of when the last event came.
  expect(time.silentNow()).toBe(10)
  clock.advance(0.25)
  expect(time.silentNow()).toBe(10)
  clock.advance(0.5)
  expect(time.silentNow()).toBe(10.75)
  clock.advance(100)
  expect(time.silentNow()).toBe(110.75)
  time.now = 110.75
  time.see(at(50))
  expect(time.silentNow()).toBe(110.75)
  clock.advance(2)
  expect(time.silentNow()).toBe(112.75)
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300])('%s is no time', (timestamp) => {
  const { time } = eventTime()
  time.see(at(timestamp))
  expect(time.now).toBe(1000)
  time.see(at(10))
  time.see(at(timestamp))
  expect(time.now).toBe(10)
})

test('it goes on where it was saved, and no event is the first one any more', () => {
  const { time: before } = eventTime()
  expect(before.save()).toBeUndefined()
  before.see(at(10))
  before.see(at(60))
  const saved = before.save()
  expect(saved).toEqual({ start: 10, now: 60 })
  const { clock, time } = eventTime(9000)
  time.restore(saved ?? { start: 0, now: 0 })
  time.see(at(20))
  expect([time.start, time.now]).toEqual([10, 60])
  clock.advance(5)
  expect(time.silentNow()).toBe(60)
  clock.advance(5)
  expect(time.silentNow()).toBe(65)
})

test('the time of arrival is the wall clock, and never goes back', () => {
  const clock = new VirtualClock(1000)
  const time = new ArrivalTimeline(clock)
  clock.advance(5)
  time.see()
  expect([time.timeOf(), time.now, time.start]).toEqual([1005, 1005, 1000])
  clock.advance(-3)
  time.see()
  expect(time.timeOf()).toBe(1005)
  const later = new ArrivalTimeline(new VirtualClock(2000))
  later.restore(time.save())
  expect([later.start, later.now]).toEqual([1000, 2000])
})

test('each side of a filter that waits has its own event time, also after a restart', () => {
  const made = () => {
    const clock = new VirtualClock(1000)
    const timelines = new Timelines(clock)
    const before = timelines.event
    timelines.behind()
    return { timelines, before, after: timelines.event }
  }
  const { timelines, before, after } = made()
  before.see(at(100))
  before.see(at(170))
  after.see(at(120))
  const saved = timelines.save()
  const again = made()
  again.timelines.restore((name) => saved.get(name))
  expect([again.before.now, again.after.now]).toEqual([170, 120])
  // It stands there since the state was saved.
  const other = made()
  other.timelines.restore((name) => (name === 'event' ? saved.get(name) : undefined))
  expect([other.before.now, other.after.now]).toEqual([170, 170])
})
