// One worker of a pipeline, as the main thread sees it: orders go to it, reports come from it, and at some time it ends.
import { EventEmitter, once } from 'node:events'
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import { moduleUrl } from './built-files.ts'
import { FeedooError } from './errors.ts'
import type { Failure, Order, Report, WorkerInit } from './worker.ts'

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

export class PipelineWorker {
  /** Settles when the worker has come to its end, and rejects when that was a failure. */
  readonly ended: Promise<void>
  readonly #worker: Worker
  readonly #answers = new EventEmitter()
  readonly #awaited = new Map<Report['type'], () => void>()
  #questions = 0

  /** Starts it. `hear` is called with each report, before anything that waits for it goes on. */
  constructor(init: WorkerInit, hear: (report: Report) => void) {
    const worker = new Worker(new URL(moduleUrl('core/worker')), {
      workerData: init,
      name: init.pipeline.name,
      resourceLimits: { maxYoungGenerationSizeMb: youngMB },
    })
    this.#worker = worker
    worker.on('message', (report: Report) => {
      hear(report)
      if (report.type === 'stats') this.#answers.emit(String(report.id))
      else this.#awaited.get(report.type)?.()
    })
    this.ended = new Promise<void>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.type !== 'ended') return
        if (report.failure === undefined) resolve()
        else reject(toError(report.failure))
      })
      worker.once('error', reject)
      worker.once('exit', (code) => reject(new Error(`the worker ended with code ${code}`)))
    })
    // It may fail while nobody looks: between `open` and `run`.
    this.ended.catch(() => {})
  }

  order(order: Order): void {
    this.#worker.postMessage(order)
  }

  /** Comes back when the worker has reported this. One waits for it at a time. */
  reported(type: 'ready' | 'made-way'): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.set(type, resolve)
    })
  }

  /** Comes back when the worker has reported its counters anew, or when it is too busy for that. */
  async askStats(): Promise<void> {
    const id = ++this.#questions
    this.order({ type: 'stats', id })
    // A worker deep in a batch answers late; the last answer then has to do.
    await once(this.#answers, String(id), { signal: AbortSignal.timeout(answerTime) }).catch(() => {})
  }

  /** Ends it at once, wherever it is. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }
}

function toError({ code, message, stack }: Failure): Error {
  const error = code === undefined ? new Error(message) : new FeedooError(code, message)
  if (stack !== undefined) error.stack = stack
  return error
}
