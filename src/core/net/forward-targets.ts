// The receivers of an output, in the order they are preferred: which one is connected, which ones have failed, and the way back.
import type { Clock } from '../clock.ts'
import { FeedooError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { ForwardConnection, ForwardTarget } from './forward-connection.ts'
import { answersHeartbeat } from './udp-heartbeat.ts'

export interface TargetsOptions {
  connect(target: ForwardTarget, signal: AbortSignal): Promise<ForwardConnection>
  /** Seconds after which a receiver that has failed is looked at again. */
  recoverWait: number
  /** Seconds between two heartbeats to a receiver that has failed; undefined for none. */
  heartbeat: number | undefined
  /** Seconds without an event after which the connection is closed; 0 closes it after each batch. */
  idle: number
  clock: Clock
  log: Logger
}

interface Place {
  target: ForwardTarget
  /** Clock time until which it is passed over while another one works. */
  failedUntil: number
}

/** What has failed within one write: a receiver is tried once in each. */
export type Attempt = Map<ForwardTarget, string>

export class ForwardTargets {
  readonly #places: readonly Place[]
  readonly #options: TargetsOptions
  readonly #closed = new AbortController()
  #current: ForwardConnection | undefined
  /** A connection to a receiver that is preferred to the current one, and works again. */
  #better: ForwardConnection | undefined
  #probing = false
  #idle: NodeJS.Timeout | undefined
  #heart: NodeJS.Timeout | undefined
  /** The receiver that the log spoke of last. */
  #told: ForwardTarget | undefined

  constructor(targets: readonly ForwardTarget[], options: TargetsOptions) {
    this.#places = targets.map((target) => ({ target, failedUntil: Number.NEGATIVE_INFINITY }))
    this.#options = options
    this.#told = targets[0]
  }

  /**
   * A connection to the first receiver that takes one. Throws a retriable FeedooError (OUTPUT_UNAVAILABLE) when none
   * does that has not failed in this attempt.
   */
  async acquire(attempt: Attempt): Promise<ForwardConnection> {
    clearTimeout(this.#idle)
    this.#takeBetter()
    if (this.#current !== undefined && this.#current.error === undefined) {
      this.#probe(this.#current.target)
      return this.#current
    }
    for (const place of this.#inTurn()) {
      if (attempt.has(place.target) || this.#closed.signal.aborted) continue
      try {
        this.#current = await this.#options.connect(place.target, this.#closed.signal)
        this.#tell(place.target, attempt)
        return this.#current
      } catch (error) {
        this.#setFailed(place)
        attempt.set(place.target, messageOf(error))
      }
    }
    throw unavailable(attempt, this.#closed.signal.aborted)
  }

  /** Ends the use of a connection for one write: it is kept for the next, for a while. */
  release(connection: ForwardConnection): void {
    if (connection !== this.#current) return
    if (this.#options.idle === 0 || !connection.keepalive) this.#drop()
    else this.#idle = setTimeout(() => this.#drop(), this.#options.idle * 1000)
  }

  /** Notes that a connection broke. One that was `fresh` speaks against its receiver, an old one only against itself. */
  failed(connection: ForwardConnection, reason: string, fresh: boolean, attempt: Attempt): void {
    connection.fail(reason)
    if (connection === this.#current) this.#current = undefined
    if (!fresh) return
    attempt.set(connection.target, reason)
    for (const place of this.#places) if (place.target === connection.target) this.#setFailed(place)
  }

  close(): void {
    this.#closed.abort()
    clearInterval(this.#heart)
    this.#heart = undefined
    this.#better?.close()
    this.#better = undefined
    this.#drop()
  }

  /** Those that have not failed first, each group in the order they are preferred. */
  #inTurn(): Place[] {
    const now = this.#options.clock.now()
    const isUp = ({ failedUntil }: Place) => failedUntil <= now
    return [...this.#places.filter(isUp), ...this.#places.filter((place) => !isUp(place))]
  }

  #drop(): void {
    clearTimeout(this.#idle)
    this.#current?.close()
    this.#current = undefined
  }

  #setFailed(place: Place): void {
    const { clock, recoverWait, heartbeat } = this.#options
    place.failedUntil = clock.now() + recoverWait
    if (heartbeat === undefined || this.#closed.signal.aborted) return
    this.#heart ??= setInterval(() => this.#beat(heartbeat), heartbeat * 1000)
  }

  /** Asks those that have failed whether they are back. */
  #beat(interval: number): void {
    const now = this.#options.clock.now()
    const failed = this.#places.filter(({ failedUntil }) => failedUntil > now)
    if (failed.length === 0) {
      clearInterval(this.#heart)
      this.#heart = undefined
    }
    for (const place of failed) void this.#ask(place, interval)
  }

  async #ask(place: Place, interval: number): Promise<void> {
    const { target } = place
    if (!('host' in target)) return
    const { failedUntil } = place
    const answered = await answersHeartbeat(target.host, target.port, interval * 1000)
    if (answered && place.failedUntil === failedUntil) place.failedUntil = Number.NEGATIVE_INFINITY
  }

  /**
   * Connects, in the background, to the first receiver before `current` whose time to be looked at has come: the events
   * go on to the current one until that works.
   */
  #probe(current: ForwardTarget): void {
    if (this.#probing || this.#better !== undefined) return
    const now = this.#options.clock.now()
    const before = this.#places.slice(
      0,
      this.#places.findIndex(({ target }) => target === current),
    )
    const place = before.find(({ failedUntil }) => failedUntil <= now)
    if (place === undefined) return
    this.#probing = true
    this.#options
      .connect(place.target, this.#closed.signal)
      .then(
        (connection) => {
          if (this.#closed.signal.aborted) connection.close()
          else this.#better = connection
        },
        // It is not back.
        () => this.#setFailed(place),
      )
      .finally(() => {
        this.#probing = false
      })
  }

  #takeBetter(): void {
    const better = this.#better
    if (better === undefined) return
    this.#better = undefined
    if (better.error !== undefined) return
    this.#drop()
    this.#current = better
    this.#tell(better.target, new Map())
  }

  /** One line in the log when the events go to another receiver than before. */
  #tell(target: ForwardTarget, attempt: Attempt): void {
    if (this.#told === target) return
    this.#told = target
    const { log } = this.#options
    if (target === this.#places[0]?.target) log.info({ host: target.name }, 'sending to the first host again')
    else log.warn({ host: target.name, failed: Object.fromEntries(named(attempt)) }, 'sending to another host')
  }
}

function named(attempt: Attempt): [string, string][] {
  return Array.from(attempt, ([{ name }, reason]) => [name, reason])
}

function unavailable(attempt: Attempt, closed: boolean): FeedooError {
  const reasons = named(attempt).map(([name, reason]) => `${name}: ${reason}`)
  const why = closed && reasons.length === 0 ? ': the output is closed' : ` to ${reasons.join('; ')}`
  return new FeedooError('OUTPUT_UNAVAILABLE', `cannot send${why}`, { retriable: true })
}
