// A job that writes numbered events into SQLite and keeps its state in a file, as the engine does; it kills itself at a
// named point. Arguments: the SQLite file, the file of the state, how many events, the point (or none), which time.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { outputSqlite } from '../../src/actions/output/output_sqlite.ts'
import type { Position } from '../../src/core/action.ts'
import { noOthers } from '../../src/core/append-file-marks.ts'
import { systemClock } from '../../src/core/clock.ts'
import { ArrivalTimeline } from '../../src/core/timeline.ts'
import { silent } from './run-pipeline.ts'

const [database = '', stateFile = '', events = '', point = '', times = '1'] = process.argv.slice(2)
const batch = 70
const state = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : { marks: {}, next: 0 }
const marks: Position = state.marks

const built = outputSqlite.build(
  { filename: database, table: 't{parity}' },
  {
    pipeline: 'p',
    label: 'o',
    clock: systemClock,
    time: new ArrivalTimeline(systemClock),
    log: silent,
    intend: (marks) => save(marks, 0),
    deadLetter: (_, error) => {
      throw error
    },
    countError() {},
    count() {},
  },
)
if (built.kind !== 'output') throw new Error('output_sqlite is an output')
const { action } = built

let left = Number(times)
function reach(name: string): void {
  if (name === point && --left === 0) process.kill(process.pid, 'SIGKILL')
}

function save(changed: Position, next: number): void {
  Object.assign(marks, changed)
  writeFileSync(`${stateFile}.new`, JSON.stringify({ marks, next }))
  reach('before the state is saved')
  renameSync(`${stateFile}.new`, stateFile)
}

await action.recover?.(new Map(Object.entries(marks)), noOthers)
reach('when it has begun')
let { next } = state
let writes = 0
while (next < Number(events)) {
  const end = Math.min(next + batch, Number(events))
  const rows = Array.from({ length: end - next }, (_, i) => {
    const n = next + i
    return { tag: 't', timestamp: n, record: { n, parity: n % 2, ...(n % 3 === 0 ? { third: 'x' } : {}) } }
  })
  await action.write(rows)
  next = end
  console.log(next)
  reach('after a write')
  if (++writes % 3 !== 0 && next < Number(events)) continue
  const mark = action.mark?.() ?? {}
  await action.sync?.()
  reach('after a sync')
  save(mark, next)
  reach('after the state is saved')
}
await action.close?.()
