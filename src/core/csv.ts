// Records as lines of CSV, quoted as RFC 4180 says; lines end in a newline alone.
import type { EventRecord } from './event.ts'
import { compileField } from './field.ts'
import { stringifyJson } from './json.ts'

export interface CsvFormat {
  /** The line that names the fields, with its newline. */
  readonly head: string
  /** A line without its newline. Throws a RangeError for a value nested too deep. */
  line(record: EventRecord): string
}

/**
 * A column for each dotted path. A field that is missing or null is an empty cell, an empty text is `""`; lists and
 * maps are JSON. Nothing is done about cells that a spreadsheet would take for a formula.
 */
export function createCsv(paths: readonly string[]): CsvFormat {
  const fields = paths.map(compileField)
  const lineOf = (cells: readonly string[]) => cells.join(',') || '""'
  return {
    head: `${lineOf(paths.map(cellOf))}\n`,
    line: (record) => lineOf(fields.map((field) => cellOf(field.get(record)))),
  }
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = typeof value === 'string' ? value : stringifyJson(value)
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
