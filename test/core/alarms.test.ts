import { expect, test } from 'vitest'
import type { Emit } from '../../src/core/action.ts'
import { Alarms } from '../../src/core/alarms.ts'
import { VirtualClock } from '../../src/core/clock.ts'
import { EventTimeline } from '../../src/core/timeline.ts'

/** Alarms of filters that are due at given times, and what they did when, by the clock that they saw. */
function alarms(dues: readonly number[][], onTick: (name: number, now: number) => void = () => {}) {
  const time = new EventTimeline(new VirtualClock(0))
  const made = new Alarms(time)
  const rang: [name: number, now: number, clock: number][] = []
  const failed: [name: number, error: string][] = []
  dues.forEach((times, name) => {
    const left = [...times]
    made.add({
      filter: {
        apply: () => {},
        get due() {
          return left[0] ?? Number.POSITIVE_INFINITY
        },
        tick(now: number, _emit: Emit) {
          onTick(name, now)
          left.shift()
          rang.push([name, now, time.now])
        },
      },
      emit: () => {},
      failed: (error) => failed.push([name, String(error)]),
    })
  })
  made.look()
  return { alarms: made, rang, failed, time }
}

test('what is due rings at its own time and in the order of time, at equal times in the order of the pipeline', () => {
  const {
    alarms: it,
    rang,
    time,
  } = alarms([
    [5, 20, 21],
    [5, 10, 20],
  ])
  it.moveTo(4)
  expect(rang).toEqual([])
  it.moveTo(20)
  expect(rang).toEqual([
    [0, 5, 5],
    [1, 5, 5],
    [1, 10, 10],
    [0, 20, 20],
    [1, 20, 20],
  ])
  expect([time.now, it.next]).toEqual([20, 21])
})

test('one that throws is told, does not keep the others from ringing, and does not ring for ever', () => {
  const {
    alarms: it,
    rang,
    failed,
  } = alarms([[1], [2]], (name) => {
    if (name === 0) throw new Error('no')
  })
  it.moveTo(3)
  expect(failed).toEqual([[0, 'Error: no']])
  expect(rang).toEqual([[1, 2, 2]])
})

test('one whose due time stays where it was is told, and does not ring for ever', () => {
  const { alarms: it, rang, failed } = alarms([[1, 1, 1], [2]])
  it.moveTo(3)
  expect(failed).toEqual([[0, 'Error: tick did not move due on']])
  expect(rang).toEqual([
    [0, 1, 1],
    [1, 2, 2],
  ])
})

test('ringing while it rings does nothing', () => {
  const { alarms: it, rang } = alarms([[1, 2]], () => it.ring())
  it.moveTo(2)
  expect(rang).toHaveLength(2)
})
