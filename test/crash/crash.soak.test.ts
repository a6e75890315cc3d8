// A thousand kills, and each named point by itself. Prints the table of docs/guide/promises.md.
import { expect, test } from 'vitest'
import { crashPoints } from '../../src/core/crash-points.ts'
import { crash, type Death, type Experiment, expectExact, type Outcome, seeded, type Way } from './lab.ts'

const ways: readonly Way[] = ['forward', 'file']
/** Kills at any moment in one experiment, and how many experiments over each way. */
const killsEach = 50
/** There are as many named points. */
const rounds = 10
/** Kills at each named point, over each way. */
const killsAtPoint = 20
/** Experiments at the same time: most of their time goes into starting the daemon. */
const parallel = 4

/** What the experiments of one row of the table found. */
const table = new Map<string, Outcome>()

test('1,000 kills at any moment and 20 at each named point, over each way in: nothing lost, nothing doubled', async () => {
  const waiting = experiments()
  const work = async () => {
    for (const { row, experiment } of waiting) {
      const outcome = await crash(experiment)
      note(row, outcome)
      expectExact(outcome)
    }
  }
  try {
    await Promise.all(Array.from({ length: parallel }, work))
  } finally {
    console.log(`\n${print()}`)
  }
  expect([...table.values()].reduce((sum, { kills }) => sum + kills, 0)).toBe(
    ways.length * (rounds * killsEach + crashPoints.length * killsAtPoint),
  )
})

function* experiments(): Generator<{ row: string; experiment: Experiment }> {
  let seed = 1
  const of = (way: Way, death: Death, count: number) => ({
    row: `${way} | ${death === 'any' ? 'any moment' : `\`${death}\``}`,
    experiment: { way, deaths: Array<Death>(count).fill(death), random: seeded(seed++) },
  })
  // By turns, so that a run that is ended early has some of each.
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      yield of(way, 'any', killsEach)
      const point = crashPoints[round]
      if (point !== undefined) yield of(way, point, killsAtPoint)
    }
  }
}

function note(row: string, outcome: Outcome): void {
  const sum = table.get(row)
  if (sum === undefined) table.set(row, outcome)
  else {
    for (const key of ['events', 'kills', 'missing', 'doubledInArchive', 'doubledInSqlite', 'alerts'] as const) {
      sum[key] += outcome[key]
    }
    sum.alertsAsWithoutKills &&= outcome.alertsAsWithoutKills
  }
  // So far: a run of an hour is looked at now and then.
  console.log(`${row}: ${JSON.stringify(table.get(row))}`)
}

function print(): string {
  const head = [
    '| way in | killed at | kills | events | missing | twice in the archive | twice in SQLite | alerts | alerts as without kills |',
    '|---|---|---:|---:|---:|---:|---:|---:|---|',
  ]
  const rows = [...table].map(
    ([row, it]) =>
      `| ${row} | ${it.kills} | ${it.events} | ${it.missing} | ${it.doubledInArchive} | ${it.doubledInSqlite} | ${it.alerts} | ${it.alertsAsWithoutKills ? 'yes' : 'NO'} |`,
  )
  return [...head, ...rows].join('\n')
}
