// Reads the tables of a database as one stream in order of time, follows them as they grow, and may remove what is safe.
import { setImmediate } from 'node:timers/promises'
import type { ActionContext, InputRun, Position } from '../action.ts'
import { type Event, setOwn } from '../event.ts'
import { createWindow, type Window } from '../in-flight.ts'
import { createInsist, type Insist, Stopped } from './reader-away.ts'
import { type Lane, Merge, type Part } from './reader-lane.ts'
import { advance, behind, behindStretch, rowId, type Stretch, timeBefore } from './reader-place.ts'
import { type ReaderPosition, readPosition, startKey } from './reader-position.ts'
import { Removals } from './reader-removals.ts'
import { ReaderReport } from './reader-report.ts'
import { ReaderTables } from './reader-tables.ts'
import type { SeriesPage, SeriesStore } from './store.ts'

/** How much is done in one go. */
export interface ReaderLimits {
  /** Events sent together, at most. */
  batch: number
  /** Rows of one page: so many are read without anything else being done. */
  page: number
  /** Rows removed in one go, about, where the store can remove rows of many tables at once. */
  removal: number
}

const defaultLimits: ReaderLimits = { batch: 1000, page: 2000, removal: 5000 }
/** Rows, and bytes, of the pages in hand, of all tables together. */
const pageRows = 5_000
const pageBytes = 16 * 1024 * 1024
/** Rows of a page, however many tables there are. */
const minPage = 10
/** Rows sent and not yet safe. Big rows count as several. */
const unsafeRows = 25_000
const bytesOfARow = 1536
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
  /** The store gives late rows too: none of a time that is past is missed. */
  readsLate?: boolean
  /** Seconds that the database may be away before reading ends with an error; for ever without it. */
  longestAway?: number | undefined
  /** Seconds that the database may take to come up before the log tells that it is away. */
  startPatience?: number | undefined
  /** Seconds between two looks for new rows. */
  refreshInterval: number
  limits?: Partial<ReaderLimits>
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
  readonly #report: ReaderReport
  readonly #position: ReaderPosition
  /** Unix seconds; older rows are not read. */
  readonly #floor: number
  readonly #tables: ReaderTables
  #merge = new Merge()
  #until = 0
  /** Unix seconds of the round: what is later has not come. */
  #present = 0

  constructor(options: SeriesReaderOptions, run: InputRun) {
    const { clock, log } = options.context
    this.#options = options
    this.#run = run
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#insist = createInsist(clock, log, run.signal, options.longestAway, options.startPatience)
    this.#removals = new Removals({
      store: options.store,
      insist: this.#insist,
      clock,
      log,
      rowsOfAGo: this.#limits.removal,
    })
    this.#window = createWindow(unsafeRows)
    this.#report = new ReaderReport({
      context: options.context,
      once: options.once,
      progress: (done, total) => run.progress(done, total),
      insist: this.#insist,
    })
    const position = readPosition(run.positions)
    const start = options.from === 'now' ? clock.now() : Number.NEGATIVE_INFINITY
    // A position without a start is that of a reader which began at the oldest row.
    const going = options.reloadPosition && (position.start !== undefined || position.tables.size > 0)
    this.#floor = going ? (position.start ?? Number.NEGATIVE_INFINITY) : start
    this.#position = position
    this.#tables = new ReaderTables(
      {
        ...options,
        emit: (events, position) => run.emit(events, position),
        insist: this.#insist,
        report: this.#report,
      },
      options.reloadPosition ? position.tables : new Map(),
    )
  }

  async run(): Promise<void> {
    const { once, refreshInterval, context } = this.#options
    const { signal } = this.#run
    // A reader that has not read anything yet begins at the same moment when it is started again.
    if (this.#floor > Number.NEGATIVE_INFINITY && this.#position.start !== this.#floor) {
      void this.#run.emit([], { [startKey]: this.#floor })
    }
    await this.#removals.finish(this.#position)
    await this.#tables.look()
    if (once) await this.#lookAhead()
    while (!signal.aborted) {
      const began = context.clock.now()
      const sent = await this.#round(once ? this.#until : began - this.#options.offset)
      const pause = sent > 0 ? 0 : Math.min(maxPause, (context.clock.now() - began) * pauseFactor)
      await this.#settle()
      if (once) break
      await context.clock.sleep(Math.max(refreshInterval, pause), signal)
      if (!signal.aborted) await this.#tables.look()
    }
    if (once && !signal.aborted) this.#report.end()
  }

  async close(): Promise<void> {
    try {
      // Also what was sent when the run is to stop: its rows are not to be left behind.
      await this.#settle().catch((error: unknown) => {
        if (!(error instanceof Stopped)) throw error
      })
    } finally {
      this.#report.close()
      await this.#options.store.close()
    }
  }

  /** What there is to do for a finite job: the time of its last row, and how many rows there are. */
  async #lookAhead(): Promise<void> {
    const { offset, context } = this.#options
    this.#until = offset > 0 ? context.clock.now() - offset : Number.NEGATIVE_INFINITY
    let total = 0
    for (const { table, base } of this.#tables.lanes.values()) {
      const last = await this.#insist(() => table.last())
      if (offset === 0 && last !== undefined) this.#until = Math.max(this.#until, last)
      const range = { after: base.after, from: this.#floor, until: Number.POSITIVE_INFINITY }
      total += await this.#report.rows(table, range)
    }
    this.#report.begin(total)
  }

  /** Sends all rows up to a time. Returns how many. */
  async #round(until: number): Promise<number> {
    const { window } = this.#options
    let sent = 0
    let windowEnd: number | undefined
    this.#until = until
    this.#present = this.#options.context.clock.now()
    this.#merge = new Merge()
    for (const lane of this.#tables.lanes.values()) await this.#fill(lane)
    while (!this.#run.signal.aborted) {
      const events = await this.#sendBatch()
      const last = events.at(-1)
      if (last === undefined) break
      sent += events.length
      this.#report.sent(events.length)
      await this.#removals.removeEnough()
      windowEnd ??= (events[0]?.timestamp ?? 0) + window
      if (last.timestamp >= windowEnd && !this.#options.once) {
        windowEnd = last.timestamp + window
        for (const lane of await this.#tables.look()) await this.#fill(lane)
      }
      // Reading and sending may never have to wait for anything: let others have their turn.
      await setImmediate()
    }
    this.#tellCrowded()
    return sent
  }

  /** Tells of tables whose last time has more rows than keys are kept, once for each time. */
  #tellCrowded(): void {
    if (this.#options.remove || this.#options.readsLate) return
    for (const lane of this.#tables.lanes.values()) {
      if (!lane.isCrowded || lane.crowdedAt === lane.read.time) continue
      lane.crowdedAt = lane.read.time
      this.#report.crowded(lane.name)
    }
  }

  /** Gets the lane's next page and lets it take part again, if there are more rows. */
  async #fill(lane: Lane): Promise<void> {
    const lanes = this.#tables.lanes.size
    const limit = Math.min(this.#limits.page, Math.max(minPage, Math.floor(pageRows / lanes)))
    const page = await this.#nextPage(lane, limit, Math.floor(pageBytes / lanes))
    if (page.problem !== undefined) {
      lane.page = undefined
      this.#tables.refuse(lane.name, page.problem)
      return
    }
    // Rows that come late are read all the same when those before them have been removed.
    if (page.late !== undefined && page.late > 0 && !this.#options.remove) this.#report.late(lane.name, page.late)
    const into = page.remade ? this.#tables.beginAnew(lane) : lane
    const rows = page.times.length
    into.page = rows > 0 ? page : undefined
    into.index = 0
    if (rows === 0) return
    into.read = advance(into.read, page, 0, rows, Number.POSITIVE_INFINITY)
    into.isCrowded = page.key === undefined ? into.isCrowded : into.read.seen === undefined
    this.#merge.add(into)
  }

  /** The next rows of a lane; those of the future that were read before, too many to be known one by one, are skipped. */
  async #nextPage(lane: Lane, limit: number, bytes: number): Promise<SeriesPage> {
    for (;;) {
      const [stretch] = lane.read.stretches
      const until = stretch === undefined ? this.#until : Math.min(this.#until, timeBefore(stretch))
      const range = { ...behind(lane.read), from: this.#floor, until }
      const page = await this.#insist(() => lane.table.page(range, limit, bytes))
      if (stretch === undefined || page.problem !== undefined || stretch.from > this.#until) return page
      if (page.times.length > 0 || page.remade) return { ...page, more: true }
      await this.#passStretch(lane, stretch)
    }
  }

  /** Goes on behind a stretch, and tells, once, how many rows have come into it. */
  async #passStretch(lane: Lane, stretch: Stretch): Promise<void> {
    const { from, to, time, rows } = stretch
    const all = await this.#insist(() => lane.table.count({ from, until: time }))
    const later = await this.#insist(() => lane.table.count({ after: to, from: time, until: time }))
    lane.read = behindStretch(lane.read, stretch)
    lane.isCrowded = false
    const missed = all - later - rows
    if (missed <= 0) return
    this.#report.missed(lane.name, missed)
    const told = { ...stretch, rows: rows + missed }
    lane.sentTo = { ...lane.sentTo, stretches: lane.sentTo.stretches.map((it) => (it.from === from ? told : it)) }
    const position: Position = {}
    this.#tables.save(position, lane)
    void this.#run.emit([], position)
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
      const wasRead = lane.base.ahead.size > 0 ? lane.base.ahead : undefined
      for (let i = start; i < end; i++) {
        if (wasRead?.has(rowId(page, i))) continue
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
      if (this.#options.remove) continue
      lane.sentTo = advance(lane.sentTo, page, start, end, this.#present)
      this.#tables.save(position, lane)
    }
    if (!this.#options.remove) return this.#window.add(this.#run.emit(events, position), weight)
    const removal = this.#removals.add(parts)
    const safe = this.#run.emit(events, { ...position, ...removal.position })
    return this.#window.add(
      safe.then(() => removal.safe()),
      weight,
    )
  }

  /** Waits until all that was sent is safe, and removes it; what came late to these tables is read in the next round. */
  async #settle(): Promise<void> {
    await this.#window.drain()
    const { removals, drops } = this.#position
    if (!this.#options.remove && removals.size === 0 && drops.size === 0) return
    await this.#removals.removeSafe()
    if (this.#options.remove) {
      for (const [name, lane] of this.#tables.lanes) {
        if (lane.sent && (await this.#removals.drop(lane.table))) this.#tables.dropped(name)
        lane.sent = false
        lane.read = lane.base
        lane.page = undefined
      }
    }
    const done = this.#removals.takeDone()
    if (Object.keys(done).length > 0) void this.#run.emit([], done)
  }
}
