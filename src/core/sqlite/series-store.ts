// A SQLite file as a store of time series: opened when it is needed, and again when it was replaced or away.
import { stat } from 'node:fs/promises'
import { FeedooError } from '../errors.ts'
import { fileReason } from '../file-reason.ts'
import type { SeriesStore, Taken, Unreadable } from '../series/store.ts'
import { isInternalTable } from './identifiers.ts'
import { type Connection, isBusy, openSqlite, sqliteFailure } from './open.ts'
import { type FileId, isSameFile } from './series-identity.ts'
import { layoutOf } from './series-layout.ts'
import { SqliteSeriesTable } from './series-table.ts'
import { removeTogether, SqliteTaken } from './series-taken.ts'

export interface SqliteStoreOptions {
  path: string
  /** The field that holds the time of a row, as a number in Unix seconds. */
  timeKey: string
  /** Opens the file for reading only. */
  readonly: boolean
  /** That the file is missing when it is first opened is an error for good. */
  mustExist: boolean
}

interface Open {
  db: Connection
  file: FileId
}

/** Errors have the code INPUT_UNREADABLE; `retriable` for a file that is missing, locked or damaged. */
export function createSqliteStore({ path, timeKey, readonly, mustExist }: SqliteStoreOptions): SeriesStore {
  let open: Open | undefined
  let found = false

  function close(): void {
    const db = open?.db
    open = undefined
    db?.close()
  }

  async function connect(): Promise<Open> {
    const file = await identify(path, found || !mustExist)
    found = true
    if (open !== undefined && !isSameFile(open.file, file)) close()
    open ??= { db: await openSqlite(path, { readonly, mustExist: true }), file }
    return open
  }

  async function use<T>(work: (db: Connection, file: FileId) => T, known?: Open): Promise<T> {
    try {
      const { db, file } = known ?? open ?? (await connect())
      return work(db, file)
    } catch (error) {
      // A lock is a matter of time. Anything else that has to do with the file is better met with a new connection.
      const failure = sqliteFailure('INPUT_UNREADABLE', path, error)
      if (failure.retriable && !isBusy(error)) close()
      throw failure
    }
  }

  function lookAt(db: Connection, name: string): SqliteSeriesTable | Unreadable | undefined {
    const layout = layoutOf(db, name, timeKey)
    if (layout === undefined || 'problem' in layout) return layout
    return new SqliteSeriesTable(name, timeKey, layout, use, !readonly)
  }

  return {
    async tables() {
      const known = await connect().catch((error: unknown) => {
        throw sqliteFailure('INPUT_UNREADABLE', path, error)
      })
      return use(tableNames, known)
    },
    table: (name) => use((db) => lookAt(db, name)),
    removeAll: (taken) => removeTogether(use, taken.map(ofSqlite)),
    removeSpans: (spans) =>
      use((db, file) => {
        const removeAll = db.transaction(() => {
          for (const [name, span] of spans) {
            const table = lookAt(db, name)
            if (table !== undefined && !('problem' in table)) table.removeSpanIn(db, file, span)
          }
        })
        removeAll.immediate()
      }),
    close: async () => close(),
  }
}

function ofSqlite(taken: Taken): SqliteTaken {
  if (taken instanceof SqliteTaken) return taken
  throw new TypeError('rows of another store are to be removed')
}

function tableNames(db: Connection): string[] {
  return db
    .prepare<[], { name: string }>(
      // Views have no rowid, and what virtual tables keep is theirs.
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name",
    )
    .all()
    .map(({ name }) => name)
    .filter((name) => !isInternalTable(name))
}

async function identify(path: string, mayComeBack: boolean): Promise<FileId> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    throw new FeedooError('INPUT_UNREADABLE', `${path}: ${fileReason(error)}`, {
      cause: error,
      retriable: mayComeBack,
    })
  }
}
