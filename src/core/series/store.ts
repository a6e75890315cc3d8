// What the time-series reader wants from a database: tables of rows that have a time.
import type { Json } from '../action.ts'
import type { EventRecord } from '../event.ts'

/**
 * The place of a row among the rows of its table, in the order of reading: by time, and rows of the same time by a key
 * that no two share. Only the store looks into it. It is saved as a position, so it is small and exact: an integer
 * beyond 2^53 is written as text.
 */
export type Cursor = Json

/**
 * Rows that were read one after another, as a position says it: enough to remove these and no others after a
 * restart. Only the store looks into it; its size does not grow with the number of rows.
 */
export type Span = Json

/**
 * A database. Any method, of its tables and pages too, throws a FeedooError: `retriable` while the database is away
 * (the reader says so once, and calls again until it answers), not `retriable` when calling again is of no use.
 */
export interface SeriesStore {
  /** The names of the tables there are now. */
  tables(): Promise<readonly string[]>
  /** Looks at a table. Undefined when it is gone meanwhile. */
  table(name: string): Promise<SeriesTable | Unreadable | undefined>
  close(): Promise<void>
}

/** Why a table cannot be read as a time series; a sentence. */
export interface Unreadable {
  readonly problem: string
}

/** One table. It stays good when the connection is lost and comes back, and when the table is dropped and made again. */
export interface SeriesTable {
  readonly name: string
  /** What would make reading faster; a sentence, logged once. */
  readonly advice?: string
  /**
   * The first rows of a range, in order of time: at most `limit`, and fewer when they would take more than about
   * `bytes`. An empty page when the range is empty, or the table gone.
   */
  page(range: Range, limit: number, bytes: number): Promise<SeriesPage>
  /** How many rows there are in a range, about. For the progress of a finite job. */
  count(range: Range): Promise<number>
  /** Unix seconds of the last row, undefined for an empty table. */
  last(): Promise<number | undefined>
  /** Rows whose time field holds no number: they are never read. */
  timeless(): Promise<number>
  /**
   * Removes what is left of a span that an earlier run has read, and nothing that was inserted since. What cannot be
   * told apart stays, to be read again.
   */
  removeSpan(span: Span): Promise<void>
  /** Drops the table if it has no rows at all. False when it has, or is gone. */
  dropIfEmpty(): Promise<boolean>
}

export interface Range {
  /** Rows behind this one. */
  readonly after?: Cursor | undefined
  /** Unix seconds, that time included; -Infinity for no bound. */
  readonly from: number
  /** Unix seconds, that time included; Infinity for no bound. */
  readonly until: number
}

export interface SeriesPage {
  /** Unix seconds, ascending, one a row. */
  readonly times: readonly number[]
  /** What becomes of each row: an object of its own. */
  readonly records: readonly EventRecord[]
  /** Whether the range may hold rows behind these. */
  readonly more: boolean
  /** About how much memory the records take; the reader bounds what it has in hand by it. */
  readonly bytes: number
  /**
   * Rows known to have been inserted behind the reader, at or before `after`, since the page before: too late to be
   * read. Left out by a store that cannot know.
   */
  readonly late?: number
  cursor(index: number): Cursor
  /** The rows from `start` up to `end`, `end` not among them, so that they can be removed. At least one. */
  take(start: number, end: number): Taken
}

/** Rows to be removed when they are safe. It holds their keys, not the rows. */
export interface Taken {
  readonly span: Span
  /** Removes exactly these rows, those of them that are still there. May be called again when it has thrown. */
  remove(): Promise<void>
}
