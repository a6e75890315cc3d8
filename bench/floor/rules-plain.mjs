// The floor of the rules: lines read, parsed and counted by hand. Arguments: the log.
import { openSync, readSync } from 'node:fs'

const [input] = process.argv.slice(2)
const chunk = Buffer.allocUnsafe(64 * 1024)
const source = openSync(input, 'r')

let events = 0
let newest = 0
let held = 0
for (;;) {
  const read = readSync(source, chunk, held, chunk.length - held, null)
  if (read === 0) break
  const end = held + read
  const whole = chunk.lastIndexOf(10, end - 1) + 1
  countLines(chunk.toString('utf8', 0, whole))
  chunk.copyWithin(0, whole, end)
  held = end - whole
}
console.error(`done: ${events} events until ${newest}`)

function countLines(text) {
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    const { time } = JSON.parse(text.slice(start, end))
    start = end + 1
    if (time > newest) newest = time
    events++
  }
}
