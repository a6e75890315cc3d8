// Names of tables and columns in SQL text: quoted, whatever they contain.

/**
 * The name as SQL text. A double quote in it is doubled, which is all that SQLite asks for. Throws a RangeError for a
 * name that SQLite cannot hold: its text ends at a NUL character.
 */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new RangeError('a name in SQLite holds no NUL character')
  return `"${name.replaceAll('"', '""')}"`
}

/** Whether a table belongs to SQLite itself, or holds what output_sqlite has to remember. */
export function isInternalTable(name: string): boolean {
  // SQLite compares names of tables by ASCII letters, case-insensitively.
  return /^(sqlite_|_feedoo_)/i.test(name)
}
