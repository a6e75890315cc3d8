// What the reader tells beside its rows: how far a finite job is, and which rows are not read, or not yet.
import type { ActionContext, InputRun } from '../action.ts'
import { FeedooError } from '../errors.ts'
import { createTallyLog, type TallyLog } from '../tally-log.ts'
import type { Insist } from './reader-away.ts'
import type { Range, SeriesTable } from './store.ts'

/** Seconds between two reports of progress. */
const progressInterval = 0.2
/** Seconds after which the rows of a table that are not read are counted again. */
const countInterval = 60
/** Seconds of counting after which tables wait for the next look; it rests for so many times what counting took. */
const longestCount = 0.1
const restFactor = 49
/** Seconds that clocks may differ: rows that are so far in the future are nothing to tell. */
const clockSkew = 60
/** Unix seconds of the year 5138: a later time is one in milliseconds. */
const milliseconds = 100_000_000_000

export interface ReportOptions {
  context: Pick<ActionContext, 'clock' | 'log' | 'count'>
  once: boolean
  progress: InputRun['progress']
  insist: Insist
}

/** Rows of a table when they were last counted. */
interface Counted {
  at: number
  timeless: number
  ahead: number
}

export class ReaderReport {
  readonly #options: ReportOptions
  readonly #tally: TallyLog
  readonly #counts = new Map<string, Counted>()
  /** Tables of which it was told that they take too long. */
  readonly #uncounted = new Set<string>()
  #countAgain = Number.NEGATIVE_INFINITY
  #done = 0
  #total = 0
  #toldProgress = Number.NEGATIVE_INFINITY

  constructor(options: ReportOptions) {
    this.#options = options
    this.#tally = createTallyLog(options.context.log, options.context.clock, () => {})
  }

  /** Rows of a range, for the progress; none when counting them takes too long. */
  async rows(table: SeriesTable, range: Range): Promise<number> {
    return (await this.#counted(table, () => table.count(range))) ?? 0
  }

  /** A finite job has so many rows, about. */
  begin(total: number): void {
    this.#total = total
    this.#options.progress(0, total)
  }

  sent(events: number): void {
    if (!this.#options.once) return
    this.#done += events
    const now = this.#options.context.clock.now()
    if (now - this.#toldProgress < progressInterval) return
    this.#toldProgress = now
    this.#options.progress(this.#done, Math.max(this.#done, this.#total))
  }

  end(): void {
    this.#options.progress(this.#done, this.#done)
  }

  late(table: string, rows: number): void {
    this.#options.context.count('late_rows', rows)
    this.#tally.note('late_rows', 'warn', 'rows came too late to be read; a higher offset would wait for them', {
      table,
      rows,
    })
  }

  /** Rows that came among those of the future that were read, of which not each one is known. */
  missed(table: string, rows: number): void {
    this.#options.context.count('rows_missed', rows)
    const message = `the table ${table} has new rows among so many of the future that were read; they are not read`
    this.#options.context.log.warn({ table, rows }, message)
  }

  /** The last time of a table has more rows than keys are kept. */
  crowded(table: string): void {
    this.#options.context.count('crowded_times', 1)
    this.#tally.note(
      'crowded_times',
      'warn',
      'so many rows have the time of the last one that those of that time which come later may be missed; an offset would wait for them',
      { table },
    )
  }

  /** Counts, now and then, the rows of tables that are never read, and those whose time has not come. */
  async unread(tables: Iterable<SeriesTable>): Promise<void> {
    const { once, context } = this.#options
    const began = context.clock.now()
    if (began < this.#countAgain) return
    for (const table of tables) {
      const counted = this.#counts.get(table.name)
      if (counted !== undefined && began - counted.at < countInterval) continue
      this.#counts.set(table.name, await this.#count(table, counted))
      if (!once && context.clock.now() - began > longestCount) break
    }
    const now = context.clock.now()
    this.#countAgain = now + (now - began) * restFactor
  }

  /** A table is gone. */
  forget(table: string): void {
    this.#counts.delete(table)
    this.#uncounted.delete(table)
  }

  close(): void {
    this.#tally.close()
  }

  async #count(table: SeriesTable, before: Counted | undefined): Promise<Counted> {
    const { once, context, insist } = this.#options
    const { name } = table
    const at = context.clock.now()
    const timeless = await this.#counted(table, () => table.timeless())
    if (timeless === undefined) return { timeless: 0, ahead: 0, ...before, at }
    const newTimeless = timeless - (before?.timeless ?? 0)
    if (newTimeless > 0) {
      context.count('rows_without_time', newTimeless)
      const message = `the table ${name} has rows without a time of the kind that is read; they are not read`
      context.log.warn({ table: name, rows: timeless }, message)
    }
    const range = { from: at + clockSkew, until: Number.POSITIVE_INFINITY }
    const ahead = await this.#counted(table, () => table.count(range))
    if (ahead === undefined) return { ahead: 0, ...before, at, timeless }
    const newAhead = ahead - (before?.ahead ?? 0)
    if (newAhead > 0) {
      context.count('rows_ahead', newAhead)
      const last = (await insist(() => table.last())) ?? 0
      const wait = once ? '' : '; they wait until it has come'
      const hint = last > milliseconds ? '; times are Unix seconds, and these look like milliseconds' : ''
      const message = `the table ${name} has rows whose time is in the future${wait}${hint}`
      context.log.warn({ table: name, rows: ahead, last }, message)
    }
    return { at, timeless, ahead }
  }

  /** What is counted; undefined when that takes longer than an answer may take, while the table can be read. */
  async #counted(table: SeriesTable, count: () => Promise<number>): Promise<number | undefined> {
    const { insist, context } = this.#options
    const tryToCount = async (): Promise<number | FeedooError> => {
      try {
        return await count()
      } catch (error) {
        if (!(error instanceof FeedooError && error.retriable)) throw error
        // Throws when it is the database that is away: then it is counted when that is back.
        await table.last()
        return error
      }
    }
    const first = await insist(tryToCount)
    const counted = typeof first === 'number' ? first : await insist(tryToCount)
    if (typeof counted === 'number') return counted
    if (!this.#uncounted.has(table.name)) {
      this.#uncounted.add(table.name)
      const message = `the rows of the table ${table.name} cannot be counted: nothing is said of those that are not read`
      context.log.warn({ table: table.name, reason: counted.message }, message)
    }
    return undefined
  }
}
