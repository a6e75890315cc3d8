// One snapshot for several questions to a SQLite file, at little cost.
import type { Statement } from 'better-sqlite3'
import type { Connection } from './open.ts'

/** Work that sees the file as of one moment. */
export function inSnapshot<T>(db: Connection, work: () => T): T {
  const { begin, commit } = usualOf(db)
  begin.run()
  try {
    const answer = work()
    commit.run()
    return answer
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK')
  }
}

/** Changes with any table of the file. */
export function schemaVersionOf(db: Connection): number | undefined {
  return usualOf(db).schemaVersion.get()
}

interface Usual {
  begin: Statement<[]>
  commit: Statement<[]>
  schemaVersion: Statement<[], number>
}

/** Prepared once: a page of a few rows takes less time than preparing these. */
const usual = new WeakMap<Connection, Usual>()

function usualOf(db: Connection): Usual {
  const known = usual.get(db)
  if (known !== undefined) return known
  const made = {
    begin: db.prepare<[]>('BEGIN'),
    commit: db.prepare<[]>('COMMIT'),
    schemaVersion: db.prepare<[], number>('PRAGMA schema_version').pluck(),
  }
  usual.set(db, made)
  return made
}
