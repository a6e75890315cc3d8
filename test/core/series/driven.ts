// A reader that a test drives: it decides what is committed when, and at which call the process dies.
import { setImmediate } from 'node:timers/promises'
import type { InputRun, Json, Position } from '../../../src/core/action.ts'
import { type Clock, VirtualClock } from '../../../src/core/clock.ts'
import type { Event } from '../../../src/core/event.ts'
import type { Logger } from '../../../src/core/log.ts'
import { readSeries, type SeriesReaderOptions } from '../../../src/core/series/reader.ts'
import type { SeriesStore } from '../../../src/core/series/store.ts'
import { silent } from '../../helpers/run-pipeline.ts'

interface Emitted {
  events: readonly Event[]
  position: Position
  resolve(): void
}

export type DrivenOptions = Partial<Omit<SeriesReaderOptions, 'store' | 'context'>> & { log?: Logger }

export class Driven {
  readonly clock: VirtualClock
  /** What is committed: what came out, and the positions. It outlives the process. */
  readonly out: Event[] = []
  positions = new Map<string, Json>()
  readonly counts = new Map<string, number>()
  progress: [number, number][] = []
  ended = false
  dead = false
  failed: unknown
  readonly #makeStore: () => SeriesStore
  readonly #options: DrivenOptions
  #emitted: Emitted[] = []
  #abort = new AbortController()
  /** The process that runs; an older one is dead. */
  #life = 0
  /** The reader waits for the time to go by. */
  #idle = false
  /** Calls to the store: all, and those without an answer. */
  #calls = 0
  #open = 0
  #callsLeft = Number.POSITIVE_INFINITY
  #running: Promise<void> = Promise.resolve()

  constructor(makeStore: () => SeriesStore, options: DrivenOptions = {}, now = 1000) {
    this.#makeStore = makeStore
    this.#options = options
    this.clock = new VirtualClock(now)
  }

  /** The process dies after so many more calls to the store. */
  liveFor(calls: number): void {
    this.#callsLeft = calls
  }

  start(): void {
    const life = ++this.#life
    this.#callsLeft = Number.POSITIVE_INFINITY
    this.#open = 0
    this.#emitted = []
    this.#abort = new AbortController()
    this.#idle = false
    this.ended = false
    this.dead = false
    const { signal } = this.#abort
    const clock: Clock = {
      now: () => this.clock.now(),
      sleep: async (seconds, wake) => {
        const sleeping = this.clock.sleep(seconds, wake)
        if (this.#life !== life || wake !== signal) return sleeping
        this.#idle = true
        await sleeping
        if (this.#life === life) this.#idle = false
      },
    }
    const { log = silent, ...options } = this.#options
    const store = this.#mortal(this.#makeStore(), life)
    const run: InputRun = {
      emit: (events, position = {}) =>
        new Promise((resolve) => {
          if (this.#life === life) this.#emitted.push({ events, position, resolve })
        }),
      signal,
      positions: new Map(this.positions),
      progress: (done, total) => void this.progress.push([done, total]),
    }
    const count = (name: string, by = 1) => void this.counts.set(name, (this.counts.get(name) ?? 0) + by)
    this.#running = readSeries(
      {
        matches: () => true,
        tagOf: (table) => table,
        tableField: undefined,
        window: 60,
        offset: 0,
        reloadPosition: true,
        from: 'start',
        remove: false,
        once: false,
        refreshInterval: 1,
        ...options,
        store,
        context: { clock, log, count },
      },
      run,
    ).then(
      () => {
        if (this.#life === life) this.ended = true
      },
      (error: unknown) => {
        if (this.#life === life) this.failed = error
      },
    )
  }

  /** Saves what was sent so far, as a commit does: all of it, or the first `batches`. */
  commit(batches = this.#emitted.length): void {
    for (const { events, position, resolve } of this.#emitted.splice(0, batches)) {
      this.out.push(...events)
      for (const [key, value] of Object.entries(position)) {
        if (value === null) this.positions.delete(key)
        else this.positions.set(key, structuredClone(value))
      }
      resolve()
    }
  }

  /** The process is gone: nothing it had in hand happens any more. */
  kill(): void {
    this.#life++
    this.dead = true
    this.#emitted = []
  }

  get waiting(): number {
    return this.#emitted.length
  }

  /** True when nothing happens any more without a commit, or before the time goes on. */
  get #resting(): boolean {
    return this.dead || this.ended || this.failed !== undefined || this.#idle
  }

  /** Works, without a commit, until so many batches wait for one. */
  async untilWaiting(batches: number): Promise<void> {
    while (this.waiting < batches) await setImmediate()
  }

  /** Works, without a commit, until so many batches wait for one or there is nothing more to do without it. */
  async work(batches: number): Promise<void> {
    for (let quiet = 0; quiet < 5 && this.waiting < batches; ) {
      const calls = this.#calls
      await setImmediate()
      quiet = this.#open === 0 && this.#calls === calls ? quiet + 1 : 0
    }
  }

  /** Works and commits until there is nothing more to do at this time. */
  async settle(): Promise<void> {
    while (!this.#resting || this.waiting > 0) {
      await setImmediate()
      this.commit()
    }
  }

  /** Time goes on, and the reader looks again. */
  async look(seconds = 1): Promise<void> {
    this.clock.advance(seconds)
    // Those it wakes.
    await setImmediate()
    await this.settle()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    let running = true
    void this.#running.then(() => {
      running = false
    })
    while (running) {
      this.commit()
      await setImmediate()
    }
    this.commit()
  }

  /** Rows that came out since the last call. */
  take(): Record<string, unknown>[] {
    return this.out.splice(0).map(({ record }) => record)
  }

  /** A store, with its tables and pages, that never answers again when its process is dead. */
  #mortal<T extends object>(target: T, life: number): T {
    const wrap = (value: unknown): unknown =>
      typeof value === 'object' && value !== null && Object.values({ ...value, ...methodsOf(value) }).some(isFunction)
        ? this.#mortal(value, life)
        : value
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object)
        if (!isFunction(value)) return value
        return (...args: unknown[]) => {
          if (this.#life === life && this.#callsLeft-- <= 0) this.kill()
          const dead = this.#life !== life
          if (key === 'close') return value.apply(object, args)
          if (dead) return new Promise(() => {})
          this.#calls++
          const answer: unknown = value.apply(object, args)
          if (!(answer instanceof Promise)) return wrap(answer)
          this.#open++
          return answer.then(wrap).finally(() => {
            if (this.#life === life) this.#open--
          })
        }
      },
    })
  }
}

type Method = (...args: unknown[]) => unknown

function isFunction(value: unknown): value is Method {
  return typeof value === 'function'
}

function methodsOf(value: object): Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === Array.prototype || typeof prototype !== 'object') return {}
  return Object.fromEntries(
    Object.getOwnPropertyNames(prototype ?? {})
      .filter((name) => name !== 'constructor')
      .map((name) => [name, Reflect.get(value, name)]),
  )
}
