// Follows tables by changefeeds: rows are read as soon as they are inserted, and also when their time is long past.
import type { ActionContext } from '../action.ts'
import type { Clock } from '../clock.ts'
import type { Range, SeriesPage } from '../series/store.ts'
import { createTallyLog } from '../tally-log.ts'
import { RethinkFailure } from './failure.ts'
import { FeedKeys } from './feed-keys.ts'
import type { DedicatedLink, RethinkPool } from './pool.ts'
import { type RethinkStore, type RethinkTable, whenThere } from './store.ts'

/** Seconds in which insertions gather before the reader is woken. */
const gatherTime = 0.02
/** Late rows that are read together. */
const latePage = 500

export interface FollowOptions {
  store: RethinkStore
  pool: RethinkPool
  context: Pick<ActionContext, 'clock' | 'log' | 'count'>
  /** The reader removes what it has read, and so comes to late rows by itself. */
  remove: boolean
}

export interface Following {
  store: RethinkStore
  /** Its `sleep` ends when something was inserted: for the reader, which sleeps between two looks. */
  clock: Clock
}

/**
 * The feed of a table begins when its first read is done, and the table is read once more behind that moment. A row that
 * is inserted later is both told of and read: what was told and cannot be read any more, because its time is past, is
 * read by its key. When the feed is lost, it begins again in the same way, from the position of the reader.
 */
export function followTables({ store, pool, context, remove }: FollowOptions): Following {
  const { clock, log, count } = context
  const tally = createTallyLog(log, clock, () => {})
  /** By the connection that they share. */
  const feeds = new Map<DedicatedLink, Set<FeedKeys>>()
  let link: Promise<DedicatedLink> | undefined
  let wake: (() => void) | undefined
  let isNews = false

  function tell(): void {
    isNews = true
    wake?.()
  }

  /** All feeds share a connection; with it they all end. Whoever comes second has nothing more to do. */
  function lose(lost: DedicatedLink): void {
    const ended = feeds.get(lost)
    if (ended === undefined) return
    feeds.delete(lost)
    link = undefined
    lost.close()
    for (const feed of ended) feed.end()
    tell()
  }

  /** A call of the reader. When the server does not answer, the feeds begin again: nobody may ever tell their connection. */
  async function watch<T>(call: Promise<T>): Promise<T> {
    try {
      return await call
    } catch (error) {
      if (error instanceof RethinkFailure && error.kind === 'away') for (const opened of [...feeds.keys()]) lose(opened)
      throw error
    }
  }

  async function open(): Promise<DedicatedLink> {
    const opened = await pool.dedicated()
    feeds.set(opened, new Set())
    return opened
  }

  async function begin(table: RethinkTable, keys: FeedKeys): Promise<void> {
    link ??= open()
    const opened = await link.catch((error: unknown) => {
      link = undefined
      throw error
    })
    try {
      const feed = await opened.run((r) => table.rows.inserted(r))
      const shared = feeds.get(opened)
      // Lost in the meantime: with the next page it begins again.
      if (shared === undefined) return
      keys.begin()
      shared.add(keys)
      void listen(feed, table.name, keys, opened)
    } catch (error) {
      const failure = pool.failure(error)
      if (failure.retriable) lose(opened)
      throw failure
    }
  }

  /** Rows that the server did not tell of, because it had too many, are read in their turn: but not those that are late. */
  function skip(table: string, told: string): void {
    if (!remove) {
      const changes = Number(/skipped (\d+) /.exec(told)?.[1] ?? 1)
      count('skipped_changes', changes)
      tally.note(
        'skipped_changes',
        'warn',
        'there were so many changes that RethinkDB skipped some; rows among them whose time was past may be missed',
        { table, changes },
      )
    }
    tell()
  }

  async function listen(
    feed: AsyncIterable<unknown>,
    table: string,
    keys: FeedKeys,
    opened: DedicatedLink,
  ): Promise<void> {
    try {
      for await (const row of feed) {
        // What was on its way on a lost connection: the feed after it may have told of it, too.
        if (!feeds.has(opened)) return
        if (typeof row === 'string') skip(table, row)
        if (!Array.isArray(row) || typeof row[0] !== 'number' || typeof row[1] !== 'string') continue
        keys.told(row[1], row[0])
        tell()
      }
    } catch {
      // Whatever it was: the reader, which reads on, tells when the database is away.
    }
    // A table that was dropped, or whose server is away: the feeds of the others run on.
    if (opened.isOpen() && feeds.get(opened)?.delete(keys)) {
      keys.end()
      tell()
    } else lose(opened)
  }

  function follow(table: RethinkTable): RethinkTable {
    const keys = new FeedKeys()
    return {
      ...table,
      page: (range, limit, bytes) => watch(page(range, limit, bytes)),
    }

    async function page(range: Range, limit: number, bytes: number): Promise<SeriesPage> {
      const late = keys.late(range, Math.min(limit, latePage))
      if (late.length > 0 && range.after !== undefined) {
        const found = await table.pageOfKeys(late, range.after)
        keys.read(late)
        if (found.times.length > 0) return found
      }
      let found = await table.page(range, limit, bytes)
      if (!found.more && !keys.isRunning) {
        await whenThere(undefined, () => begin(table, keys))
        found = await table.page(range, limit, bytes)
      }
      keys.read(keysOf(found))
      return found
    }
  }

  return {
    store: {
      ...store,
      tables: () => watch(store.tables()),
      async table(name) {
        const table = await watch(store.table(name))
        return table === undefined || 'problem' in table ? table : follow(table)
      },
      async close() {
        tally.close()
        const opened = await link?.catch(() => undefined)
        opened?.close()
        await store.close()
      },
    },
    clock: {
      now: () => clock.now(),
      async sleep(seconds, signal) {
        const woken = new AbortController()
        const stop = signal === undefined ? woken.signal : AbortSignal.any([signal, woken.signal])
        wake = () => woken.abort()
        if (!isNews) await clock.sleep(seconds, stop)
        wake = undefined
        if (isNews) await clock.sleep(Math.min(seconds, gatherTime), signal)
        isNews = false
      },
    },
  }
}

function keysOf({ times, key }: SeriesPage): string[] {
  return times.map((_, index) => String(key?.(index)))
}
