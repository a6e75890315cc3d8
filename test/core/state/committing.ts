// A process that commits as fast as it can until it is killed: `committing.ts FILE DURABILITY`. Each commit says its
// number everywhere; a line on the standard output says that it is saved.
import { systemClock } from '../../../src/core/clock.ts'
import { createLogger } from '../../../src/core/log.ts'
import { type Durability, StateFile } from '../../../src/core/state/state-file.ts'
import { numbered } from './numbered.ts'

const [path = '', durability = 'disk'] = process.argv.slice(2)
const file = await StateFile.open(path, {
  pipeline: 'p',
  durability: durability as Durability,
  instance: String(process.pid),
  log: createLogger({ verbosity: 0, pretty: false }),
  clock: systemClock,
})
for (let n = file.seq + 1; ; n++) {
  await file.save(numbered(n))
  process.stdout.write(`${n}\n`)
  // Lets the line out, and signals in.
  if (n % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
}
