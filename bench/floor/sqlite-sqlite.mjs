// The floor of sqlite-sqlite: the same work by hand. Arguments: the file to read, the file to write.
import Database from 'better-sqlite3'
import { openTarget } from './rows.mjs'

const [input, output] = process.argv.slice(2)
const source = new Database(input, { readonly: true })
const target = openTarget(output)
const rows = source.prepare('SELECT * FROM events ORDER BY timestamp, rowid').raw()
for (const row of rows.iterate()) target.add(row)
target.end()
source.close()
