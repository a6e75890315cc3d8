// The order of a table without an index on its time: found for many pages in one go, because each time takes a whole scan.
import type { Bounds, Statements } from './series-statements.ts'
import type { Row, SqlValue } from './series-values.ts'

/** Pages whose rows are found in one scan: their times and keys are small. */
const pagesARun = 40

export class KeyRun {
  readonly #statements: Statements
  readonly #bounds: Bounds
  /** The times, then the parts of the key, column by column: numbers lie close together so. */
  readonly #columns: readonly (readonly SqlValue[])[]
  readonly #length: number
  /** Whether there may be rows behind the last one. */
  readonly #full: boolean
  #next = 0
  /** The last row that was given out. */
  #after: readonly SqlValue[] | undefined

  /** Finds the rows of `bounds`; `limit` is the longest page. */
  constructor(statements: Statements, bounds: Bounds, limit: number) {
    const most = limit * pagesARun
    const rows = statements.keys(bounds, most)
    this.#statements = statements
    this.#bounds = bounds
    this.#after = bounds.after
    this.#length = rows.length
    this.#full = rows.length === most
    this.#columns = (rows[0] ?? []).map((_, index) => rows.map((row) => row[index] ?? null))
  }

  get more(): boolean {
    return this.#full || this.#next < this.#length
  }

  /** Whether its next rows are the first ones of `bounds`. */
  goesOn(bounds: Bounds): boolean {
    if (this.#next >= this.#length) return false
    const { from, until } = this.#bounds
    return bounds.from === from && bounds.until >= until && same(bounds.after, this.#after)
  }

  /** Up to `most` rows; those that were changed or removed since are passed over. Empty at the end only. */
  next(most: number): readonly Row[] {
    while (this.#next < this.#length) {
      const end = Math.min(this.#length, this.#next + most)
      const places: SqlValue[][] = []
      for (let i = this.#next; i < end; i++) places.push(this.#columns.map((column) => column[i] ?? null))
      this.#next = end
      const rows = this.#statements.rows(places)
      if (rows.length === 0) continue
      this.#after = rows.at(-1)?.slice(0, this.#columns.length)
      return rows
    }
    return []
  }
}

function same(a: readonly SqlValue[] | undefined, b: readonly SqlValue[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.every((value, index) => {
    const other = b[index]
    return value instanceof Buffer && other instanceof Buffer ? value.equals(other) : value === other
  })
}
