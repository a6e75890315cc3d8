// The entry of a worker thread: one pipeline, told by its supervisor when to run and when to stop.
import { getHeapStatistics } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import type { Json } from './action.ts'
import { systemClock } from './clock.ts'
import type { PipelineConfig } from './config/types.ts'
import { type ErrorCode, FeedooError, messageOf } from './errors.ts'
import type { Handover } from './handover.ts'
import { createLogger, type LogOptions } from './log.ts'
import { noStats, type PipelineStats } from './metrics.ts'
import { Pipeline, type PipelineOptions, type Remains } from './pipeline.ts'
import type { Positions } from './positions.ts'
import { loadActions } from './registry.ts'
import { openState, type StateOptions } from './state/file-state.ts'

/** What a worker is born with. */
export interface WorkerInit {
  pipeline: PipelineConfig
  /** Modules with the actions, built-in first. */
  actions: string[]
  /** What the process knows of its inputs; what its state files know counts more. */
  positions: Positions
  /** From the pipeline whose place this one takes, when that was in another worker. */
  handover: Handover | undefined
  state: StateOptions
  deadLetters: string | undefined
  log: LogOptions
}

/** From the supervisor. */
export type Order =
  | { type: 'run' }
  | { type: 'stop' }
  | { type: 'give-up' }
  | { type: 'stats'; id: number }
  /** To end, but for the inputs of these names in the state. It ends as a whole when there are none. */
  | { type: 'make-way'; keep: ReadonlySet<string> }
  /** To open and run another pipeline, with the inputs that were kept. */
  | { type: 'go-on'; init: WorkerInit }

/** To the supervisor. */
export type Report =
  | { type: 'ready' }
  | { type: 'committed'; input: string; positions: ReadonlyMap<string, Json> }
  | { type: 'progress'; input: number; done: number; total: number }
  | { type: 'stats'; id: number; stats: PipelineStats; failing: string[] }
  | { type: 'made-way'; stats: PipelineStats }
  | { type: 'ended'; stats: PipelineStats; failure?: Failure; handover?: Handover | undefined }

/** An error on its way between threads: a class does not survive that. */
export interface Failure {
  code: ErrorCode | undefined
  message: string
  stack: string | undefined
}

/** Milliseconds between two reports of an input's progress. */
const progressInterval = 200

if (parentPort !== null) await work(parentPort, workerData as WorkerInit)

async function work(port: NonNullable<typeof parentPort>, init: WorkerInit): Promise<void> {
  const report = (message: Report) => port.postMessage(message)
  const stop = new AbortController()
  const giveUp = new AbortController()
  let pipeline: Pipeline | undefined
  let run = () => {}
  const mayRun = new Promise<void>((resolve) => {
    run = resolve
  })
  let goOn = (_: WorkerInit) => {}
  port.on('message', (order: Order) => {
    switch (order.type) {
      case 'run':
        return run()
      case 'stop':
        return stop.abort()
      case 'give-up':
        return giveUp.abort()
      case 'make-way':
        return pipeline?.makeWay(order.keep)
      case 'go-on':
        return goOn(order.init)
      case 'stats': {
        const failing = pipeline?.failingOutputs() ?? []
        const stats = { ...(pipeline?.stats() ?? noStats), heap: getHeapStatistics().used_heap_size }
        report({ type: 'stats', id: order.id, stats, failing })
      }
    }
  })
  try {
    const registry = await loadActions(init.actions)
    const log = createLogger(init.log)
    const progress = throttled((input, done, total) => report({ type: 'progress', input, done, total }))
    const options = { registry, clock: systemClock, log, progress }
    const open = (wanted: WorkerInit, remains: Remains) =>
      openPipeline(wanted, remains, { ...options, report, signal: stop.signal })
    pipeline = await open(init, { inputs: new Map(), handover: init.handover })
    report({ type: 'ready' })
    await mayRun
    for (;;) {
      await pipeline.run(stop.signal, giveUp.signal)
      const { remains } = pipeline
      const stats = pipeline.stats()
      if (remains === undefined || remains.inputs.size === 0) {
        return report({ type: 'ended', stats, handover: remains?.handover })
      }
      pipeline = undefined
      const next = new Promise<WorkerInit>((resolve) => {
        goOn = resolve
      })
      report({ type: 'made-way', stats })
      pipeline = await open(await next, remains)
      report({ type: 'ready' })
    }
  } catch (error) {
    report({ type: 'ended', stats: pipeline?.stats() ?? noStats, failure: describe(error) })
  }
}

type OpenOptions = Pick<PipelineOptions, 'registry' | 'clock' | 'log' | 'progress'> & {
  report(message: Report): void
  /** Aborts when the pipeline is told to stop. */
  signal: AbortSignal
}

async function openPipeline(
  init: WorkerInit,
  remains: Remains,
  { report, signal, ...options }: OpenOptions,
): Promise<Pipeline> {
  const { clock, log } = options
  const { positions } = init
  const state = await openState(init.pipeline, init.state, log.child({ pipeline: init.pipeline.name }), clock)
  try {
    const pipeline = new Pipeline(init.pipeline, {
      ...options,
      deadLetters: init.deadLetters,
      positions: (await state?.positions(positions)) ?? positions,
      remains,
      savePositions: (input, positions) => report({ type: 'committed', input, positions }),
      ...(state === undefined ? {} : { state }),
    })
    await pipeline.open(signal)
    return pipeline
  } catch (error) {
    state?.close()
    throw error
  }
}

function describe(error: unknown): Failure {
  return {
    code: error instanceof FeedooError ? error.code : undefined,
    message: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  }
}

/** Lets a report through when it is the last of its job or when enough time has passed. */
function throttled(progress: (input: number, done: number, total: number) => void): typeof progress {
  const last = new Map<number, number>()
  return (input, done, total) => {
    const now = performance.now()
    if (done < total && now - (last.get(input) ?? Number.NEGATIVE_INFINITY) < progressInterval) return
    last.set(input, now)
    progress(input, done, total)
  }
}
