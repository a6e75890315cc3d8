// `remove: true` under 200 kills at any moment and at each named point. Prints what each experiment found.
import { expect, test } from 'vitest'
import { crashPoints, removalPoints } from '../../src/core/crash-points.ts'
import { startEmulator } from '../helpers/rethinkdb.ts'
import { type Death, seeded } from './lab.ts'
import { expectMoved, type RemovalExperiment, removeUnderKills, rethinkdbSource, sqliteSource } from './remove-lab.ts'

/** Kills in one experiment: at each point once, and as often at any moment. */
const deaths: readonly Death[] = [...crashPoints, ...removalPoints].flatMap((point) => [point, 'any'] as const)

async function experiments(count: number, make: () => Promise<RemovalExperiment['source']>): Promise<number> {
  let kills = 0
  for (let i = 0; i < count; i++) {
    const outcome = await removeUnderKills({ source: await make(), deaths, random: seeded(100 + i) })
    console.log(JSON.stringify({ ...outcome, left: outcome.left.length }))
    expectMoved(outcome)
    kills += outcome.kills
  }
  return kills
}

test('from SQLite, more than 200 kills: no row is lost, none is left behind, none is written twice', async () => {
  expect(await experiments(8, async () => sqliteSource)).toBeGreaterThanOrEqual(200)
})

test('from RethinkDB (reqlite), more than 40 kills: no row is lost, none is left behind, none is written twice', async () => {
  const make = async () => {
    const server = await startEmulator()
    return () => rethinkdbSource(server)
  }
  expect(await experiments(2, make)).toBeGreaterThanOrEqual(40)
})
