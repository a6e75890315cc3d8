import { describe, expect, it } from 'vitest'
import { servers } from '../helpers/rethinkdb.ts'
import { moveThere, typedEvent } from '../helpers/rethinkdb-move.ts'
import { makePipeline, send } from '../helpers/run-pipeline.ts'

describe.each(servers.map((server) => ({ ...server })))('$title', ({ start, skipped }) => {
  it.skipIf(skipped)('gives back records as they were written, with every type', async () => {
    const server = await start()
    const events = Array.from({ length: 300 }, (_, n) => typedEvent(n))
    for (const [n, id] of [2n ** 62n, null, ['a', 1], { a: 1 }, 'x'.repeat(200), 7, true].entries()) {
      events.push({ ...typedEvent(1000 + n), record: { ...typedEvent(1000 + n).record, id, n: Number.NaN } })
    }
    await send([{ name: 'output_rethinkdb', ...server.params, table: 'typed', time_key: 'ts' }], events)
    const { pipeline, out } = makePipeline([
      { name: 'input_rethinkdb', ...server.params, tag: 'typed', time_key: 'ts', once: true },
    ])
    await pipeline.open()
    await pipeline.run(new AbortController().signal)
    expect(out).toEqual(events)
  })

  it.skipIf(skipped)(
    'takes 20,000 rows of every type from SQLite and gives them back, row for row',
    async () => {
      await moveThere(await start(), 20_000)
      // The emulator looks at every row for each page.
    },
    180_000,
  )
})
