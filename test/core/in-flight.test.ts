import { expect, test } from 'vitest'
import { createWindow } from '../../src/core/in-flight.ts'

function settled(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false }
  void promise.then(() => {
    state.done = true
  })
  return state
}

/** Lets everything run that can run without time passing. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a window lets through while it has room, and then until enough is safe', async () => {
  const window = createWindow(10)
  const first = deferred()
  const second = deferred()
  await window.add(first.promise, 9)
  const waiting = settled(window.add(second.promise, 9))
  await turn()
  expect(waiting.done).toBe(false)
  first.resolve()
  await turn()
  expect(waiting.done).toBe(true)
  second.resolve()
  await window.drain()
})

test('more than the window holds in one go is sent, and waited for', async () => {
  const window = createWindow(10)
  const big = deferred()
  const adding = settled(window.add(big.promise, 1000))
  await turn()
  expect(adding.done).toBe(false)
  big.resolve()
  await turn()
  expect(adding.done).toBe(true)
})

test('drain comes back when the last is safe, at once when nothing is open', async () => {
  const window = createWindow()
  await window.drain()
  const parts = [deferred(), deferred()]
  for (const part of parts) await window.add(part.promise, 1)
  const drained = settled(window.drain())
  parts[0]?.resolve()
  await turn()
  expect(drained.done).toBe(false)
  parts[1]?.resolve()
  await turn()
  expect(drained.done).toBe(true)
})

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
