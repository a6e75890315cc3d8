// The floor of archive-sqlite: the same work by hand. Arguments: the log, the file to write.
import { openSync, readSync } from 'node:fs'
import { openTarget } from './rows.mjs'

const [input, output] = process.argv.slice(2)
// Texts past 128 KiB live outside V8's young generation and cost page faults.
const chunk = Buffer.allocUnsafe(64 * 1024)
const source = openSync(input, 'r')
const target = openTarget(output)

let held = 0
for (;;) {
  const read = readSync(source, chunk, held, chunk.length - held, null)
  if (read === 0) break
  const end = held + read
  const whole = chunk.lastIndexOf(10, end - 1) + 1
  addLines(chunk.toString('utf8', 0, whole))
  chunk.copyWithin(0, whole, end)
  held = end - whole
}
target.end()

/** Parses whole lines and adds their records. */
function addLines(text) {
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    const { timestamp, level, service, message, duration_ms, status, user_id, trace } = JSON.parse(
      text.slice(start, end),
    )
    start = end + 1
    target.add([timestamp, level, service, message, duration_ms, status, user_id, trace])
  }
}
