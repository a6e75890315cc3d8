// Runs the pipelines of a configuration, each in its worker, and changes them when the configuration changes.

import type { PipelineConfig } from './config/types.ts'
import { messageOf } from './errors.ts'
import type { PipelineStats } from './metrics.ts'
import { PipelineThread, type ThreadOptions } from './pipeline-thread.ts'

export class Supervisor {
  readonly #threads = new Map<string, PipelineThread>()
  /** When each thread that was started has come to its end. */
  readonly #ends = new Map<PipelineThread, Promise<void>>()
  readonly #errors: unknown[] = []
  #options: ThreadOptions
  #stopping = false
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
   * start anew. Returns the names of those that changed.
   */
  async reload(pipelines: readonly PipelineConfig[], options: Partial<ThreadOptions> = {}): Promise<string[]> {
    const reloading = this.#reloading.then(() => this.#change(pipelines, options))
    this.#reloading = reloading.catch(() => {})
    return reloading
  }

  async stats(): Promise<Record<string, PipelineStats>> {
    const threads = [...this.#threads.values()]
    const stats = await Promise.all(threads.map((thread) => thread.stats()))
    return Object.fromEntries(threads.map((thread, index) => [thread.config.name, stats[index] as PipelineStats]))
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

  async #change(pipelines: readonly PipelineConfig[], options: Partial<ThreadOptions>): Promise<string[]> {
    const before = this.#options
    this.#options = { ...before, ...options }
    const everything =
      before.deadLetters !== this.#options.deadLetters || String(before.actions) !== String(this.#options.actions)
    const wanted = new Map(pipelines.map((config) => [config.name, config]))
    const gone = [...this.#threads.values()].filter(
      (thread) => everything || !sameMeaning(thread.config, wanted.get(thread.config.name)),
    )
    const changed = new Set(gone.map((thread) => thread.config.name))
    await Promise.all(gone.map((thread) => this.#end(thread)))
    for (const config of pipelines) {
      if (this.#stopping || this.#threads.has(config.name)) continue
      changed.add(config.name)
      const thread = new PipelineThread(config, this.#options)
      this.#threads.set(config.name, thread)
      this.#start(thread)
    }
    return [...changed]
  }

  #start(thread: PipelineThread): void {
    const end = thread
      .run()
      .catch((error: unknown) => {
        this.#options.log.error({ pipeline: thread.config.name }, messageOf(error))
        this.#errors.push(error)
      })
      .finally(() => this.#ends.delete(thread))
    this.#ends.set(thread, end)
  }

  async #end(thread: PipelineThread): Promise<void> {
    thread.stop()
    await this.#ends.get(thread)
    this.#threads.delete(thread.config.name)
  }
}

function sameMeaning(a: PipelineConfig, b: PipelineConfig | undefined): boolean {
  const meaning = (config: PipelineConfig) => config.actions.map(({ name, label, params }) => ({ name, label, params }))
  return b !== undefined && JSON.stringify(meaning(a)) === JSON.stringify(meaning(b))
}
