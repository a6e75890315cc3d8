// The entry of a worker thread: one pipeline, told by its supervisor when to run and when to stop.
import { parentPort, workerData } from 'node:worker_threads'
import type { Json } from './action.ts'
import { systemClock } from './clock.ts'
import type { PipelineConfig } from './config/types.ts'
import { type ErrorCode, FeedooError, messageOf } from './errors.ts'
import { createLogger, type LogOptions } from './log.ts'
import { noStats, type PipelineStats } from './metrics.ts'
import { Pipeline } from './pipeline.ts'
import type { Positions } from './positions.ts'
import { loadActions } from './registry.ts'
import { type FileState, openState, type StateOptions } from './state/file-state.ts'

/** What a worker is born with. */
export interface WorkerInit {
  pipeline: PipelineConfig
  /** Modules with the actions, built-in first. */
  actions: string[]
  /** What the process knows of its inputs; what its state files know counts more. */
  positions: Positions
  state: StateOptions
  deadLetters: string | undefined
  log: LogOptions
}

/** From the supervisor. */
export type Order = { type: 'run' } | { type: 'stop' } | { type: 'give-up' } | { type: 'stats'; id: number }

/** To the supervisor. */
export type Report =
  | { type: 'ready' }
  | { type: 'committed'; input: string; positions: ReadonlyMap<string, Json> }
  | { type: 'progress'; input: number; done: number; total: number }
  | { type: 'stats'; id: number; stats: PipelineStats; failing: string[] }
  | { type: 'ended'; stats: PipelineStats; failure?: Failure }

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
  const log = createLogger(init.log)
  let pipeline: Pipeline | undefined
  const ended = (error?: unknown) => {
    const stats = pipeline?.stats() ?? noStats
    report({ type: 'ended', stats, ...(error === undefined ? {} : { failure: describe(error) }) })
  }
  port.on('message', (order: Order) => {
    if (order.type === 'stop') stop.abort()
    else if (order.type === 'give-up') giveUp.abort()
    else if (pipeline === undefined) return
    else if (order.type === 'run') pipeline.run(stop.signal, giveUp.signal).then(() => ended(), ended)
    else report({ type: 'stats', id: order.id, stats: pipeline.stats(), failing: pipeline.failingOutputs() })
  })
  let state: FileState | undefined
  try {
    const registry = await loadActions(init.actions)
    state = await openState(init.pipeline, init.state, log.child({ pipeline: init.pipeline.name }), systemClock)
    pipeline = new Pipeline(init.pipeline, {
      registry,
      clock: systemClock,
      log,
      deadLetters: init.deadLetters,
      positions: (await state?.positions(init.positions)) ?? init.positions,
      savePositions: (input, positions) => report({ type: 'committed', input, positions }),
      progress: throttled((input, done, total) => report({ type: 'progress', input, done, total })),
      ...(state === undefined ? {} : { state }),
    })
    await pipeline.open()
    report({ type: 'ready' })
  } catch (error) {
    state?.close()
    ended(error)
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
