// What a value of a record becomes in SQLite, in a column that has no type of its own.
import { stringifyJson } from '../json.ts'

export type SqlValue = null | number | bigint | string | Uint8Array

const maxInteger = 2n ** 63n - 1n
const minInteger = -(2n ** 63n)

/**
 * Whole numbers are INTEGER up to 2^53, and as bigint up to 2^63: what is larger is text of its digits. Other numbers
 * are REAL, NaN is NULL. Booleans are 0 and 1, dates Unix seconds, bytes a BLOB, lists and maps JSON text. Throws a
 * RangeError for what is nested too deep.
 */
export function sqlValue(value: unknown): SqlValue {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
      return sqlNumber(value)
    case 'boolean':
      return value ? 1n : 0n
    case 'bigint':
      return value >= minInteger && value <= maxInteger ? value : value.toString()
    default:
      return sqlObject(value)
  }
}

/** better-sqlite3 binds every number as REAL, and a bigint as INTEGER. */
function sqlNumber(value: number): SqlValue {
  return Number.isSafeInteger(value) && (value !== 0 || !Object.is(value, -0)) ? BigInt(value) : value
}

function sqlObject(value: unknown): SqlValue {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return sqlNumber(value.getTime() / 1000)
  if (value instanceof Uint8Array) return value
  return stringifyJson(value)
}
