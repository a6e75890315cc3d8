import { expect, it } from 'vitest'
import { Sights } from '../../../src/core/rules/sights.ts'
import { int, seeded } from '../../helpers/rule-streams.ts'

/** Sights, with the number of the last one of each slot, and how often that was asked for. */
function make() {
  const last = new Map<number, number>()
  const asked = { times: 0 }
  const sights = new Sights((slot) => {
    asked.times++
    return last.get(slot) ?? 0
  })
  let number = 0
  const see = (slot: number) => {
    sights.add(slot, ++number)
    last.set(slot, number)
  }
  return { sights, last, asked, see, now: () => number }
}

it('knows the order in which slots were seen, whatever was seen and forgotten before', () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = seeded(seed)
    const { sights, last, see, now } = make()
    const slots = int(random, 1, 300)
    const forgetting = random() * 0.5
    for (let step = 0; step < 1500; step++) {
      see(int(random, 1, slots))
      const order = () => [...last].sort(([, a], [, b]) => a - b).map(([slot]) => slot)
      if (random() < forgetting) last.delete(random() < 0.5 ? sights.oldest() : int(random, 1, slots))
      if (random() > 0.02) continue
      expect(sights.oldest(), `seed ${seed}`).toBe(order()[0] ?? -1)
      const since = int(random, 0, now())
      const newest = [...last].filter(([, sight]) => sight > since).sort(([, a], [, b]) => b - a)
      expect(sights.after(since), `seed ${seed}`).toEqual(newest.map(([slot]) => slot))
    }
  }
})

it('never does much at once', () => {
  const { asked, see } = make()
  const random = seeded(1)
  let most = 0
  for (let i = 0; i < 200_000; i++) {
    const before = asked.times
    see(int(random, 0, 10_000))
    most = Math.max(most, asked.times - before)
  }
  expect(most).toBe(80)
  expect(asked.times).toBeLessThan(1.5 * 200_000)
})
