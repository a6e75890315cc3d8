// A process that inserts numbered rows with the present time into a SQLite file as fast as it gets the lock: PATH ROWS.
import Sqlite from 'better-sqlite3'

const [path = '', rows = '0'] = process.argv.slice(2)
const db = new Sqlite(path, { timeout: 20_000 })
db.pragma('synchronous = OFF')
for (let n = 0; n < Number(rows); n += 4) {
  db.transaction(() => {
    // The input may have removed all rows, and with them the table.
    db.exec('CREATE TABLE IF NOT EXISTS t (timestamp, n)')
    const insert = db.prepare('INSERT INTO t VALUES (?, ?)')
    for (let i = n; i < n + 4; i++) insert.run(Date.now() / 1000, i)
  }).immediate()
}
