// Inserts documents in bulk. What the server refuses is found by halving the chunk, and set aside alone.
import { FeedooError } from '../errors.ts'
import type { Event } from '../event.ts'
import type { Document } from './documents.ts'
import { RethinkFailure } from './failure.ts'
import type { RethinkPool } from './pool.ts'
import type { TableMaker } from './tables.ts'

/** Characters of documents in one query. The server takes 64 MiB, and escaping may double them. */
const chunkLength = 8 * 1024 * 1024

export interface Row extends Document {
  event: Event
}

export interface InserterOptions {
  pool: RethinkPool
  tables: TableMaker
  database: string
  durability: 'hard' | 'soft'
  /** Documents in one query. */
  chunkSize: number
  /** Queries under way at once. */
  concurrency: number
  /** Takes an event that the server refused for good. */
  deadLetter(event: Event, error: FeedooError): void
}

interface Chunk {
  table: string
  group: RowGroup
  rows: readonly Row[]
}

/**
 * Writes the rows of tables. A table is deleted from the map when all of its rows are written or refused; throws a
 * RethinkFailure, retriable, for the others.
 */
export function createInserter(options: InserterOptions): (groups: Map<string, RowGroup>) => Promise<void> {
  const { pool, tables, database, durability } = options

  /** What is written or refused leaves the group at once: it does not come again when the server goes away for the rest. */
  async function insert(table: string, group: RowGroup, rows: readonly Row[]): Promise<void> {
    const text = `[${rows.map((row) => row.text).join(',')}]`
    let refused: RethinkFailure
    try {
      const answer = await pool.run((r) =>
        r.db(database).table(table).insert(r.json(text), { conflict: 'replace', durability }),
      )
      if (answer.errors === 0 && answer.inserted + answer.replaced + answer.unchanged === rows.length) {
        group.done(rows)
        return
      }
      refused = new RethinkFailure(
        'refused',
        'OUTPUT_REJECTED',
        `RethinkDB: ${answer.first_error ?? 'not all inserted'}`,
      )
    } catch (error) {
      if (!(error instanceof RethinkFailure)) throw error
      if (error.kind === 'missing') {
        tables.forget(table)
        throw new RethinkFailure('away', 'OUTPUT_UNAVAILABLE', error.message, error)
      }
      if (error.kind !== 'refused') throw error
      refused = error
    }
    // The answer says how many were refused, not which.
    const [first] = rows
    if (rows.length === 1 && first !== undefined) {
      reject(first, refused)
      group.done(rows)
      return
    }
    const half = rows.length >> 1
    await insert(table, group, rows.slice(0, half))
    await insert(table, group, rows.slice(half))
  }

  /** The rows of a table that the server does not want to make are set aside, and no others. */
  async function ensure(table: string, group: RowGroup): Promise<void> {
    try {
      await tables.ensure(table)
    } catch (error) {
      if (!(error instanceof RethinkFailure) || error.retriable) throw error
      for (const row of group.rows()) reject(row, error)
      group.clear()
    }
  }

  function reject({ event }: Row, cause: RethinkFailure): void {
    options.deadLetter(event, new FeedooError('OUTPUT_REJECTED', cause.message, { cause }))
  }

  return async (groups) => {
    for (const [table, group] of groups) await ensure(table, group)
    const queue: Chunk[] = []
    for (const [table, group] of groups)
      for (const rows of chunksOf(group, options.chunkSize)) queue.push({ table, group, rows })
    let failure: { error: unknown } | undefined
    const work = async () => {
      for (let chunk = queue.shift(); chunk !== undefined && failure === undefined; chunk = queue.shift()) {
        const { table, group, rows } = chunk
        try {
          await insert(table, group, rows)
        } catch (error) {
          failure ??= { error }
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(options.concurrency, queue.length) }, work))
    for (const [table, group] of groups) if (group.size === 0) groups.delete(table)
    if (failure !== undefined) throw failure.error
  }
}

/** The rows of one table that are left to write. Of several with one key the last is kept: it would replace the others. */
export class RowGroup {
  readonly #rows = new Map<string, Row>()

  get size(): number {
    return this.#rows.size
  }

  add(row: Row): void {
    this.#rows.set(row.key, row)
  }

  done(rows: readonly Row[]): void {
    for (const { key } of rows) this.#rows.delete(key)
  }

  clear(): void {
    this.#rows.clear()
  }

  rows(): IterableIterator<Row> {
    return this.#rows.values()
  }
}

function* chunksOf(group: RowGroup, chunkSize: number): Generator<Row[]> {
  let chunk: Row[] = []
  let length = 0
  for (const row of group.rows()) {
    if (chunk.length > 0 && (chunk.length >= chunkSize || length + row.text.length > chunkLength)) {
      yield chunk
      chunk = []
      length = 0
    }
    chunk.push(row)
    length += row.text.length
  }
  if (chunk.length > 0) yield chunk
}
