// Random tables, writers and deaths against the plain rule: every row in order of time, each once.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testDatabase } from './database.ts'
import { Driven } from './driven.ts'

const tables = ['a', 'b"; DROP TABLE a;--', 'select', 'plain'] as const
type Table = (typeof tables)[number]

/** Seconds; a writer may be as late as that. */
const offset = 5

type Step =
  /** Rows of one transaction: how old they are when they are inserted, in quarters of a second. */
  | { do: 'insert'; table: Table; ages: number[] }
  | { do: 'pass'; seconds: number }
  /** So many batches. */
  | { do: 'commit'; batches: number }
  | { do: 'kill'; keep: number; after: number }
  /** The reader works for a while: it may be in the middle of anything then. */
  | { do: 'work'; batches: number }
  | { do: 'settle' }

const step = (oldest: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('insert' as const),
        table: fc.constantFrom(...tables),
        ages: fc.array(fc.integer({ min: -8, max: oldest }), { minLength: 1, maxLength: 30 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.integer({ min: 0, max: 6 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('commit' as const), batches: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('kill' as const),
        keep: fc.integer({ min: 0, max: 4 }),
        after: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('work' as const), batches: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'settle' as const }) },
  )

/** Rows have the time at which they are inserted. */
const inTime = step(0).map((made): Step => (made.do === 'insert' ? { ...made, ages: made.ages.map(() => 0) } : made))

interface Written {
  id: number
  ts: number
  table: Table
}

interface Options {
  remove?: boolean
  indexed: boolean
  /** Without a rowid, with keys that do not grow. */
  keyed?: boolean
  offset?: number
}

/** Runs the steps, and then lets everything come to rest, in the far future. */
async function play(steps: readonly Step[], { remove = false, indexed, keyed = false, ...options }: Options) {
  const database = testDatabase()
  const written: Written[] = []
  const driven = new Driven(
    () => database.store(),
    { offset, remove, window: 3, limits: { batch: 7, page: 3, removal: 10 }, ...options },
    1000,
  )
  driven.start()
  for (const step of [...steps, { do: 'pass', seconds: 1000 } as const]) {
    if (driven.dead && step.do !== 'insert' && step.do !== 'pass') driven.start()
    switch (step.do) {
      case 'insert': {
        const name = `"${step.table.replaceAll('"', '""')}"`
        // A removal may have dropped it.
        const columns = keyed ? '(ts, id, key PRIMARY KEY) WITHOUT ROWID' : '(ts, id, key)'
        database.db.exec(`CREATE TABLE IF NOT EXISTS ${name} ${columns}`)
        if (indexed) database.db.exec(`CREATE INDEX IF NOT EXISTS "${tables.indexOf(step.table)}" ON ${name} (ts)`)
        const insert = database.db.prepare(`INSERT INTO ${name} VALUES (?, ?, ?)`)
        for (const age of step.ages) {
          const row = { ts: driven.clock.now() - age / 4, id: written.length, table: step.table }
          written.push(row)
          insert.run(row.ts, BigInt(row.id), shuffled(row.id))
        }
        break
      }
      case 'pass':
        driven.clock.advance(step.seconds)
        break
      case 'commit':
        driven.commit(step.batches)
        break
      case 'kill':
        // Now, with what it has in hand; or somewhere in what it does next, between two calls to the database.
        driven.liveFor(step.after === 0 ? Number.POSITIVE_INFINITY : step.after)
        if (step.after === 0) await driven.work(step.keep + 1)
        else await driven.settle()
        driven.commit(step.keep)
        driven.kill()
        break
      case 'work':
        await driven.work(step.batches)
        break
      case 'settle':
        await driven.settle()
    }
  }
  if (driven.dead) driven.start()
  await driven.look(offset)
  await driven.look()
  await driven.stop()
  const names = database.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  return { written, driven, names }
}

/** Another number for each id, in no order. */
function shuffled(id: number): number {
  return (id * 7919) % 10_007
}

function ids(driven: Driven): unknown[] {
  return driven.out.map(({ record }) => record.id)
}

describe.each([
  ['with an index', true],
  ['without an index', false],
])('%s', (_how, indexed) => {
  it('sends every row once, in order of time, wherever the process dies', async () => {
    // A row that is older than the offset when it comes may be lost: that is what the offset says.
    const late = offset * 4 - 1
    await fc.assert(
      fc.asyncProperty(fc.array(step(late), { maxLength: 40 }), async (steps) => {
        const { written, driven } = await play(steps, { indexed })
        const order = [...written].sort(
          (a, b) => a.ts - b.ts || (a.table < b.table ? -1 : a.table > b.table ? 1 : a.id - b.id),
        )
        expect(ids(driven)).toEqual(order.map(({ id }) => id))
        expect(driven.counts.size).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('sends every row once that comes in its time, though others of that time were read before, whatever the keys', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(inTime, { maxLength: 40 }), async (steps) => {
        const { written, driven } = await play(steps, { indexed, keyed: true, offset: 0 })
        expect(ids(driven).sort((a, b) => Number(a) - Number(b))).toEqual(written.map(({ id }) => id))
        expect(driven.counts.size).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('sends every row once and leaves none behind with remove, however late they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step(400), { maxLength: 40 }), async (steps) => {
        const { written, driven, names } = await play(steps, { remove: true, indexed })
        expect(ids(driven).sort((a, b) => Number(a) - Number(b))).toEqual(written.map(({ id }) => id))
        expect(names).toEqual([])
        expect([...driven.positions.keys()]).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})
