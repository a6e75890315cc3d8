import { expect, it } from 'vitest'
import { DueHeap, justAfter } from '../../../src/core/rules/due-heap.ts'
import { KeyTable } from '../../../src/core/rules/keys.ts'
import { int, seeded } from '../../helpers/rule-streams.ts'

it('gives what is due first, whatever was set, moved and taken out before', () => {
  for (let seed = 0; seed < 500; seed++) {
    const random = seeded(seed)
    const keys = new KeyTable({ maxKeys: 100 })
    const heap = new DueHeap(keys)
    const naive = new Map<number, number>()
    for (let step = 0; step < 100; step++) {
      const slot = keys.see(int(random, 1, 30))
      const due = int(random, 0, 20)
      const kind = random()
      if (kind < 0.7) {
        heap.set(slot, due)
        naive.set(slot, due)
      } else if (kind < 0.85) {
        heap.set(slot, Number.POSITIVE_INFINITY)
        naive.delete(slot)
      } else {
        const first = Math.min(...naive.values())
        const expected = [...naive].filter(([, time]) => time === first).map(([other]) => other)
        expect(heap.take().sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b))
        for (const other of expected) naive.delete(other)
      }
      expect(heap.next).toBe(Math.min(...naive.values()))
      expect(heap.dueAt(slot)).toBe(naive.get(slot) ?? Number.POSITIVE_INFINITY)
    }
  }
})

it.each([0, 1, -1, 1_700_000_000.5, -5e-324, 0.1])('just after %d there is no other moment between', (moment) => {
  const after = justAfter(moment)
  expect(after).toBeGreaterThan(moment)
  const middle = moment + (after - moment) / 2
  expect([moment, after]).toContain(middle === 0 ? 0 : middle)
})
