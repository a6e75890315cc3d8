// The rows of a batch for one table, as the values that are bound, one after the other: no object a row.
import type { Event, EventRecord } from '../event.ts'
import { compileField } from '../field.ts'
import { fieldMissing } from '../series/writer.ts'
import { createLayouts, type Layout, makeLayout } from './writer-layout.ts'
import { type SqlValue, sqlValue } from './writer-values.ts'

/** Rows that follow each other and have the same columns. */
export interface Run {
  readonly layout: Layout
  /** One event a row. */
  readonly events: Event[]
  /** The values of the rows, `layout.columns.length` for each; a row that could not be made may have left some behind. */
  readonly values: SqlValue[]
}

export interface TableRows {
  readonly table: string
  /** In the order of the events. */
  readonly runs: Run[]
}

/** Rows for one table, which have the same columns. */
export interface Slice extends Run {
  table: string
}

export interface RowOptions {
  timeKey: string | undefined
  /** Without it, all fields of the record. */
  fields: readonly string[] | undefined
  /** Columns of a table at most. */
  maxColumns: number
}

/** The column for the time of an event that no field holds. */
const eventTimeColumn = 'timestamp'

/** The column that holds the time, when the record has no field of that name. */
export const timeColumnOf = (timeKey: string | undefined): string => timeKey ?? eventTimeColumn

/**
 * Makes the function that adds an event to the rows of its table. That throws FIELD_MISSING, OUTPUT_REJECTED for
 * fields that cannot be columns, a RangeError for what is nested too deep; the event is then not added.
 */
export function createRowMaker(options: RowOptions): (rows: TableRows, event: Event) => void {
  const time = createTimeValue(options.timeKey)
  return options.fields === undefined ? rowOfRecord(options, time) : rowOfFields(options.fields, options, time)
}

/** What is to be inserted for all tables, in their order. */
export function slicesOf(groups: ReadonlyMap<string, TableRows>): Slice[] {
  const slices: Slice[] = []
  for (const { table, runs } of groups.values()) {
    for (const { layout, events, values } of runs) if (events.length > 0) slices.push({ table, layout, events, values })
  }
  return slices
}

/** Two halves of the rows; one when there is but one row. */
export function splitSlices(job: readonly Slice[]): Slice[][] {
  const total = job.reduce((sum, { events }) => sum + events.length, 0)
  if (total < 2) return [[...job]]
  let room = total >> 1
  const first: Slice[] = []
  const second: Slice[] = []
  for (const slice of job) {
    const { table, layout, events, values } = slice
    const width = layout.columns.length
    const take = Math.min(room, events.length)
    room -= take
    if (take > 0) first.push({ table, layout, events: events.slice(0, take), values: values.slice(0, take * width) })
    if (take === events.length) continue
    second.push({ table, layout, events: events.slice(take), values: values.slice(take * width) })
  }
  return [first, second]
}

function rowOfRecord({ timeKey, maxColumns }: RowOptions, time: (event: Event) => SqlValue) {
  const layoutOf = createLayouts(timeColumnOf(timeKey), maxColumns)
  /** Records of one kind may go to many tables. */
  let last: Layout | undefined
  return (rows: TableRows, event: Event): void => {
    const { record } = event
    let run = rows.runs.at(-1)
    if (run === undefined || !addValues(run, record)) {
      run = last === undefined ? undefined : { layout: last, events: [], values: [] }
      if (run === undefined || !addValues(run, record)) {
        last = layoutOf(record)
        run = { layout: last, events: [], values: [] }
        addValues(run, record)
      }
      rows.runs.push(run)
    }
    if (run.layout.addsTime) run.values.push(time(event))
    run.events.push(event)
  }
}

/** Adds the values of a record; false, and nothing added, when its fields are not those of the run. */
function addValues({ layout, values, events }: Run, record: EventRecord): boolean {
  const { fields } = layout
  const start = events.length * layout.columns.length
  // What the event before left, if its row could not be made.
  if (values.length !== start) values.length = start
  let i = 0
  for (const key in record) {
    if (key !== fields[i++]) {
      values.length = start
      return false
    }
    values.push(sqlValue(record[key]))
  }
  if (i === fields.length) return true
  values.length = start
  return false
}

function rowOfFields(fields: readonly string[], { timeKey, maxColumns }: RowOptions, time: (event: Event) => SqlValue) {
  const layout = makeLayout(fields, timeColumnOf(timeKey), maxColumns)
  const readers = fields.map(compileField)
  return (rows: TableRows, event: Event): void => {
    let run = rows.runs[0]
    if (run === undefined) {
      run = { layout, events: [], values: [] }
      rows.runs.push(run)
    }
    const { values, events } = run
    const start = events.length * layout.columns.length
    // What the event before left, if its row could not be made.
    if (values.length !== start) values.length = start
    for (const field of readers) {
      const value = field.get(event.record)
      if (value === undefined) throw fieldMissing(field.path)
      values.push(sqlValue(value))
    }
    if (layout.addsTime) values.push(time(event))
    events.push(event)
  }
}

function createTimeValue(timeKey: string | undefined): (event: Event) => SqlValue {
  if (timeKey === undefined) return (event) => sqlValue(event.timestamp)
  const field = compileField(timeKey)
  return (event) => sqlValue(field.get(event.record))
}
