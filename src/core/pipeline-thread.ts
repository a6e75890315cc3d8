// One pipeline seen from the main thread: its worker, what the worker last committed, and its restarts.
import type { Clock } from './clock.ts'
import type { PipelineConfig } from './config/types.ts'
import { type ErrorCode, FeedooError, messageOf } from './errors.ts'
import type { Handover } from './handover.ts'
import type { Logger, LogOptions } from './log.ts'
import { addStats, noStats, type PipelineStats } from './metrics.ts'
import { PipelineWorker } from './pipeline-worker.ts'
import { actionKey, PositionStore } from './positions.ts'
import type { StateOptions } from './state/file-state.ts'
import { takeOver, tellTakeover } from './takeover.ts'
import type { Report, WorkerInit } from './worker.ts'

/** Seconds before the first restart of a pipeline that failed; doubled at each further one. */
const firstRestart = 1
/** Seconds between two restarts, at most. */
const longestRestart = 60
/** Milliseconds after the shutdown time before a worker that does not end is killed. */
const killDelay = 1000

/** From the pipeline whose place another takes. */
export interface Left {
  positions: PositionStore
  handover: Handover | undefined
}

export interface ThreadOptions {
  actions: string[]
  deadLetters: string | undefined
  state: StateOptions
  /** The names of all pipelines of the configuration. */
  pipelines?: readonly string[]
  logOptions: LogOptions
  log: Logger
  clock: Clock
}

type State = 'opening' | 'running' | 'waiting' | 'leaving' | 'stopping' | 'ended'

export class PipelineThread {
  /** How much of its finite inputs is done, by place. */
  readonly progress = new Map<number, { done: number; total: number }>()
  /**
   * What its inputs last committed. A pipeline that takes the place of this one goes on from them, unless it has state
   * files: then from what those say.
   */
  readonly positions: PositionStore
  /** What its rules remembered when it made way. */
  handover: Handover | undefined
  #config: PipelineConfig
  #options: ThreadOptions
  readonly #log: Logger
  readonly #stop = new AbortController()
  #worker: PipelineWorker | undefined
  /** Settles as that of the worker does, also when that is gone. */
  #ended: Promise<void> = Promise.resolve()
  #state: State = 'opening'
  #failure: unknown
  #failing: string[] = []
  /** The counters of this worker, and those of the workers before it. */
  #stats: PipelineStats = noStats
  #earlier: PipelineStats = noStats
  #opened: (error?: unknown) => void = () => {}
  /** Comes back when `run` has opened the pipeline for the first time, with why it failed if it did. */
  readonly opened: Promise<unknown>

  constructor(config: PipelineConfig, options: ThreadOptions, left?: Left) {
    this.#config = config
    this.positions = left?.positions ?? new PositionStore()
    this.handover = left?.handover
    this.#options = options
    this.#log = options.log.child({ pipeline: config.name })
    this.opened = new Promise((resolve) => {
      this.#opened = resolve
    })
  }

  get config(): PipelineConfig {
    return this.#config
  }

  #init(): WorkerInit {
    const { actions, deadLetters, pipelines = [], logOptions } = this.#options
    const state = { ...this.#options.state, pipelines }
    const { positions, handover } = this
    this.#takeOver()
    const kept = { positions: positions.all(), handover }
    return { pipeline: this.#config, actions, state, deadLetters, log: logOptions, ...kept }
  }

  /** Starts the worker and opens what the actions open. Rejects with the action's error. */
  async open(): Promise<void> {
    const worker = new PipelineWorker(this.#init(), (report) => this.#hear(report))
    this.#worker = worker
    this.#ended = worker.ended
    this.#state = 'opening'
    await Promise.race([worker.reported('ready'), worker.ended])
    // It is as large as what the rules remember.
    this.handover = undefined
  }

  /**
   * Runs the pipeline to its end, restarting it from its last commit as often as it fails. Rejects with what went wrong
   * when it is told to stop and cannot end well, or when it would fail in the same way again.
   */
  async run(): Promise<void> {
    for (let failures = 0; ; failures++) {
      const began = this.#options.clock.now()
      let isOpen = this.#worker !== undefined
      try {
        if (!isOpen) await this.open()
        isOpen = true
        this.#opened()
        await this.#runOnce()
        return
      } catch (error) {
        this.#opened(error)
        // That it cannot be opened has been told; where a reload ends it, that is over.
        if (this.#isLeaving() && !isOpen) return
        if (this.#stop.signal.aborted || this.#state === 'leaving') throw error
        this.#failure = error
        if (isFinal(error)) throw error
        if (this.#options.clock.now() - began > longestRestart) failures = 0
        await this.#waitAfter(error, failures)
        this.#failure = undefined
        if (this.#isLeaving()) return
        if (this.#stop.signal.aborted) throw error
      } finally {
        await this.#bury()
      }
    }
  }

  /** Stops reading, drains and ends; `run` then returns. */
  stop(): void {
    this.#stop.abort()
    if (this.#state === 'running') this.#state = 'stopping'
    this.#worker?.order({ type: 'stop' })
  }

  /**
   * Ends the pipeline, but for the inputs of these names in the state: what they send waits until `goOn`. Returns false when
   * there are none, or when it came to its end: `run` then returns.
   */
  async makeWay(keep: ReadonlySet<string>): Promise<boolean> {
    if (this.#state !== 'running') {
      if (this.#state === 'waiting' || this.#state === 'opening') this.#state = 'leaving'
      this.stop()
      return false
    }
    this.#state = 'leaving'
    const worker = this.#worker
    if (worker === undefined) return false
    const madeWay = worker.reported('made-way').then(() => true)
    worker.order({ type: 'make-way', keep })
    return Promise.race([madeWay, worker.ended.then(isFalse, isFalse)])
  }

  /** Tells of a reload that leaves this pipeline as it is; a restart of it goes by that. */
  setPipelines(pipelines: readonly string[]): void {
    this.#options = { ...this.#options, pipelines }
  }

  /** Takes up another pipeline, after `makeWay`. Comes back when it is open, with why it failed if it did. */
  async goOn(config: PipelineConfig, options: ThreadOptions): Promise<unknown> {
    this.#config = config
    this.#options = options
    this.#earlier = noStats
    this.#stats = noStats
    this.progress.clear()
    this.#state = this.#stop.signal.aborted ? 'stopping' : 'running'
    const ended = this.#ended.then(
      () => undefined,
      (error: unknown) => error,
    )
    const worker = this.#worker
    if (worker === undefined) return ended
    const ready = worker.reported('ready').then(() => undefined)
    worker.order({ type: 'go-on', init: this.#init() })
    return Promise.race([ready, ended])
  }

  /** Ends a drain that takes too long: what is not safe by then is given up. */
  giveUp(): void {
    this.#worker?.order({ type: 'give-up' })
    const worker = this.#worker
    setTimeout(() => void worker?.terminate(), killDelay).unref()
  }

  /** Ends the worker at once, wherever it is. */
  async kill(): Promise<void> {
    await this.#worker?.terminate()
  }

  /** Why it has come to its end without being told to; undefined while it runs, and when all was well. */
  get failure(): unknown {
    return this.#state === 'ended' ? this.#failure : undefined
  }

  /** The counters since the pipeline was first started; the last ones known when the worker is busy or gone. */
  async stats(): Promise<PipelineStats> {
    if (this.#state === 'running' || this.#state === 'stopping') await this.#worker?.askStats()
    return { ...addStats(this.#earlier, this.#stats), up: this.#state !== 'waiting' && this.failure === undefined }
  }

  /** Why the pipeline is not well, if it is not. */
  async problems(): Promise<string[]> {
    if (this.#state === 'waiting') return [`pipeline ${this.config.name} failed: ${messageOf(this.#failure)}`]
    if (this.failure !== undefined) return [`pipeline ${this.config.name} has ended: ${messageOf(this.failure)}`]
    const { trouble } = await this.stats()
    const failing = this.#failing.map((label) => `the target of ${label} does not take events`)
    const all = trouble === undefined ? failing : [`its commits wait: ${trouble}`, ...failing]
    return all.map((problem) => `pipeline ${this.config.name}: ${problem}`)
  }

  /** For inputs without a state file; the others are told about when that is opened. */
  #takeOver(): void {
    const { actions } = this.#config
    const takeover = takeOver(actions, this.positions.last, this.positions.saved())
    this.positions.take(takeover)
    const inFiles = new Set(
      actions.flatMap(({ params }, place) => (params.db_path === undefined ? [] : [actionKey(actions, place)])),
    )
    if (this.#options.state.folder === undefined) tellTakeover(takeover, this.#log, (key) => !inFiles.has(key))
  }

  #isLeaving(): boolean {
    return this.#state === 'leaving'
  }

  async #runOnce(): Promise<void> {
    const stopping = this.#stop.signal.aborted
    this.#state = stopping ? 'stopping' : 'running'
    this.#worker?.order({ type: 'run' })
    if (stopping) this.#worker?.order({ type: 'stop' })
    await this.#ended
  }

  /** Ends the worker for good: a timer or a socket that an action forgot must not keep it. */
  async #bury(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    // Nobody answers questions any more.
    if (this.#state !== 'waiting') this.#state = 'ended'
    await worker?.terminate()
  }

  async #waitAfter(error: unknown, failures: number): Promise<void> {
    this.#state = 'waiting'
    this.#failing = []
    await this.#bury()
    this.#earlier = { ...addStats(this.#earlier, this.#stats), restarts: this.#earlier.restarts + 1, in_flight: 0 }
    this.#stats = noStats
    const longest = Math.min(longestRestart, firstRestart * 2 ** failures)
    const seconds = longest * (0.5 + Math.random() / 2)
    this.#log.error({ err: error, restart_in: Number(seconds.toFixed(1)) }, 'the pipeline failed')
    await this.#options.clock.sleep(seconds, this.#stop.signal)
  }

  #hear(report: Report): void {
    switch (report.type) {
      case 'committed':
        this.positions.save(report.input, report.positions)
        return
      case 'progress':
        this.progress.set(report.input, { done: report.done, total: report.total })
        return
      case 'stats':
        this.#stats = report.stats
        this.#failing = report.failing
        return
      case 'made-way':
        this.#stats = report.stats
        return
      case 'ended':
        this.#stats = report.stats
        this.handover = report.handover
    }
  }
}

/**
 * Started again it would end in the same way: nobody reads its output, what it was to read cannot be read, or what stands
 * in the place of its state must not be touched.
 */
const finalErrors: ReadonlySet<ErrorCode> = new Set([
  'STDOUT_CLOSED',
  'INPUT_UNREADABLE',
  'STATE_FOREIGN',
  'STATE_NEWER',
])

function isFalse(): false {
  return false
}

/** Whether it will not be tried again. */
export function isFinal(error: unknown): boolean {
  return error instanceof FeedooError && finalErrors.has(error.code)
}
