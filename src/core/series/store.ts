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
 * restart. Only the store looks into it; it takes some eight characters a row.
 */
export type Span = Json

/**
 * A database. Any method, of its tables and pages too, throws a FeedooError: `retriable` while the database is away
 * (the reader says so once, and calls again until it answers), not `retriable` when calling again is of no use.
 */
export interface SeriesStore {
  /** The names of the tables there are now. Undefined when the database is not there: its tables may yet come back with it. */
  tables(): Promise<readonly string[] | undefined>
  /** Looks at a table. Undefined when it is gone meanwhile. */
  table(name: string): Promise<SeriesTable | Unreadable | undefined>
  /**
   * Removes the rows of all of these, which are of its pages, as their `remove` does, in one go: where that costs less
   * than one after the other. May be called again when it has thrown.
   */
  removeAll?(taken: readonly Taken[]): Promise<void>
  /** The same for spans, as `removeSpan` of their tables does. Tables that are gone are passed over. */
  removeSpans?(spans: readonly (readonly [table: string, span: Span])[]): Promise<void>
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
   * `bytes`. An empty page, which has no `more`, when the range is empty, or the table gone.
   */
  page(range: Range, limit: number, bytes: number): Promise<SeriesPage>
  /** How many rows there are in a range, about. For the progress of a finite job. */
  count(range: Range): Promise<number>
  /** Unix seconds of the last row, not less than its exact time; undefined for an empty table. */
  last(): Promise<number | undefined>
  /** Rows whose time field holds no finite number: they are never read. */
  timeless(): Promise<number>
  /**
   * Removes what is left of a span that an earlier run has read, and nothing that was inserted or changed since. What
   * cannot be told apart stays, to be read again.
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
  /**
   * Keys, as `SeriesPage.key` gave them, of rows that were read and have the very time of `after`. With it, the rows of
   * that time are those that are not among them, whether they stand before `after` or behind it; without it, those behind.
   * Rows that stand before `after` come in a page of their own, whose cursors are all `after` and which has `more`.
   */
  readonly seen?: readonly Json[] | undefined
  /** `SeriesPage.identity` of the page that `after` comes from. */
  readonly identity?: Json | undefined
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
  /** Tells the table from others that have its name, at other times. Saved with the position, so it is small. */
  readonly identity?: Json
  /**
   * The table is not the one that `Range.identity` says: it was dropped and made anew. `after` and `seen` were ignored, so
   * that these are its first rows of the range.
   */
  readonly remade?: true
  /**
   * Why the table cannot be read any more (somebody has dropped its index); a sentence. The page has no rows. The reader
   * tells, and looks at the table again later.
   */
  readonly problem?: string
  cursor(index: number): Cursor
  /**
   * Tells the row from others of the same time, small and exact as a cursor. Given by tables whose new rows may stand
   * before others of their time that were read (random keys): the reader then keeps the keys of the last time, and asks
   * for that time again, as `Range.seen`. Left out by tables whose keys grow, and by pages that do not stand in the order
   * of time: these leave alone what was seen.
   */
  key?(index: number): Json
  /** The rows from `start` up to `end`, `end` not among them, so that they can be removed. At least one. */
  take(start: number, end: number): Taken
}

/** Rows to be removed when they are safe. It holds their keys, and digests of what they held, not the rows. */
export interface Taken {
  readonly span: Span
  /**
   * Removes exactly these rows: those that are still there and hold what was read. One that was changed meanwhile, or
   * stands in the place of one, stays, to be read again. May be called again when it has thrown.
   */
  remove(): Promise<void>
}
