// The floor of sqlite-archive: the same work by hand. Arguments: the file to read, the file to write.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'

const [input, output] = process.argv.slice(2)
/** Lines written in one go. */
const batch = 1000
const source = new Database(input, { readonly: true })
const target = openSync(output, 'w')
let text = ''
let lines = 0
// Lists, and an object made of each by hand, take a third less time than the objects of better-sqlite3.
for (const row of source.prepare('SELECT * FROM events ORDER BY timestamp, rowid').raw().iterate()) {
  const [timestamp, level, service, message, duration_ms, status, user_id, trace] = row
  text += `${JSON.stringify({ timestamp, level, service, message, duration_ms, status, user_id, trace })}\n`
  if (++lines % batch === 0) {
    writeSync(target, text)
    text = ''
  }
}
writeSync(target, text)
fsyncSync(target)
closeSync(target)
source.close()
