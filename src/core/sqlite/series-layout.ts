// What a table looks like to the time-series reader: its columns, what orders its rows, and whether an index helps.
import type { Unreadable } from '../series/store.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Connection } from './open.ts'

export interface Layout {
  readonly columns: readonly string[]
  /** SQL of the time field, and of what tells rows of the same time apart; the table goes by the name of `t`. */
  readonly time: string
  readonly key: readonly string[]
  /** The key is the rowid: new rows have a higher one, as a rule. */
  readonly byRowid: boolean
  readonly indexed: boolean
}

interface Column {
  cid: number
  name: string
  type: string
  pk: number
  hidden: number
}

/** Looks at a table; undefined when there is none of that name. */
export function layoutOf(db: Connection, table: string, timeKey: string): Layout | Unreadable | undefined {
  const kind = db
    .prepare<[string], { wr: number }>("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?")
    .get(table)
  if (kind === undefined) return undefined
  const all = db.prepare<[string], Column>("SELECT * FROM pragma_table_xinfo(?, 'main')").all(table)
  // 1: a hidden column of a virtual table; 2 and 3: a generated column, which is read as any other.
  const columns = all.filter(({ hidden }) => hidden !== 1)
  const time = columns.find(({ name }) => name === timeKey) ?? columns.find(({ name }) => sameName(name, timeKey))
  if (time === undefined) return { problem: `it has no field ${timeKey}` }
  if (hasTextAffinity(time.type)) return { problem: `its field ${timeKey} is declared as text; times are numbers` }
  const primary = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
  const byRowid = kind.wr === 0
  const alias = byRowid && primary.length === 1 && sameName(primary[0]?.type ?? '', 'integer') ? primary[0] : undefined
  const rowid = ['rowid', '_rowid_', 'oid'].find((name) =>
    columns.every((column) => column === alias || !sameName(column.name, name)),
  )
  if (byRowid && rowid === undefined) return { problem: 'its columns hide the rowid under all its names' }
  const key = byRowid ? [`t.${rowid}`] : primary.map(({ name }) => `t.${quoteIdentifier(name)}`)
  return {
    columns: columns.map(({ name }) => name),
    // With the table in front: a quoted name alone, of a column that is gone, would be a string.
    time: `t.${quoteIdentifier(time.name)}`,
    key,
    byRowid,
    indexed: time === alias || hasIndex(db, table, time.cid),
  }
}

function hasIndex(db: Connection, table: string, cid: number): boolean {
  return (
    db
      .prepare(
        `SELECT 1 FROM pragma_index_list(?, 'main') AS list, pragma_index_xinfo(list.name, 'main') AS info
         WHERE list.partial = 0 AND info.seqno = 0 AND info.cid = ? AND info.coll = 'BINARY'`,
      )
      .get(table, cid) !== undefined
  )
}

/** SQLite compares names by ASCII letters, case-insensitively. */
function sameName(a: string, b: string): boolean {
  return asciiLower(a) === asciiLower(b)
}

function asciiLower(name: string): string {
  return name.replace(/[A-Z]/g, (char) => char.toLowerCase())
}

/** The rule of "Determination of column affinity" in SQLite's documentation: such a column turns numbers into text. */
function hasTextAffinity(type: string): boolean {
  return !/int/i.test(type) && /char|clob|text/i.test(type)
}
