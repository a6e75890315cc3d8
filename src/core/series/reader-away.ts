// Calls a database until it answers: one line in the log when it goes away, one when it is back.
import type { Clock } from '../clock.ts'
import { FeedooError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'

/** Seconds without an answer before it is said: a lock that is held for a moment is nothing to tell. */
const patience = 0.5
/** Seconds before the first retry and, as it doubles, the most before any other. */
const firstDelay = 0.02
const maxDelay = 1

/** Thrown out of a call when the run is to stop meanwhile. */
export class Stopped extends Error {}

export type Insist = <T>(call: () => Promise<T>) => Promise<T>

/**
 * After `longest` seconds without an answer it throws INPUT_UNREADABLE, for good. Before the first answer, `atStart` seconds
 * without one are nothing to tell.
 */
export function createInsist(
  clock: Clock,
  log: Logger,
  signal: AbortSignal,
  longest = Number.POSITIVE_INFINITY,
  atStart = patience,
): Insist {
  let quiet = atStart
  return async (call) => {
    let away: number | undefined
    let told = false
    for (let delay = firstDelay; ; delay = Math.min(delay * 2, maxDelay)) {
      try {
        const answer = await unlessStopped(call, signal)
        quiet = patience
        if (told) log.info({ seconds: Math.round(clock.now() - (away ?? 0)) }, 'the database is back')
        return answer
      } catch (error) {
        if (!(error instanceof FeedooError) || !error.retriable) throw error
        away ??= clock.now()
        if (clock.now() - away >= longest) throw gaveUp(error, longest)
        if (!told && clock.now() - away >= quiet) {
          told = true
          log.warn(
            { code: error.code, reason: error.message },
            'the database cannot be read; feedoo tries until it can',
          )
        }
        if (signal.aborted) throw new Stopped()
        await clock.sleep(Math.min(delay, longest), signal)
        if (signal.aborted) throw new Stopped()
      }
    }
  }
}

/** A database that says nothing does not hold up the end. What is called after that, to tidy up, is waited for. */
function unlessStopped<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return call()
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Stopped())
    signal.addEventListener('abort', stop, { once: true })
    const answered = call()
    answered.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** That a database was away for so many seconds that a finite job ends. */
export function gaveUp(cause: unknown, seconds: number): FeedooError {
  return new FeedooError('INPUT_UNREADABLE', `${messageOf(cause)}; given up after ${seconds} s`, { cause })
}
