// Runs the pipelines of a configuration, each in its worker, and changes them when the configuration changes.

import type { PipelineConfig } from './config/types.ts'
import { FeedooError, messageOf } from './errors.ts'
import { type PipelineStats, sum } from './metrics.ts'
import { PipelineThread, type ThreadOptions } from './pipeline-thread.ts'

/** What all pipelines together have done, also those that a reload has ended. */
export interface Totals {
  events: number
  errors: number
  deadLetters: number
}

export class Supervisor {
  readonly #threads = new Map<string, PipelineThread>()
  /** When each thread that was started has come to its end. */
  readonly #ends = new Map<PipelineThread, Promise<void>>()
  readonly #errors: unknown[] = []
  #options: ThreadOptions
  #stopping = false
  /** Of pipelines that a reload has ended. */
  #gone: Totals = { events: 0, errors: 0, deadLetters: 0 }
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(options: ThreadOptions) {
    this.#options = options
  }

  /** Starts every worker and waits until each has bound its sockets. Rejects with the first failure. */
  async open(pipelines: readonly PipelineConfig[]): Promise<void> {
    for (const config of pipelines) this.#threads.set(config.name, new PipelineThread(config, this.#options))
    await Promise.all([...this.#threads.values()].map((thread) => thread.open()))
  }

  /** Ends workers that were opened but are not to run. */
  async abandon(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread.kill()))
  }

  /** Lets the pipelines run; returns when all have ended, with what went wrong at their ends. */
  async run(): Promise<unknown[]> {
    for (const thread of this.#threads.values()) this.#start(thread)
    // A reload ends some and starts others while this waits.
    while (this.#ends.size > 0) {
      await Promise.all(this.#ends.values())
      await this.#reloading
    }
    return this.#errors
  }

  /** Stops reading everywhere and drains. After `timeout` seconds what is not safe is given up. */
  stop(timeout: number): void {
    this.#stopping = true
    for (const thread of this.#threads.values()) thread.stop()
    setTimeout(() => {
      for (const thread of this.#threads.values()) thread.giveUp()
    }, timeout * 1000).unref()
  }

  /**
   * Goes over to another list of pipelines: those that are the same run on untouched, the others stop, drain and
   * start anew where their inputs were. After `timeout` seconds what is not safe is given up, and is read again where an
   * input can. Returns the names of those that changed.
   */
  async reload(
    pipelines: readonly PipelineConfig[],
    timeout: number,
    options: Partial<ThreadOptions> = {},
  ): Promise<string[]> {
    const reloading = this.#reloading.then(() => this.#change(pipelines, timeout, options))
    this.#reloading = reloading.catch(() => {})
    return reloading
  }

  async stats(): Promise<Record<string, PipelineStats>> {
    const threads = [...this.#threads.values()]
    return Object.fromEntries(
      await Promise.all(threads.map(async (thread) => [thread.config.name, await thread.stats()] as const)),
    )
  }

  async totals(): Promise<Totals> {
    return Object.values(await this.stats())
      .map(totalsOf)
      .reduce(addTotals, this.#gone)
  }

  /** What is not well right now, a sentence each. */
  async problems(): Promise<string[]> {
    return (await Promise.all([...this.#threads.values()].map((thread) => thread.problems()))).flat()
  }

  /** The share of the finite jobs that is done, 0 to 1; undefined when no input has told of any. */
  progress(): number | undefined {
    let done = 0
    let total = 0
    for (const thread of this.#threads.values()) {
      for (const input of thread.progress.values()) {
        // Units differ (bytes, events, rows): each input counts the same.
        done += input.total === 0 ? 1 : input.done / input.total
        total++
      }
    }
    return total === 0 ? undefined : done / total
  }

  async #change(
    pipelines: readonly PipelineConfig[],
    timeout: number,
    options: Partial<ThreadOptions>,
  ): Promise<string[]> {
    const before = this.#options
    this.#options = { ...before, ...options }
    const everything =
      before.deadLetters !== this.#options.deadLetters ||
      String(before.actions) !== String(this.#options.actions) ||
      JSON.stringify(before.state) !== JSON.stringify(this.#options.state)
    const wanted = new Map(pipelines.map((config) => [config.name, config]))
    const gone = [...this.#threads.values()].filter(
      (thread) => everything || !sameMeaning(thread.config, wanted.get(thread.config.name)),
    )
    const changed = new Set(gone.map((thread) => thread.config.name))
    await Promise.all(gone.map((thread) => this.#end(thread, timeout)))
    const positions = new Map(gone.map((thread) => [thread.config.name, thread.positions]))
    for (const config of pipelines) {
      if (this.#stopping || this.#threads.has(config.name)) continue
      changed.add(config.name)
      const thread = new PipelineThread(config, this.#options, positions.get(config.name))
      this.#threads.set(config.name, thread)
      this.#start(thread)
    }
    return [...changed]
  }

  #start(thread: PipelineThread): void {
    const end = thread
      .run()
      .catch((error: unknown) => this.#note(thread, error))
      .finally(() => this.#ends.delete(thread))
    this.#ends.set(thread, end)
  }

  #note(thread: PipelineThread, error: unknown): void {
    const log = this.#options.log.child({ pipeline: thread.config.name })
    // The reader of a pipe may leave at any time (`| head`): an end like another.
    if (error instanceof FeedooError && error.code === 'STDOUT_CLOSED') {
      log.debug(messageOf(error))
      return
    }
    log.error({ code: error instanceof FeedooError ? error.code : undefined }, messageOf(error))
    this.#errors.push(error)
  }

  async #end(thread: PipelineThread, timeout: number): Promise<void> {
    const { name } = thread.config
    this.#options.log.info({ pipeline: name }, 'the pipeline changes: it stops, and writes what it has read')
    thread.stop()
    const timer = setTimeout(() => thread.giveUp(), timeout * 1000)
    await this.#ends.get(thread)
    clearTimeout(timer)
    this.#gone = addTotals(this.#gone, totalsOf(await thread.stats()))
    this.#threads.delete(name)
  }
}

function totalsOf({ events, actions }: PipelineStats): Totals {
  const errors = actions.reduce((total, action) => total + sum(action.errors), 0)
  const deadLetters = actions.reduce((total, action) => total + sum(action.dead_letters), 0)
  return { events, errors, deadLetters }
}

function addTotals(a: Totals, b: Totals): Totals {
  return { events: a.events + b.events, errors: a.errors + b.errors, deadLetters: a.deadLetters + b.deadLetters }
}

function sameMeaning(a: PipelineConfig, b: PipelineConfig | undefined): boolean {
  const meaning = (config: PipelineConfig) => config.actions.map(({ name, label, params }) => ({ name, label, params }))
  return b !== undefined && JSON.stringify(meaning(a)) === JSON.stringify(meaning(b))
}
