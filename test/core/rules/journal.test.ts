import { expect, it } from 'vitest'
import { keyOf } from '../../../src/core/rules/identity.ts'
import { createJournal, type Section, savedMap, savedNumber } from '../../../src/core/rules/journal.ts'
import { KeyTable } from '../../../src/core/rules/keys.ts'
import { createTables } from '../../../src/core/rules/table.ts'
import { int, keyVariants, seeded } from '../../helpers/rule-streams.ts'

/** A table with a number a key, saved by a journal. */
function make(maxKeys: number) {
  const keys: KeyTable = new KeyTable({ maxKeys, forget: (slot) => journal.forget(section, slot) })
  const numbers = keys.float64(0)
  const section: Section = {
    name: 'keys',
    keys,
    write: (slot, writer) =>
      void writer
        .mapHeader(1)
        .str('number')
        .number(numbers.data[slot] ?? 0),
    read: (slot, value) => {
      numbers.data[slot] = savedNumber(savedMap(value).number)
    },
  }
  const journal = createJournal('test', [section])
  /** The keys from the newest to the oldest, with their numbers. */
  const all = () => {
    return keys.seenAfter(0).map((slot) => [keys.keyAt(slot), numbers.data[slot]])
  }
  return { keys, numbers, section, journal, all }
}

it('gives back what was kept, in its order, from the segments it asks to keep, after any changes', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seeded(seed)
    const maxKeys = int(random, 1, 200)
    let table = make(maxKeys)
    let segments: Uint8Array[] = []
    table.journal.restore([])
    for (let round = 0; round < 30; round++) {
      for (let change = int(random, 0, 40); change > 0; change--) {
        const kind = random()
        const key =
          random() < 0.1
            ? (keyOf(keyVariants[int(random, 0, keyVariants.length - 1)]) ?? null)
            : `${int(random, 1, 250)}`
        const known = table.keys.find(key)
        if (kind < 0.1) {
          if (known >= 0) table.keys.delete(known)
        } else if (kind < 0.2) {
          if (known < 0) continue
          table.numbers.data[known] = -change
          table.journal.touch(table.section, known)
        } else {
          table.numbers.data[table.keys.see(key)] = change
        }
      }
      const changes = table.journal.changes()
      if (changes !== undefined) segments = [...segments, changes.segment].slice(-changes.keep)
      if (random() < 0.7) continue
      const restored = make(maxKeys)
      restored.journal.restore(segments)
      expect(restored.all(), `seed ${seed}, round ${round}`).toEqual(table.all())
      table = restored
    }
  }
})

it('repeats as much as has changed, so that what is kept stays within a few times of what there is', () => {
  const { keys, journal } = make(1_000_000)
  journal.restore([])
  let segments: Uint8Array[] = []
  let longest = 0
  const save = () => {
    const changes = journal.changes()
    if (changes === undefined) return 0
    segments = [...segments, changes.segment].slice(-changes.keep)
    return changes.segment.length
  }
  for (let i = 0; i < 20_000; i++) keys.see(`key ${i}`)
  const whole = save()
  for (let round = 0; round < 400; round++) {
    for (let i = 0; i < 200; i++) keys.see(`key ${(round * 37 + i * 101) % 20_000}`)
    longest = Math.max(longest, save())
  }
  const kept = segments.reduce((sum, { length }) => sum + length, 0)
  expect(kept).toBeLessThan(6 * whole)
  expect(longest).toBeLessThan(whole / 40)
})

it.each([
  ['empty', 0, 100, 25],
  ['as it was', 500, 100, 40],
  ['as it was, and much larger', 5000, 5, 300],
])('keeps no more segments because another table stays %s', (_, others, each, most) => {
  const tables = createTables()
  const seen = tables.table('seen', { maxKeys: 1000 })
  const still = tables.table('still', { maxKeys: 10_000 })
  const memory = tables.memory('test')
  memory.restore([])
  for (let key = 0; key < others; key++) still.keys.see(key)
  const keeps = Array.from({ length: 1000 }, (_, round) => {
    for (let i = 0; i < each; i++) seen.keys.see((round * each + i) % 1000)
    return memory.changes()?.keep ?? 0
  })
  expect(Math.max(...keeps)).toBeLessThanOrEqual(most)
})

it('a table repeats as much as another has changed, so that the segments of that one can go', () => {
  const tables = createTables()
  const seen = tables.table('seen', { maxKeys: 100_000 })
  const still = tables.table('still', { maxKeys: 100_000 })
  const memory = tables.memory('test')
  memory.restore([])
  for (let key = 0; key < 10_000; key++) still.keys.see(key)
  const keeps = Array.from({ length: 100 }, (_, round) => {
    for (let i = 0; i < 2000; i++) seen.keys.see((round * 2000 + i) % 10_000)
    return memory.changes()?.keep ?? 0
  })
  expect(Math.max(...keeps)).toBeLessThanOrEqual(25)
})

it('says nothing when nothing has changed', () => {
  const { keys, journal } = make(10)
  journal.restore([])
  keys.see('a')
  expect(journal.changes()).toBeDefined()
  expect(journal.changes()).toBeUndefined()
})

it.each([
  ['nothing', new Uint8Array()],
  ['half a segment', new Uint8Array([0x81, 0xa4, 0x6b, 0x65])],
  ['a section of another kind', new Uint8Array([0x81, 0xa1, 0x78, 0x90])],
  ['a text', new Uint8Array([0xa1, 0x78])],
])('refuses %s', (_, segment) => {
  expect(() => make(10).journal.restore([segment])).toThrow(/cannot be read|needs more/)
})
