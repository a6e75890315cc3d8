// `remove: true` under 200 kills at any moment and at each named point. Prints what each experiment found.
import { expect, test } from 'vitest'
import { crashPoints, removalPoints } from '../../src/core/crash-points.ts'
import { startEmulator } from '../helpers/rethinkdb.ts'
import { type Death, seeded } from './lab.ts'
import { expectMoved, type RemovalExperiment, removeUnderKills, rethinkdbSource, sqliteSource } from './remove-lab.ts'

/** Reached once only, by the first row of a file: not by every run. */
const rare: readonly Death[] = ['before_intend', 'after_intend']
const points: readonly Death[] = [...crashPoints, ...removalPoints].filter((point) => !rare.includes(point))
/** Kills in one experiment: each point once, and as many at any moment. */
const deaths: readonly Death[] = points.flatMap((point) => [point, 'any'] as const)

async function experiments(count: number, make: () => Promise<RemovalExperiment['source']>): Promise<number> {
  let kills = 0
  for (let i = 0; i < count; i++) {
    const outcome = await removeUnderKills({ source: await make(), deaths, random: seeded(100 + i) })
    console.log(JSON.stringify(outcome))
    expectMoved(outcome)
    kills += outcome.kills
  }
  return kills
}

test('from SQLite, more than 200 kills: no row is lost, none is left behind, none is written twice', async () => {
  expect(await experiments(9, async () => sqliteSource)).toBeGreaterThanOrEqual(200)
})

test('from RethinkDB (reqlite), more than 40 kills: no row is lost, none is left behind, none is written twice', async () => {
  const make = async () => {
    const server = await startEmulator()
    return () => rethinkdbSource(server)
  }
  expect(await experiments(2, make)).toBeGreaterThanOrEqual(40)
})
