import { describe, expect, test } from 'vitest'
import { startEmulator } from '../helpers/rethinkdb.ts'
import { type Death, seeded } from './lab.ts'
import { expectMoved, removeUnderKills, rethinkdbSource, sqliteSource } from './remove-lab.ts'

const deaths: readonly Death[] = [
  'after_write',
  'any',
  'before_commit',
  'before_remove',
  'any',
  'after_remove',
  'after_commit',
  'before_drop',
  'any',
  'after_drop',
]

describe('remove: true under kill -9: no row is lost, none is left behind, none is written twice', () => {
  test('from SQLite, ten times', { timeout: 120_000 }, async () => {
    expectMoved(await removeUnderKills({ source: sqliteSource, deaths, random: seeded(5) }))
  })

  test('from RethinkDB (reqlite), five times', { timeout: 120_000 }, async () => {
    const server = await startEmulator()
    const source = () => rethinkdbSource(server)
    const few: readonly Death[] = ['before_commit', 'after_commit', 'any', 'after_remove', 'after_drop']
    expectMoved(await removeUnderKills({ source, deaths: few, random: seeded(6) }))
  })

  test('without state_dir nothing is lost, but what was written and not removed comes twice', {
    timeout: 120_000,
  }, async () => {
    const deaths: readonly Death[] = ['before_remove', 'any', 'after_commit', 'before_remove']
    const outcome = await removeUnderKills({ source: sqliteSource, deaths, random: seeded(7), state: false })
    expect(outcome).toMatchObject({ missing: 0, misplaced: 0 })
    // The laboratory sees it.
    expect(outcome.doubledInSqlite).toBeGreaterThan(0)
  })
})
