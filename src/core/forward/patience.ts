// How long a sender may take. While it is not read, its times stand still.

export interface PatienceLimits {
  /** Milliseconds. */
  handshakeTimeout: number
  idleTimeout: number
  frameTimeout: number
}

/** What it is called, for people, that something took too long. */
export const tooLong = {
  frame_timeout: 'a request took too long from its first byte to its last',
  idle_timeout: 'nothing was sent, or an acknowledgement not taken, for too long',
}

export class Patience {
  readonly #limits: PatienceLimits
  readonly #readingTime: () => number
  readonly #startedAt = performance.now()
  /** Reading time of the last byte, in or out. */
  #activeAt: number
  /** Reading time of the first byte of the request that is not complete. */
  #frameSince: number | undefined
  #isPaused = false
  /** Reading time. */
  #pausedAt = 0

  /** `readingTime`: milliseconds in which any sender was read. */
  constructor(limits: PatienceLimits, readingTime: () => number) {
    this.#limits = limits
    this.#readingTime = readingTime
    this.#activeAt = readingTime()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Bytes came, or were taken by the peer. */
  active(): void {
    this.#activeAt = this.#readingTime()
  }

  /** A request is complete. */
  complete(): void {
    this.#frameSince = undefined
  }

  /** A request has begun, now or before, and is not complete. */
  incomplete(): void {
    this.#frameSince ??= this.#readingTime()
  }

  /** This sender is not read any more. */
  pause(): void {
    this.#isPaused = true
    this.#pausedAt = this.#readingTime()
  }

  resume(): void {
    this.#isPaused = false
    // The rest of a request could not come in the meantime.
    if (this.#frameSince !== undefined) this.#frameSince += this.#readingTime() - this.#pausedAt
  }

  /** `now` is performance.now(). */
  isHandshakeLate(now: number): boolean {
    return now - this.#startedAt > this.#limits.handshakeTimeout
  }

  /** What took too long, if anything. `waitsForUs`: the peer has nothing to do. */
  exceeded(waitsForUs: boolean): keyof typeof tooLong | undefined {
    const time = this.#readingTime()
    const { frameTimeout, idleTimeout } = this.#limits
    if (this.#frameSince !== undefined && !this.#isPaused) {
      return time - this.#frameSince > frameTimeout ? 'frame_timeout' : undefined
    }
    return time - this.#activeAt > idleTimeout && !waitsForUs ? 'idle_timeout' : undefined
  }
}
