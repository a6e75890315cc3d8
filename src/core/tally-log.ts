// Logs what may happen ten thousand times a second: the first of a kind at once, then how many more, every ten seconds.
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

/** Seconds between two lines about one kind. */
const interval = 10

export type TallyLevel = 'debug' | 'info' | 'warn'

interface Tally {
  total: number
  /** Those since the last line. */
  untold: number
}

export interface TallyLog {
  /** Counts one of a kind. `kind` comes from a fixed set: each one is remembered. */
  note(kind: string, level: TallyLevel, message: string, fields?: Record<string, unknown>): void
  /** Tells what was not told yet. */
  close(): void
}

/** `count` counts each one, by its kind. */
export function createTallyLog(log: Logger, clock: Clock, count: (kind: string) => void): TallyLog {
  const tallies = new Map<string, Tally>()
  const watched = new Set<string>()
  const closed = new AbortController()

  async function watch(kind: string, level: TallyLevel, tally: Tally): Promise<void> {
    do {
      tally.untold = 0
      await clock.sleep(interval, closed.signal)
      if (tally.untold > 0)
        log[level]({ kind, more: tally.untold, total: tally.total }, `${kind}: ${tally.untold} more`)
    } while (tally.untold > 0 && !closed.signal.aborted)
    watched.delete(kind)
  }

  return {
    note(kind, level, message, fields = {}) {
      const tally = tallies.get(kind) ?? { total: 0, untold: 0 }
      tallies.set(kind, tally)
      tally.total++
      tally.untold++
      count(kind)
      if (watched.has(kind) || closed.signal.aborted) return
      log[level]({ kind, ...fields, total: tally.total }, message)
      watched.add(kind)
      void watch(kind, level, tally)
    },
    close: () => closed.abort(),
  }
}
