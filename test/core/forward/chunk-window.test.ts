import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json, Position } from '../../../src/core/action.ts'
import { ChunkWindow, chunkKey, type WindowSize } from '../../../src/core/forward/chunk-window.ts'

const keyOf = (sender: number, chunk: number) => chunkKey(`10.0.0.${sender}`, 'app', Buffer.from(String(chunk)))
const size: WindowSize = { perSender: 3, total: 5 }

/** A window whose chunks are safe as soon as they are added, and what is saved of it. */
function windowOf(saved = new Map<string, Json>()) {
  const window = new ChunkWindow<object>(size, saved)
  return {
    window,
    saved,
    add(sender: number, chunk: number): boolean {
      const position: Position = {}
      const isFull = window.add(keyOf(sender, chunk), {}, position)
      for (const key of Object.keys(position)) {
        if (position[key] === null) saved.delete(key)
        else saved.set(key, position[key] ?? null)
      }
      window.setSafe(position)
      return isFull
    },
  }
}

test('the chunks of one sender do not make those of another forgotten', () => {
  const { window, add } = windowOf()
  add(1, 0)
  for (let chunk = 0; chunk < 20; chunk++) expect(add(2, chunk)).toBe(false)
  expect(window.get(keyOf(1, 0))).toBe('safe')
  expect([16, 17, 18, 19].map((chunk) => window.get(keyOf(2, chunk)))).toEqual([undefined, 'safe', 'safe', 'safe'])
})

test('when there are too many of all senders, who has the most loses its oldest', () => {
  const { window, add } = windowOf()
  for (const [sender, chunk] of [
    [1, 0],
    [2, 0],
    [2, 1],
    [2, 2],
    [3, 0],
  ] as const)
    expect(add(sender, chunk)).toBe(false)
  expect(add(4, 0)).toBe(true)
  expect(window.get(keyOf(2, 0))).toBeUndefined()
  expect([keyOf(1, 0), keyOf(2, 1), keyOf(2, 2), keyOf(3, 0)].map((key) => window.get(key))).toEqual(
    Array(4).fill('safe'),
  )
})

test('a chunk that is not safe yet stays, and those behind it', () => {
  const { window, add } = windowOf()
  const taking = {}
  const position: Position = {}
  window.add(keyOf(1, 0), taking, position)
  for (let chunk = 1; chunk < 6; chunk++) add(1, chunk)
  expect(window.get(keyOf(1, 0))).toBe(taking)
  expect(window.get(keyOf(1, 1))).toBe('safe')
  window.setSafe(position)
  expect(window.get(keyOf(1, 2))).toBeUndefined()
  expect(window.get(keyOf(1, 3))).toBe('safe')
})

test('it remembers what a plain list would, also after a restart', () => {
  const step = fc.record({ sender: fc.integer({ min: 1, max: 6 }), forget: fc.boolean(), restart: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let it = windowOf()
      // The naive model: all that is remembered, oldest first.
      let known: { sender: number; chunk: number }[] = []
      const of = (sender: number) => known.filter((one) => one.sender === sender)
      steps.forEach(({ sender, forget, restart }, chunk) => {
        it.add(sender, chunk)
        known.push({ sender, chunk })
        if (of(sender).length > size.perSender) known = known.filter((one) => one !== of(sender)[0])
        // Which of several that have the most is not promised: the model takes the one that the window took.
        const gone = known.find((one) => it.window.get(keyOf(one.sender, one.chunk)) === undefined)
        if (known.length > size.total) {
          const most = Math.max(...known.map((one) => of(one.sender).length))
          expect(gone === undefined ? [] : [of(gone.sender).length, of(gone.sender)[0]]).toEqual([most, gone])
          known = known.filter((one) => one !== gone)
        } else expect(gone).toBeUndefined()
        const first = known[0]
        if (forget && first !== undefined) {
          it.window.forget(keyOf(first.sender, first.chunk))
          expect(it.window.get(keyOf(first.sender, first.chunk))).toBeUndefined()
          known.shift()
          // Saved with the next chunk, as each position is.
          it.saved.delete(keyOf(first.sender, first.chunk))
        }
        if (restart) it = windowOf(new Map([...it.saved].reverse()))
        expect(it.saved.size).toBe(known.length)
        for (const one of known) expect(it.window.get(keyOf(one.sender, one.chunk))).toBe('safe')
      })
    }),
  )
})
