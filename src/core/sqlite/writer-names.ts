// The names that output_sqlite gives tables and columns.
import { FeedooError } from '../errors.ts'
import { type TableNameRules, withoutControls } from '../series/writer-table.ts'
import { isInternalTable } from './identifiers.ts'

/** Bytes of a table's name; SQLite has no bound of its own. */
const maxTableBytes = 255
/** Characters of a field's name that can be a column. */
const maxColumnLength = 1000

/** What feedoo keeps for its own tables and indexes. */
export const ownPrefix = '_feedoo_'

export const tableNameRules: TableNameRules = {
  maxBytes: maxTableBytes,
  clean: withoutControls,
  finish: (name) => (isInternalTable(name) ? `_${name}` : name),
}

/** SQLite takes names for the same that differ in the case of ASCII letters only. */
export function foldName(name: string): string {
  return /[A-Z]/.test(name) ? name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : name
}

/**
 * Names of columns for the fields of one record, in their order: the fields' own names, with `_` for control
 * characters. Of names that SQLite cannot tell apart the first keeps its own, the others get `_2`, `_3`, ... behind.
 * `_rowid_` gets one too: some name must be left for SQLite's own number of a row. Throws OUTPUT_REJECTED for a name of
 * more than 1000 characters.
 */
export function columnNames(fields: readonly string[]): string[] {
  const taken = new Set(['_rowid_'])
  return fields.map((field) => {
    if (field.length > maxColumnLength) {
      throw new FeedooError('OUTPUT_REJECTED', `a field name of more than ${maxColumnLength} characters is no column`)
    }
    const name = withoutControls(field)
    let free = name
    for (let number = 2; taken.has(foldName(free)); number++) free = `${name}_${number}`
    taken.add(foldName(free))
    return free
  })
}
