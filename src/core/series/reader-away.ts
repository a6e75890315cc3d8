// Calls a database until it answers: one line in the log when it goes away, one when it is back.
import type { Clock } from '../clock.ts'
import { FeedooError } from '../errors.ts'
import type { Logger } from '../log.ts'

/** Seconds without an answer before it is said: a lock that is held for a moment is nothing to tell. */
const patience = 0.5
/** Seconds before the first retry and, as it doubles, the most before any other. */
const firstDelay = 0.02
const maxDelay = 1

/** Thrown out of a call when the run is to stop meanwhile. */
export class Stopped extends Error {}

export type Insist = <T>(call: () => Promise<T>) => Promise<T>

export function createInsist(clock: Clock, log: Logger, signal: AbortSignal): Insist {
  return async (call) => {
    let away: number | undefined
    let told = false
    for (let delay = firstDelay; ; delay = Math.min(delay * 2, maxDelay)) {
      try {
        const answer = await call()
        if (told) log.info({ seconds: Math.round(clock.now() - (away ?? 0)) }, 'the database is back')
        return answer
      } catch (error) {
        if (!(error instanceof FeedooError) || !error.retriable) throw error
        away ??= clock.now()
        if (!told && clock.now() - away >= patience) {
          told = true
          log.warn({ err: error }, 'the database cannot be read; feedoo tries until it can')
        }
        if (signal.aborted) throw new Stopped()
        await clock.sleep(delay, signal)
        if (signal.aborted) throw new Stopped()
      }
    }
  }
}
