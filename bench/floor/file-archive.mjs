// The floor of file-archive: the same work by hand. Arguments: the log, the file to write.
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'

const [input, output] = process.argv.slice(2)
// Texts past 128 KiB live outside V8's young generation and cost page faults.
const chunk = Buffer.allocUnsafe(64 * 1024)
const source = openSync(input, 'r')
const target = openSync(output, 'w')

let held = 0
for (;;) {
  const read = readSync(source, chunk, held, chunk.length - held, null)
  if (read === 0) break
  const end = held + read
  const whole = chunk.lastIndexOf(10, end - 1) + 1
  writeLines(chunk.toString('utf8', 0, whole))
  chunk.copyWithin(0, whole, end)
  held = end - whole
}
fsyncSync(target)
closeSync(target)

/** Writes the records of whole lines in one go. */
function writeLines(text) {
  let out = ''
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    out += `${JSON.stringify({ log: text.slice(start, end) })}\n`
    start = end + 1
  }
  writeSync(target, out)
}
