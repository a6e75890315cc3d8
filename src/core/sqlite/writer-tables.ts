// The tables an output writes to: made and widened as rows need it, with the statements that insert into them.
import type { Database, Statement } from 'better-sqlite3'
import { quoteIdentifier } from './identifiers.ts'
import { type Layout, tooMany } from './writer-layout.ts'
import { foldName, ownPrefix } from './writer-names.ts'
import type { SqlValue } from './writer-values.ts'

/** Tables whose columns are remembered. */
const maxTables = 1000
/** Table and column sets whose statements are kept. */
const maxInserts = 200
/** Values bound in one statement of many rows, and of fewer: more cost more than they save. */
const bulkValues = [256, 64]

export interface Table {
  readonly name: string
  /** Quoted. */
  readonly sql: string
  /** As foldName gives them. */
  readonly columns: Set<string>
  /** The column that is another name of the row number; undefined for tables that feedoo made. */
  readonly rowAlias: string | undefined
  /** Somebody's triggers or conflict clauses: then a statement that fails may leave rows behind. */
  readonly singly: boolean
  /** A name of the row number that no column has; undefined when columns have all of them. */
  readonly rowNumber: string | undefined
}

export interface Insert {
  readonly one: Statement<SqlValue[][]>
  /** Statements of many rows, the largest first. */
  readonly bulk: readonly Bulk[]
}

export interface Bulk {
  readonly rows: number
  /** Prepared when it is asked for. */
  readonly statement: Statement<SqlValue[][]>
}

export interface Tables {
  /**
   * The table with at least the columns of the layout. Call it in a transaction: what is missing is made. Throws
   * OUTPUT_REJECTED for too many columns, and what SQLite throws.
   */
  table(name: string, layout: Layout): Table
  insert(table: Table, layout: Layout): Insert
  /** Looks again at what the tables are like. */
  forget(): void
}

export interface TableOptions {
  timeColumn: string
  maxColumns: number
}

export function createTables(db: Database, { timeColumn, maxColumns }: TableOptions): Tables {
  const tables = new Map<string, Table>()
  const inserts = new Map<string, Insert>()
  const time = foldName(timeColumn)

  function create(name: string, layout: Layout): void {
    db.exec(`CREATE TABLE ${quoteIdentifier(name)} (${layout.columns.map(quoteIdentifier).join(', ')})`)
    addIndex(name, layout)
  }

  function widen(table: Table, layout: Layout): void {
    const missing = layout.columns.filter((_, i) => !table.columns.has(layout.folded[i] ?? ''))
    if (table.columns.size + missing.length > maxColumns) throw tooMany(maxColumns)
    for (const column of missing) {
      db.exec(`ALTER TABLE ${table.sql} ADD COLUMN ${quoteIdentifier(column)}`)
      table.columns.add(foldName(column))
    }
    if (missing.some((column) => foldName(column) === time)) addIndex(table.name, layout)
  }

  /** Whoever reads the table in the order of time needs it. */
  function addIndex(name: string, { columns, folded }: Layout): void {
    const column = columns[folded.indexOf(time)] ?? timeColumn
    const index = quoteIdentifier(`${ownPrefix}time_${name}`)
    db.exec(`CREATE INDEX IF NOT EXISTS ${index} ON ${quoteIdentifier(name)} (${quoteIdentifier(column)})`)
  }

  function prepare({ sql }: Table, { columns }: Layout): Insert {
    const into = `INSERT INTO ${sql} (${columns.map(quoteIdentifier).join(', ')}) VALUES `
    const row = `(${columns.map(() => '?').join(', ')})`
    const bulk = bulkValues.flatMap((values) => {
      const rows = Math.floor(values / columns.length)
      return rows > 1 ? [prepareBulk(into + Array(rows).fill(row).join(', '), rows)] : []
    })
    // The row number of a row may be beyond 2^53.
    return { one: db.prepare<SqlValue[][]>(into + row).safeIntegers(), bulk }
  }

  function prepareBulk(sql: string, rows: number): Bulk {
    let statement: Statement<SqlValue[][]> | undefined
    return {
      rows,
      get statement() {
        statement ??= db.prepare<SqlValue[][]>(sql)
        return statement
      },
    }
  }

  return {
    table(name, layout) {
      const key = foldName(name)
      let table = recent(tables, key)
      if (table === undefined) {
        table = findTable(db, name)
        if (table === undefined) {
          create(name, layout)
          table = findTable(db, name) ?? { ...unknownTable, name, sql: quoteIdentifier(name), columns: new Set() }
        }
        remember(tables, key, table, maxTables)
      }
      const { columns } = table
      if (!layout.folded.every((column) => columns.has(column))) widen(table, layout)
      return table
    },
    insert(table, layout) {
      const key = `${layout.id} ${foldName(table.name)}`
      let insert = recent(inserts, key)
      if (insert === undefined) {
        insert = prepare(table, layout)
        remember(inserts, key, insert, maxInserts)
      }
      return insert
    },
    forget() {
      tables.clear()
      inserts.clear()
    },
  }
}

const unknownTable = { rowAlias: undefined, singly: true, rowNumber: 'rowid' } as const

interface ColumnInfo {
  name: string
  type: string
  pk: number
}

/** What a table is like; undefined when there is none of that name. */
export function findTable(db: Database, name: string): Table | undefined {
  const columns = db.prepare<[string], ColumnInfo>('SELECT name, type, pk FROM pragma_table_xinfo(?)').all(name)
  if (columns.length === 0) return undefined
  const folded = new Set(columns.map((column) => foldName(column.name)))
  const key = columns.filter(({ pk }) => pk > 0)
  const alias = key.length === 1 ? key.find(({ type }) => type.toUpperCase() === 'INTEGER') : undefined
  const foreign = db
    .prepare(
      "SELECT 1 FROM sqlite_schema WHERE tbl_name = ? COLLATE NOCASE AND (type = 'trigger' OR sql LIKE '%conflict%')",
    )
    .get(name)
  return {
    name,
    sql: quoteIdentifier(name),
    columns: folded,
    rowAlias: alias === undefined ? undefined : foldName(alias.name),
    singly: foreign !== undefined,
    rowNumber: ['_rowid_', 'rowid', 'oid'].find((free) => !folded.has(free)),
  }
}

/** The value of a key, which thereby becomes the most recently used one. */
function recent<Value>(map: Map<string, Value>, key: string): Value | undefined {
  const value = map.get(key)
  if (value === undefined) return undefined
  map.delete(key)
  map.set(key, value)
  return value
}

/** Sets a key of a map that holds `max` at most: the least recently used makes room. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size < max) break
    map.delete(oldest)
  }
  map.set(key, value)
}
