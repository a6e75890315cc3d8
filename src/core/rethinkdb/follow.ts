// Follows tables by changefeeds: rows are read as soon as they are inserted, and also when their time is long past.
import type { Clock } from '../clock.ts'
import type { SeriesPage } from '../series/store.ts'
import { FeedKeys } from './feed-keys.ts'
import type { DedicatedLink, RethinkPool } from './pool.ts'
import { placeSchema } from './rows.ts'
import type { RethinkStore, RethinkTable } from './store.ts'

/** Seconds in which insertions gather before the reader is woken. */
const gatherTime = 0.02
/** Late rows that are read together. */
const latePage = 500

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
export function followTables(store: RethinkStore, pool: RethinkPool, clock: Clock): Following {
  const feeds = new Set<FeedKeys>()
  let link: Promise<DedicatedLink> | undefined
  let wake: (() => void) | undefined
  let isNews = false

  function tell(): void {
    isNews = true
    wake?.()
  }

  /** All feeds share a connection; with it they all end. */
  async function lose(lost: DedicatedLink): Promise<void> {
    if (link !== undefined && (await link.catch(() => undefined)) === lost) link = undefined
    lost.close()
    for (const feed of feeds) feed.end()
    feeds.clear()
    tell()
  }

  async function begin(table: RethinkTable, keys: FeedKeys): Promise<void> {
    link ??= pool.dedicated()
    const opened = await link.catch((error: unknown) => {
      link = undefined
      throw error
    })
    try {
      const feed = await opened.run((r) => table.rows.inserted(r))
      keys.begin()
      feeds.add(keys)
      void listen(feed, keys, opened)
    } catch (error) {
      const failure = pool.failure(error)
      if (failure.retriable) await lose(opened)
      throw failure
    }
  }

  async function listen(feed: AsyncIterable<unknown>, keys: FeedKeys, opened: DedicatedLink): Promise<void> {
    try {
      for await (const row of feed) {
        if (!Array.isArray(row) || typeof row[0] !== 'number' || typeof row[1] !== 'string') continue
        keys.told(row[1], row[0])
        tell()
      }
    } catch {
      // Whatever it was: the reader, which reads on, tells when the database is away.
    }
    await lose(opened)
  }

  function follow(table: RethinkTable): RethinkTable {
    const keys = new FeedKeys()
    return {
      ...table,
      async page(range, limit, bytes) {
        const late = keys.late(range.after, range.from, Math.min(limit, latePage))
        if (late.length > 0 && range.after !== undefined) {
          const page = await table.pageOfKeys(late, range.after)
          keys.read(late)
          if (page.times.length > 0) return page
        }
        let page = await table.page(range, limit, bytes)
        if (!page.more && !keys.isRunning) {
          await begin(table, keys)
          page = await table.page(range, limit, bytes)
        }
        keys.read(keysOf(page))
        return page
      },
    }
  }

  return {
    store: {
      ...store,
      async table(name) {
        const table = await store.table(name)
        return table === undefined || 'problem' in table ? table : follow(table)
      },
      async close() {
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

function keysOf(page: SeriesPage): string[] {
  return page.times.map((_, index) => placeSchema.parse(page.cursor(index))[1])
}
