import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Answer, AnswerCache } from '../../../src/core/dns/answer-cache.ts'
import { createTables } from '../../../src/core/rules/table.ts'

function openCache(domains: readonly string[], timeout: number, maxKeys: number) {
  const tables = createTables()
  const cache = new AnswerCache(tables.table('answers', { maxKeys }), { domains, timeout })
  return { cache, memory: tables.memory('test') }
}

test('the cache says what was said last, as long as it is good, also after a restart', () => {
  const domains = Array.from({ length: 40 }, (_, i) => `list${i}.test`)
  const timeout = 10
  const step = fc.record({
    address: fc.integer({ min: 0, max: 3 }).map((last) => `192.0.2.${last}`),
    list: fc.integer({ min: 0, max: 39 }),
    answer: fc.boolean(),
    wait: fc.constantFrom(0, 0, 0, 1, 5, 10, -3),
    restart: fc.constantFrom(false, false, false, true),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let { cache, memory } = openCache(domains, timeout, 100)
      memory.restore([])
      const segments: Uint8Array[] = []
      // By definition: for each address when it was asked for, and what was said since.
      const said = new Map<string, { since: number; answers: Answer[] }>()
      const fresh = (since: number, now: number) => now >= since && now - since < timeout
      let now = 1_700_000_000
      for (const { address, list, answer, wait, restart } of steps) {
        now += wait
        cache.set(address, list, answer, now)
        let known = said.get(address)
        if (known === undefined || !fresh(known.since, now)) known = { since: now, answers: [] }
        known.answers[list] = answer
        said.set(address, known)
        if (restart) {
          const changes = memory.changes()
          if (changes !== undefined) segments.push(changes.segment)
          ;({ cache, memory } = openCache(domains, timeout, 100))
          memory.restore(segments)
        }
        for (const later of [0, 9, 10]) {
          for (const [known, { since, answers }] of said) {
            const expected = domains.map((_, i) => (fresh(since, now + later) ? answers[i] : undefined))
            expect(cache.get(known, now + later)).toEqual(expected)
          }
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('lists that are no longer asked are dropped from what was saved, and others keep theirs', () => {
  const before = openCache(['a.test', 'b.test', 'c.test'], 10, 100)
  before.memory.restore([])
  before.cache.set('192.0.2.1', 0, true, 5)
  before.cache.set('192.0.2.1', 1, false, 6)
  before.cache.set('192.0.2.1', 2, true, 7)
  const segment = before.memory.changes()?.segment ?? new Uint8Array()
  const after = openCache(['new.test', 'c.test', 'b.test'], 10, 100)
  after.memory.restore([segment])
  expect(after.cache.get('192.0.2.1', 14.9)).toEqual([undefined, true, false])
  expect(after.cache.get('192.0.2.1', 15)).toEqual([undefined, undefined, undefined])
})

test('the address asked for longest ago is forgotten first, and stays forgotten', () => {
  const { cache, memory } = openCache(['a.test'], 10, 2)
  memory.restore([])
  for (const [second, address] of ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3'].entries()) {
    cache.set(address, 0, true, second)
  }
  const shown = (from: AnswerCache) => [1, 2, 3].map((last) => from.get(`192.0.2.${last}`, 3)[0])
  expect(shown(cache)).toEqual([undefined, true, true])
  const again = openCache(['a.test'], 10, 2)
  again.memory.restore([memory.changes()?.segment ?? new Uint8Array()])
  expect(shown(again.cache)).toEqual([undefined, true, true])
})
