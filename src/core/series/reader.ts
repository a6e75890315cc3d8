// Reads the tables of a database as one stream in order of time, follows them as they grow, and may remove what is safe.
import { setImmediate } from 'node:timers/promises'
import type { ActionContext, InputRun, Position } from '../action.ts'
import { type Event, setOwn } from '../event.ts'
import { createWindow, type Window } from '../in-flight.ts'
import { createTallyLog, type TallyLog } from '../tally-log.ts'
import { createInsist, type Insist, Stopped } from './reader-away.ts'
import { createLane, type Lane, Merge, type Part } from './reader-lane.ts'
import { type ReaderPosition, readPosition, startKey, tableKey } from './reader-position.ts'
import { Removals } from './reader-removals.ts'
import type { SeriesPage, SeriesStore } from './store.ts'

/** How much is done in one go. */
export interface ReaderLimits {
  /** Events sent together, at most. */
  batch: number
  /** Rows of one page: so many are read without anything else being done. */
  page: number
}

const defaultLimits: ReaderLimits = { batch: 1000, page: 2000 }
/** Rows, and bytes, of the pages in hand, of all tables together. */
const pageRows = 5_000
const pageBytes = 16 * 1024 * 1024
/** Rows of a page, however many tables there are. */
const minPage = 10
/** Rows sent and not yet safe. Big rows count as several. */
const unsafeRows = 25_000
const bytesOfARow = 1536
/** Tables out of sight whose positions are kept. */
const maxRemembered = 10_000
/** Seconds between two reports of progress. */
const progressInterval = 0.2
/** A look at tables that were found unchanged is followed by a pause of so many times what it took. */
const pauseFactor = 9
/** Seconds, the longest of these pauses. */
const maxPause = 60

export interface SeriesReaderOptions {
  store: SeriesStore
  /** Which tables are read. */
  matches(table: string): boolean
  /** The tag of the events of a table. */
  tagOf(table: string): string
  /** The field that gets the name of the table. */
  tableField: string | undefined
  /** Seconds of data after which new tables are looked for. */
  window: number
  /** Seconds that rows may come late: later ones are not waited for. */
  offset: number
  /** Goes on from the stored position. */
  reloadPosition: boolean
  /** Where it begins without one: at the oldest row, or now. */
  from: 'start' | 'now'
  /** Removes rows that are safe, and then tables that are empty. */
  remove: boolean
  /** Ends at the last row there is. */
  once: boolean
  /** Seconds that the database may be away before reading ends with an error; for ever without it. */
  longestAway?: number | undefined
  /** Seconds between two looks for new rows. */
  refreshInterval: number
  limits?: ReaderLimits
  context: Pick<ActionContext, 'clock' | 'log' | 'count'>
}

/**
 * Comes back when everything is read (`once`) or the run's signal aborts. Throws what the store throws that is not
 * retriable. Closes the store.
 */
export async function readSeries(options: SeriesReaderOptions, run: InputRun): Promise<void> {
  const reader = new SeriesReader(options, run)
  try {
    await reader.run()
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
  } finally {
    await reader.close()
  }
}

class SeriesReader {
  readonly #options: SeriesReaderOptions
  readonly #run: InputRun
  readonly #limits: ReaderLimits
  readonly #insist: Insist
  readonly #removals: Removals
  readonly #window: Window
  readonly #lateLog: TallyLog
  readonly #position: ReaderPosition
  /** Unix seconds; older rows are not read. */
  readonly #floor: number
  readonly #lanes = new Map<string, Lane>()
  /** Tables that were spoken of in the log. */
  readonly #told = new Set<string>()
  #merge = new Merge()
  #until = 0
  #done = 0
  #total = 0
  #toldProgress = Number.NEGATIVE_INFINITY

  constructor(options: SeriesReaderOptions, run: InputRun) {
    const { clock, log } = options.context
    this.#options = options
    this.#run = run
    this.#limits = options.limits ?? defaultLimits
    this.#insist = createInsist(clock, log, run.signal, options.longestAway)
    this.#removals = new Removals(this.#insist, log)
    this.#window = createWindow(unsafeRows)
    this.#lateLog = createTallyLog(log, clock, () => {})
    const position = readPosition(run.positions)
    const start = options.from === 'now' ? clock.now() : Number.NEGATIVE_INFINITY
    // A position without a start is that of a reader which began at the oldest row.
    const going = options.reloadPosition && (position.start !== undefined || position.tables.size > 0)
    this.#floor = going ? (position.start ?? Number.NEGATIVE_INFINITY) : start
    this.#position = options.reloadPosition ? position : { ...position, tables: new Map() }
  }

  async run(): Promise<void> {
    const { once, refreshInterval, context } = this.#options
    const { signal } = this.#run
    // A reader that has not read anything yet begins at the same moment when it is started again.
    if (this.#floor > Number.NEGATIVE_INFINITY && this.#position.start !== this.#floor) {
      void this.#run.emit([], { [startKey]: this.#floor })
    }
    await this.#removals.finish(this.#options.store, this.#position)
    await this.#lookForTables()
    if (once) await this.#lookAhead()
    while (!signal.aborted) {
      const began = context.clock.now()
      const sent = await this.#round(once ? this.#until : began - this.#options.offset)
      const pause = sent > 0 ? 0 : Math.min(maxPause, (context.clock.now() - began) * pauseFactor)
      await this.#settle()
      if (once) break
      await context.clock.sleep(Math.max(refreshInterval, pause), signal)
      if (!signal.aborted) await this.#lookForTables()
    }
    if (once && !signal.aborted) this.#run.progress(this.#done, this.#done)
  }

  async close(): Promise<void> {
    try {
      // Also what was sent when the run is to stop: its rows are not to be left behind.
      await this.#settle().catch((error: unknown) => {
        if (!(error instanceof Stopped)) throw error
      })
    } finally {
      this.#lateLog.close()
      await this.#options.store.close()
    }
  }

  /** What there is to do for a finite job: the time of its last row, and how many rows there are. */
  async #lookAhead(): Promise<void> {
    const { offset, context } = this.#options
    this.#until = offset > 0 ? context.clock.now() - offset : Number.NEGATIVE_INFINITY
    for (const { table, base } of this.#lanes.values()) {
      const last = await this.#insist(() => table.last())
      if (offset === 0 && last !== undefined) this.#until = Math.max(this.#until, last)
      const range = { after: base, from: this.#floor, until: Number.POSITIVE_INFINITY }
      this.#total += await this.#insist(() => table.count(range))
    }
    this.#run.progress(0, this.#total)
  }

  /** New tables, and those that are gone. */
  async #lookForTables(): Promise<Lane[]> {
    const { store, matches } = this.#options
    const names = new Set((await this.#insist(() => store.tables())).filter(matches))
    for (const [name, lane] of this.#lanes) {
      if (!names.has(name) && lane.page === undefined && !lane.sent) this.#lanes.delete(name)
    }
    for (const name of this.#told) if (!names.has(name)) this.#told.delete(name)
    const added: Lane[] = []
    for (const name of names) {
      if (this.#lanes.has(name)) continue
      const lane = await this.#open(name)
      if (lane === undefined) continue
      this.#lanes.set(name, lane)
      added.push(lane)
    }
    return added
  }

  async #open(name: string): Promise<Lane | undefined> {
    const { store, tagOf, context, once } = this.#options
    const table = await this.#insist(() => store.table(name))
    if (table === undefined) return undefined
    const told = this.#told.has(name)
    this.#told.add(name)
    if ('problem' in table) {
      if (told) return undefined
      context.count('unread_tables', 1)
      context.log.warn({ table: name }, `the table ${name} is not read: ${table.problem}`)
      return undefined
    }
    if (!told && table.advice !== undefined) context.log.info({ table: name }, `the table ${name}: ${table.advice}`)
    if (!told && (once || table.advice === undefined)) {
      const rows = await this.#insist(() => table.timeless())
      if (rows > 0) {
        context.count('rows_without_time', rows)
        context.log.warn(
          { table: name, rows },
          `the table ${name} has rows whose time is not a number; they are not read`,
        )
      }
    }
    return createLane(table, tagOf(name), this.#position.tables.get(name))
  }

  /** Sends all rows up to a time. Returns how many. */
  async #round(until: number): Promise<number> {
    const { window } = this.#options
    let sent = 0
    let windowEnd: number | undefined
    this.#until = until
    this.#merge = new Merge()
    for (const lane of this.#lanes.values()) await this.#fill(lane)
    while (!this.#run.signal.aborted) {
      const events = await this.#sendBatch()
      const last = events.at(-1)
      if (last === undefined) break
      sent += events.length
      this.#tell(events.length)
      await this.#removals.removeSafe()
      windowEnd ??= (events[0]?.timestamp ?? 0) + window
      if (last.timestamp >= windowEnd && !this.#options.once) {
        windowEnd = last.timestamp + window
        for (const lane of await this.#lookForTables()) await this.#fill(lane)
      }
      // Reading and sending may never have to wait for anything: let others have their turn.
      await setImmediate()
    }
    return sent
  }

  /** Gets the lane's next page and lets it take part again, if there are more rows. */
  async #fill(lane: Lane): Promise<void> {
    const lanes = this.#lanes.size
    const limit = Math.min(this.#limits.page, Math.max(minPage, Math.floor(pageRows / lanes)))
    const range = { after: lane.after, from: this.#floor, until: this.#until }
    const page = await this.#insist(() => lane.table.page(range, limit, Math.floor(pageBytes / lanes)))
    this.#countLate(page.late ?? 0, lane)
    const rows = page.times.length
    lane.page = rows > 0 ? page : undefined
    lane.index = 0
    if (rows === 0) return
    lane.after = page.cursor(rows - 1)
    this.#merge.add(lane)
  }

  async #sendBatch(): Promise<readonly Event[]> {
    const { tableField } = this.#options
    const batchSize = this.#limits.batch
    const events: Event[] = []
    const parts = new Map<SeriesPage, Part>()
    while (events.length < batchSize) {
      const lane = this.#merge.take()
      const page = lane?.page
      if (lane === undefined || page === undefined) break
      const start = lane.index
      const end = Math.min(this.#merge.endOfRun(lane), start + batchSize - events.length)
      for (let i = start; i < end; i++) {
        const record = page.records[i] ?? {}
        if (tableField !== undefined) setOwn(record, tableField, lane.name)
        events.push({ tag: lane.tag, timestamp: page.times[i] ?? 0, record })
      }
      const part = parts.get(page)
      if (part === undefined) parts.set(page, { lane, page, start, end })
      else part.end = end
      lane.index = end
      if (end < page.times.length) this.#merge.add(lane)
      else if (page.more) await this.#fill(lane)
      else lane.page = undefined
    }
    if (events.length > 0) await this.#send(events, [...parts.values()])
    return events
  }

  async #send(events: readonly Event[], parts: readonly Part[]): Promise<void> {
    const position = this.#options.remove ? this.#removals.takeDone() : {}
    let weight = events.length
    for (const { lane, page, start, end } of parts) {
      const bytes = (page.bytes / page.times.length) * (end - start)
      weight += Math.max(0, bytes / bytesOfARow - (end - start))
      if (!this.#options.remove) setOwn(position, tableKey(lane.name), this.#remember(lane.name, page.cursor(end - 1)))
    }
    if (!this.#options.remove) {
      this.#forget(position)
      return this.#window.add(this.#run.emit(events, position), weight)
    }
    const removal = this.#removals.add(parts)
    const safe = this.#run.emit(events, { ...position, ...removal.position })
    return this.#window.add(
      safe.then(() => removal.safe()),
      weight,
    )
  }

  #remember<Cursor extends Position[string]>(table: string, cursor: Cursor): Cursor {
    // At the end of the map: the first ones are those that were not read for the longest time.
    this.#position.tables.delete(table)
    this.#position.tables.set(table, cursor)
    return cursor
  }

  #forget(position: Position): void {
    const { tables } = this.#position
    if (tables.size - this.#lanes.size <= maxRemembered) return
    for (const name of tables.keys()) {
      if (this.#lanes.has(name)) continue
      tables.delete(name)
      position[tableKey(name)] = null
      if (tables.size - this.#lanes.size <= maxRemembered) return
    }
  }

  /** Waits until all that was sent is safe, and removes it; what came late to these tables is read in the next round. */
  async #settle(): Promise<void> {
    await this.#window.drain()
    const { removals, drops } = this.#position
    if (!this.#options.remove && removals.size === 0 && drops.size === 0) return
    await this.#removals.removeSafe()
    if (this.#options.remove) {
      for (const [name, lane] of this.#lanes) {
        if (lane.sent && (await this.#removals.drop(lane.table))) this.#lanes.delete(name)
        lane.sent = false
        lane.after = lane.base
        lane.page = undefined
      }
    }
    const done = this.#removals.takeDone()
    if (Object.keys(done).length > 0) void this.#run.emit([], done)
  }

  /** Rows that come late are read all the same when those before them have been removed. */
  #countLate(rows: number, { name }: Lane): void {
    if (rows === 0 || this.#options.remove) return
    this.#options.context.count('late_rows', rows)
    this.#lateLog.note('late_rows', 'warn', 'rows came too late to be read; a higher offset would wait for them', {
      table: name,
      rows,
    })
  }

  #tell(events: number): void {
    if (!this.#options.once) return
    this.#done += events
    const now = this.#options.context.clock.now()
    if (now - this.#toldProgress < progressInterval) return
    this.#toldProgress = now
    this.#run.progress(this.#done, Math.max(this.#done, this.#total))
  }
}
