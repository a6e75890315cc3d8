// A process that marks what it is about to do, told by the system once that this is on no disk: `intending.ts FILE FLAG
// intend|save`, under eio.c. It says so when it has marked it for good, and stays until it is killed.
import { writeFileSync } from 'node:fs'
import { systemClock } from '../../src/core/clock.ts'
import { createLogger } from '../../src/core/log.ts'
import { StateFile } from '../../src/core/state/state-file.ts'

const [path = '', flag = '', then] = process.argv.slice(2)
const file = await StateFile.open(path, {
  pipeline: 'p',
  durability: 'disk',
  instance: String(process.pid),
  log: createLogger({ verbosity: 0, pretty: false }),
  clock: systemClock,
})
const nothing = { memories: [], marks: new Map(), positions: new Map(), timelines: new Map(), buffers: [] }
// SQLite itself flushes the beginning of the journal.
await file.save(nothing)
writeFileSync(flag, '')
try {
  file.intend('out', { 'a.log': 1 })
} catch {
  if (then === 'save') await file.save(nothing)
  else file.intend('out', { 'a.log': 1 })
  process.stdout.write('marked\n')
}
setInterval(() => {}, 1000)
