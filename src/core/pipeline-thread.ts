// One pipeline seen from the main thread: its worker, what the worker last committed, and its restarts.
import { EventEmitter, once } from 'node:events'
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import { moduleUrl } from './built-files.ts'
import type { Clock } from './clock.ts'
import type { PipelineConfig } from './config/types.ts'
import { type ErrorCode, FeedooError, messageOf } from './errors.ts'
import type { Handover } from './handover.ts'
import type { Logger, LogOptions } from './log.ts'
import { addStats, noStats, type PipelineStats } from './metrics.ts'
import { PositionStore } from './positions.ts'
import type { StateOptions } from './state/file-state.ts'
import type { Failure, Order, Report, WorkerInit } from './worker.ts'

/** Seconds before the first restart of a pipeline that failed; doubled at each further one. */
const firstRestart = 1
/** Seconds between two restarts, at most. */
const longestRestart = 60
/**
 * Megabytes for objects that are young in a worker, a third of them for the next ones. With V8's own bound, twice as
 * much, a worker takes 15 to 25 MB more and no less CPU.
 */
const youngMB = 24
/**
 * A heap is collected when it has grown to twice of what lived, in percent. V8 by itself waits until it is four times as
 * much: in pipelines of a hundred tables that was 40 MB more, and the CPU time was the same.
 */
v8.setFlagsFromString('--heap-growing-percent=100')
/** Milliseconds that a busy worker has to answer a question. */
const answerTime = 1000
/** From the pipeline whose place another takes. */
export interface Left {
  positions: PositionStore
  handover: Handover | undefined
}

/** Milliseconds after the shutdown time before a worker that does not end is killed. */
const killDelay = 1000

export interface ThreadOptions {
  actions: string[]
  deadLetters: string | undefined
  state: StateOptions
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
  readonly #answers = new EventEmitter()
  readonly #awaited = new Map<'ready' | 'made-way', () => void>()
  #worker: Worker | undefined
  /** Settles when the worker has come to its end, and rejects when that was a failure. */
  #ended: Promise<void> = Promise.resolve()
  #state: State = 'opening'
  #failure: unknown
  #failing: string[] = []
  /** The counters of this worker, and those of the workers before it. */
  #stats: PipelineStats = noStats
  #earlier: PipelineStats = noStats
  #questions = 0
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

  get #init(): WorkerInit {
    const { actions, deadLetters, state, logOptions } = this.#options
    const { positions, handover } = this
    const kept = { positions: positions.all(), handover }
    return { pipeline: this.#config, actions, state, deadLetters, log: logOptions, ...kept }
  }

  /** Starts the worker and opens what the actions open. Rejects with the action's error. */
  async open(): Promise<void> {
    const worker = new Worker(new URL(moduleUrl('core/worker')), {
      workerData: this.#init,
      name: this.config.name,
      resourceLimits: { maxYoungGenerationSizeMb: youngMB },
    })
    this.#worker = worker
    this.#state = 'opening'
    const ready = this.#reported('ready')
    worker.on('message', (report: Report) => this.#hear(report))
    this.#ended = new Promise<void>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.type !== 'ended') return
        if (report.failure === undefined) resolve()
        else reject(toError(report.failure))
      })
      worker.once('error', reject)
      worker.once('exit', (code) => reject(new Error(`the worker ended with code ${code}`)))
    })
    // It may fail while nobody looks: between `open` and `run`.
    this.#ended.catch(() => {})
    await Promise.race([ready, this.#ended])
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
    this.#order({ type: 'stop' })
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
    const madeWay = this.#reported('made-way').then(() => true)
    this.#order({ type: 'make-way', keep })
    return Promise.race([madeWay, this.#ended.then(isFalse, isFalse)])
  }

  /** Takes up another pipeline, after `makeWay`. Comes back when it is open, with why it failed if it did. */
  async goOn(config: PipelineConfig, options: ThreadOptions): Promise<unknown> {
    this.#config = config
    this.#options = options
    this.#earlier = noStats
    this.#stats = noStats
    this.progress.clear()
    this.#state = this.#stop.signal.aborted ? 'stopping' : 'running'
    const ready = this.#reported('ready').then(() => undefined)
    this.#order({ type: 'go-on', init: this.#init })
    return Promise.race([
      ready,
      this.#ended.then(
        () => undefined,
        (error: unknown) => error,
      ),
    ])
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

  /** Why it has come to its end without being told to; undefined while it runs, and when all was well. */
  get failure(): unknown {
    return this.#state === 'ended' ? this.#failure : undefined
  }

  /** The counters since the pipeline was first started; the last ones known when the worker is busy or gone. */
  async stats(): Promise<PipelineStats> {
    if (this.#state === 'running' || this.#state === 'stopping') {
      const id = ++this.#questions
      this.#order({ type: 'stats', id })
      // A worker deep in a batch answers late; the last answer then has to do.
      await once(this.#answers, String(id), { signal: AbortSignal.timeout(answerTime) }).catch(() => {})
    }
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

  #isLeaving(): boolean {
    return this.#state === 'leaving'
  }

  async #runOnce(): Promise<void> {
    const stopping = this.#stop.signal.aborted
    this.#state = stopping ? 'stopping' : 'running'
    this.#order({ type: 'run' })
    if (stopping) this.#order({ type: 'stop' })
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

  /** Comes back when the worker has reported this. One waits for it at a time. */
  #reported(type: 'ready' | 'made-way'): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.set(type, resolve)
    })
  }

  #order(order: Order): void {
    this.#worker?.postMessage(order)
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
        this.#answers.emit(String(report.id))
        return
      case 'ready':
        this.#awaited.get('ready')?.()
        return
      case 'made-way':
        this.#stats = report.stats
        this.#awaited.get('made-way')?.()
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

function toError({ code, message, stack }: Failure): Error {
  const error = code === undefined ? new Error(message) : new FeedooError(code, message)
  if (stack !== undefined) error.stack = stack
  return error
}
