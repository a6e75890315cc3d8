// Where all code takes its time from, so that a test can turn the hands itself.
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Unix seconds, fractional. */
  now(): number
  /** Comes back after `seconds`, or at once, without an error, when `signal` aborts. */
  sleep(seconds: number, signal?: AbortSignal): Promise<void>
}

/** Milliseconds, the longest time that a timer can wait: a longer one would be over at once. */
const longestTimer = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now() / 1000,
  async sleep(seconds, signal) {
    try {
      let left = Math.max(0, seconds * 1000)
      do {
        const wait = Math.min(left, longestTimer)
        await delay(wait, undefined, signal === undefined ? {} : { signal })
        left -= wait
      } while (left > 0)
    } catch (error) {
      if (!signal?.aborted) throw error
    }
  },
}

/** A clock that stands still until `advance` moves it. */
export class VirtualClock implements Clock {
  #now: number
  #sleepers: { due: number; wake: () => void }[] = []

  constructor(now = 0) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  sleep(seconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (seconds <= 0 || signal?.aborted) return resolve()
      const giveUp = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        resolve()
      }
      const wake = () => {
        // One signal may be given to many sleeps, one after the other.
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }
      const sleeper = { due: this.#now + seconds, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Moves the time on by `seconds` and wakes, in order, those whose time has come. */
  advance(seconds: number): void {
    this.moveTo(this.#now + seconds)
  }

  /** The same, to a moment in Unix seconds. */
  moveTo(now: number): void {
    this.#now = now
    if (this.#sleepers.length === 0) return
    const due = this.#sleepers.filter((sleeper) => sleeper.due <= this.#now).sort((a, b) => a.due - b.due)
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.due > this.#now)
    for (const sleeper of due) sleeper.wake()
  }
}
