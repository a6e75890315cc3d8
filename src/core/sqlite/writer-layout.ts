// Which columns the rows of a record have: worked out once for each list of fields.
import { FeedooError } from '../errors.ts'
import type { EventRecord } from '../event.ts'
import { columnNames, foldName } from './writer-names.ts'

/** Lists of fields that are remembered. */
const maxLayouts = 200

export interface Layout {
  /** A number of its own. */
  readonly id: number
  /** The fields of the record, in its order. */
  readonly fields: readonly string[]
  /** The columns: one for each field, and the time behind them when no field is that. */
  readonly columns: readonly string[]
  /** The same, as SQLite tells them apart. */
  readonly folded: readonly string[]
  /** The time has a column of its own behind the fields'. */
  readonly addsTime: boolean
}

let layoutsMade = 0

/** Throws OUTPUT_REJECTED for a name that cannot be a column, or for more than `maxColumns`. */
export function makeLayout(fields: readonly string[], timeColumn: string, maxColumns: number): Layout {
  let columns = columnNames(fields)
  const folded = new Set(columns.map(foldName))
  const addsTime = !folded.has(foldName(timeColumn))
  if (addsTime) columns = [...columns, timeColumn]
  if (columns.length > maxColumns) throw tooMany(maxColumns)
  return { id: ++layoutsMade, fields, columns, folded: columns.map(foldName), addsTime }
}

/** Finds the layout of a record. Throws as makeLayout does. */
export function createLayouts(timeColumn: string, maxColumns: number): (record: EventRecord) => Layout {
  const layouts = new Map<string, Layout>()
  return (record) => {
    const fields: string[] = []
    for (const key in record) {
      // Before memory is spent on the names of a hostile record.
      if (fields.push(key) > maxColumns) throw tooMany(maxColumns)
    }
    const key = JSON.stringify(fields)
    let layout = layouts.get(key)
    if (layout === undefined) {
      layout = makeLayout(fields, timeColumn, maxColumns)
      if (layouts.size >= maxLayouts) layouts.clear()
      layouts.set(key, layout)
    }
    return layout
  }
}

export function tooMany(maxColumns: number): FeedooError {
  return new FeedooError('OUTPUT_REJECTED', `the table would have more than max_columns (${maxColumns}) columns`)
}
