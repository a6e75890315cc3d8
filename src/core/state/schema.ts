// The tables of a state file, and how a file of an older format becomes one of today's.
import type Database from 'better-sqlite3'

/** `feed`, where SQLite keeps the kind of a file: at byte 68. */
export const applicationId = 0x66656564

/** Each takes a file from one format to the next. What has been released is never changed, only added to. */
export const migrations: readonly string[] = [
  // Rows are named by pipeline: several may share a file. `crc` is the CRC-32 of the data.
  `CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE commits (
     pipeline TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL, time REAL NOT NULL, configuration TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE segments (
     pipeline TEXT NOT NULL, action TEXT NOT NULL, seq INTEGER NOT NULL,
     format TEXT NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL,
     PRIMARY KEY (pipeline, action, seq)
   ) STRICT;
   CREATE TABLE marks (
     pipeline TEXT NOT NULL, action TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
     PRIMARY KEY (pipeline, action, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE batches (
     pipeline TEXT NOT NULL, action TEXT NOT NULL, seq INTEGER NOT NULL,
     events INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL,
     PRIMARY KEY (pipeline, action, seq)
   ) STRICT;
   CREATE TABLE last_batches (
     pipeline TEXT NOT NULL, action TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (pipeline, action)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE positions (
     pipeline TEXT NOT NULL, input TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
     PRIMARY KEY (pipeline, input, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE timelines (
     pipeline TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (pipeline, name)
   ) STRICT, WITHOUT ROWID;`,
  // What the target knows a batch by. Until then it was made of the place where it is saved.
  `ALTER TABLE batches ADD COLUMN name TEXT NOT NULL DEFAULT '';
   UPDATE batches
   SET name = (SELECT value FROM meta WHERE key = 'id') || '/' || pipeline || '/' || action || '/' || seq;`,
  // The inputs and outputs of the last configuration, and those before of which something is saved. `tags` is JSON.
  `CREATE TABLE actions (
     pipeline TEXT NOT NULL, action TEXT NOT NULL, configured INTEGER NOT NULL, place TEXT NOT NULL, tags TEXT NOT NULL,
     PRIMARY KEY (pipeline, action)
   ) STRICT, WITHOUT ROWID;`,
]

/** What is saved of inputs and outputs, and the column that says whose it is. */
const namedTables = [
  ['positions', 'input'],
  ['marks', 'action'],
  ['batches', 'action'],
  ['last_batches', 'action'],
] as const

/** The inputs and outputs of a pipeline that something is saved of. */
export const savedActions = `SELECT action FROM (${namedTables
  .map(([table, column]) => `SELECT pipeline, ${column} AS action FROM ${table}`)
  .join(' UNION ')}) WHERE pipeline = ?`

/** Gives to one action of a pipeline what is saved of another, by whether it is a matter of events that wait for it. */
export const renames = {
  progress: namedTables.slice(0, 2).map(renameIn),
  events: namedTables.slice(2).map(renameIn),
}

function renameIn([table, column]: (typeof namedTables)[number]): string {
  return `UPDATE ${table} SET ${column} = ? WHERE pipeline = ? AND ${column} = ?`
}

/** The format that this version writes, and the newest that it reads; `user_version` in SQLite's words. */
export const stateFormat = migrations.length

/** The first format with the table `actions`. */
export const actionsSince = 3

export function formatOf(database: Database.Database): number {
  return Number(database.pragma('user_version', { simple: true }))
}

/** Brings a file to the newest format, all in one transaction. */
export function migrate(database: Database.Database, steps: readonly string[] = migrations): void {
  if (formatOf(database) >= steps.length) return
  database
    .transaction(() => {
      // Asked again: another pipeline may have been faster.
      for (const step of steps.slice(formatOf(database))) database.exec(step)
      database.pragma(`user_version = ${steps.length}`)
    })
    .immediate()
}
