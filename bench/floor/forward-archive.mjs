// The floor of forward-archive: the same work by hand. Arguments: the port, the file to write, connections.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { receive } from './forward-decode.mjs'

const [port, output, connections] = process.argv.slice(2)
const target = openSync(output, 'w')

receive(Number(port), Number(connections), writeRecords, () => {
  fsyncSync(target)
  closeSync(target)
})

/** Writes the records of one read in one go. */
function writeRecords(records) {
  let out = ''
  for (const record of records) out += `${JSON.stringify(record)}\n`
  writeSync(target, out)
}
