// One pipeline seen from the main thread: its worker, what the worker last committed, and its restarts.
import { EventEmitter, once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Json } from './action.ts'
import type { Clock } from './clock.ts'
import type { PipelineConfig } from './config/types.ts'
import { type ErrorCode, FeedooError, messageOf } from './errors.ts'
import type { Logger, LogOptions } from './log.ts'
import type { PipelineStats } from './metrics.ts'
import type { Order, Report, WorkerInit } from './worker.ts'

/** Seconds before the first restart of a pipeline that failed; doubled at each further one. */
const firstRestart = 1
/** Seconds between two restarts, at most. */
const longestRestart = 60
/** Milliseconds that a busy worker has to answer a question. */
const answerTime = 1000
/** Milliseconds after the shutdown time before a worker that does not end is killed. */
const killDelay = 1000

export interface ThreadOptions {
  actions: string[]
  deadLetters: string | undefined
  logOptions: LogOptions
  log: Logger
  clock: Clock
}

type State = 'opening' | 'running' | 'waiting' | 'stopping' | 'ended'

export class PipelineThread {
  readonly config: PipelineConfig
  /** How much of its finite inputs is done, by place. */
  readonly progress = new Map<number, { done: number; total: number }>()
  restarts = 0
  readonly #options: ThreadOptions
  readonly #log: Logger
  readonly #positions = new Map<number, Map<string, Json>>()
  readonly #stop = new AbortController()
  readonly #answers = new EventEmitter()
  #worker: Worker | undefined
  #state: State = 'opening'
  #reason: string | undefined
  #failing: string[] = []
  #stats: PipelineStats = { actions: [], events: 0, commits: 0, in_flight: 0 }
  #questions = 0

  constructor(config: PipelineConfig, options: ThreadOptions) {
    this.config = config
    this.#options = options
    this.#log = options.log.child({ pipeline: config.name })
  }

  /** Starts the worker and opens what the actions open. Rejects with the action's error. */
  async open(): Promise<void> {
    const { actions, deadLetters, logOptions } = this.#options
    const init: WorkerInit = {
      pipeline: this.config,
      actions,
      positions: this.#positions,
      deadLetters,
      log: logOptions,
    }
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: init, name: this.config.name })
    this.#worker = worker
    this.#state = 'opening'
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.type === 'ready') resolve()
        else if (report.type === 'ended' && report.error) reject(toError(report.error))
        this.#hear(report)
      })
      worker.once('error', reject)
      worker.once('exit', (code) => reject(new Error(`the worker ended with code ${code}`)))
    })
  }

  /** Runs the pipeline to its end, restarting it from its last commit as often as it fails. */
  async run(): Promise<void> {
    for (let failures = 0; ; failures++) {
      const began = this.#options.clock.now()
      try {
        if (this.#worker === undefined) await this.open()
        if (await this.#runOnce()) return
      } catch (error) {
        if (this.#stop.signal.aborted) throw error
        if (this.#options.clock.now() - began > longestRestart) failures = 0
        await this.#waitAfter(error, failures)
        if (this.#stop.signal.aborted) return
      }
    }
  }

  /** Stops reading, drains and ends; `run` then returns. */
  stop(): void {
    this.#stop.abort()
    if (this.#state === 'running') this.#state = 'stopping'
    this.#order({ type: 'stop' })
  }

  /** Ends a drain that takes too long: what is not safe by then is given up. */
  giveUp(): void {
    this.#order({ type: 'give-up' })
    const worker = this.#worker
    setTimeout(() => void worker?.terminate(), killDelay).unref()
  }

  /** Ends the worker at once, wherever it is. */
  async kill(): Promise<void> {
    await this.#worker?.terminate()
  }

  /** The counters; the last ones known when the worker is busy or gone. */
  async stats(): Promise<PipelineStats> {
    if (this.#state === 'running' || this.#state === 'stopping') {
      const id = ++this.#questions
      this.#order({ type: 'stats', id })
      // A worker deep in a batch answers late; the last answer then has to do.
      await once(this.#answers, String(id), { signal: AbortSignal.timeout(answerTime) }).catch(() => {})
    }
    return { ...this.#stats, up: this.#state !== 'waiting' }
  }

  /** Why the pipeline is not well, if it is not. */
  async problems(): Promise<string[]> {
    if (this.#state === 'waiting') return [`pipeline ${this.config.name} failed: ${this.#reason ?? ''}`]
    await this.stats()
    return this.#failing.map((label) => `pipeline ${this.config.name}: the target of ${label} does not take events`)
  }

  /** Resolves to true when the pipeline has come to its end, rejects when it failed. */
  async #runOnce(): Promise<boolean> {
    const worker = this.#worker
    if (worker === undefined) return false
    this.#state = this.#stop.signal.aborted ? 'stopping' : 'running'
    return new Promise<boolean>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.type !== 'ended') return
        if (report.error === undefined) {
          this.#state = 'ended'
          resolve(true)
        } else reject(toError(report.error))
      })
      worker.once('error', reject)
      worker.once('exit', (code) => reject(new Error(`the worker ended with code ${code}`)))
      worker.postMessage({ type: 'run' } satisfies Order)
      if (this.#stop.signal.aborted) worker.postMessage({ type: 'stop' } satisfies Order)
    })
  }

  async #waitAfter(error: unknown, failures: number): Promise<void> {
    this.#state = 'waiting'
    this.#reason = messageOf(error)
    void this.#worker?.terminate()
    this.#worker = undefined
    this.#failing = []
    this.restarts++
    const longest = Math.min(longestRestart, firstRestart * 2 ** failures)
    const seconds = longest * (0.5 + Math.random() / 2)
    this.#log.error({ err: { message: this.#reason }, restart_in: Number(seconds.toFixed(1)) }, 'the pipeline failed')
    await this.#options.clock.sleep(seconds, this.#stop.signal)
  }

  #order(order: Order): void {
    this.#worker?.postMessage(order)
  }

  #hear(report: Report): void {
    switch (report.type) {
      case 'committed':
        this.#remember(report.input, report.positions)
        return
      case 'progress':
        this.progress.set(report.input, { done: report.done, total: report.total })
        return
      case 'stats':
        this.#stats = report.stats
        this.#failing = report.failing
        this.#answers.emit(String(report.id))
        return
      case 'ended':
        this.#stats = report.stats
    }
  }

  #remember(input: number, changes: ReadonlyMap<string, Json>): void {
    const positions = this.#positions.get(input) ?? new Map<string, Json>()
    for (const [key, value] of changes) {
      if (value === null) positions.delete(key)
      else positions.set(key, value)
    }
    this.#positions.set(input, positions)
  }
}

function toError({ code, message }: { code: ErrorCode | undefined; message: string }): Error {
  return code === undefined ? new Error(message) : new FeedooError(code, message)
}
