// Runs the pipelines of a configuration, each in its worker, and changes them when the configuration changes.

import type { PipelineConfig } from './config/types.ts'
import { FeedooError, messageOf } from './errors.ts'
import { type ActionStats, type PipelineStats, sum, unread } from './metrics.ts'
import { isFinal, PipelineThread, type ThreadOptions } from './pipeline-thread.ts'
import { actionKey } from './positions.ts'
import { fingerprint } from './state/fingerprint.ts'

/** What all pipelines together have done, also those that a reload has ended. */
export interface Totals {
  events: number
  errors: number
  deadLetters: number
  /** Tables and rows that an input was to read and could not. */
  unread: number
  /** Events that each output has taken and not refused, by `pipeline/label`. */
  outputs: ReadonlyMap<string, number>
}

const nothing: Totals = { events: 0, errors: 0, deadLetters: 0, unread: 0, outputs: new Map() }
/** What a reload did, by names of pipelines. */
export interface Changes {
  changed: string[]
  added: string[]
  removed: string[]
  /** The same as before, but they had ended with an error. */
  restarted: string[]
  failed: Unopened[]
}

/** A pipeline that could not be opened. */
export interface Unopened {
  pipeline: string
  reason: string
  /** It is tried again by itself. */
  isTriedAgain: boolean
}

export class Supervisor {
  readonly #threads = new Map<string, PipelineThread>()
  /** When each thread that was started has come to its end. */
  readonly #ends = new Map<PipelineThread, Promise<void>>()
  /** What went wrong at the end of a thread, but for those whose place a reload has given to another. */
  readonly #errors = new Map<PipelineThread, unknown>()
  #options: ThreadOptions
  #stopping = false
  /** Of pipelines that a reload has ended. */
  #gone: Totals = nothing
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(options: ThreadOptions) {
    this.#options = options
  }

  /** Starts every worker and waits until each has bound its sockets. Rejects with the first failure. */
  async open(pipelines: readonly PipelineConfig[]): Promise<void> {
    this.#options = { ...this.#options, pipelines: pipelines.map(({ name }) => name) }
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
    return [...this.#errors.values()]
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
   * Goes over to another list of pipelines: those that are the same run on untouched, the others stop at a commit and
   * start from it. Inputs that are the same run on, and wait meanwhile. After `timeout` seconds what is not safe is given
   * up, and is read again where an input can.
   */
  async reload(
    pipelines: readonly PipelineConfig[],
    timeout: number,
    options: Partial<ThreadOptions> = {},
  ): Promise<Changes> {
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
    return Object.entries(await this.stats())
      .map(([name, stats]) => totalsOf(name, stats))
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
  ): Promise<Changes> {
    const before = this.#options
    const names = pipelines.map(({ name }) => name)
    this.#options = { ...before, ...options, pipelines: names }
    const sameWorker = isSame(before, this.#options, ['actions', 'state'])
    const everything = !sameWorker || !isSame(before, this.#options, ['deadLetters'])
    const wanted = new Map(pipelines.map((config) => [config.name, config]))
    const leaving: Promise<Leaving>[] = []
    const running = new Set<string>()
    const removed: string[] = []
    const restarted: string[] = []
    for (const [name, thread] of this.#threads) {
      const next = wanted.get(name)
      if (next === undefined) removed.push(name)
      const stays = next !== undefined && !everything && fingerprint(thread.config) === fingerprint(next)
      if (stays && thread.failure !== undefined) restarted.push(name)
      if (stays && thread.failure === undefined) {
        thread.setPipelines(names)
        running.add(name)
      } else leaving.push(this.#end(thread, sameWorker ? next : undefined, timeout))
    }
    // One may want the port of another.
    const left = new Map((await Promise.all(leaving)).map((leaving) => [leaving.thread.config.name, leaving]))
    const added = [...wanted.keys()].filter((name) => !running.has(name) && !left.has(name))
    const replaced = [...wanted.keys()].filter((name) => left.has(name))
    const failed = await Promise.all(
      [...replaced, ...added].map((name) => this.#begin(wanted.get(name), left.get(name))),
    )
    const changed = replaced.filter((name) => !restarted.includes(name))
    return { changed, added, removed, restarted, failed: failed.flatMap((one) => one ?? []) }
  }

  /** Starts a pipeline, in its worker where that waits for it. Comes back when it is open, with why it failed if it did. */
  async #begin(config: PipelineConfig | undefined, left: Leaving | undefined): Promise<Unopened | undefined> {
    if (config === undefined) return undefined
    let error: unknown
    if (left?.waits) {
      error = await left.thread.goOn(config, this.#options)
    } else if (!this.#stopping) {
      const thread = new PipelineThread(config, this.#options, left?.thread)
      this.#threads.set(config.name, thread)
      this.#start(thread)
      error = await thread.opened
    }
    if (error === undefined) return undefined
    return { pipeline: config.name, reason: messageOf(error), isTriedAgain: !isFinal(error) }
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
    this.#errors.set(thread, error)
  }

  /** Ends a pipeline; when there is a `next`, its worker may wait for that, with the inputs that are the same. */
  async #end(thread: PipelineThread, next: PipelineConfig | undefined, timeout: number): Promise<Leaving> {
    const { name } = thread.config
    const keep = next === undefined ? new Set<string>() : sameInputs(thread.config, next)
    const inputs = keep.size === 0 ? 'stops' : 'stops, but for inputs that are the same,'
    const told = `the pipeline changes: it ${inputs} and writes what it has read`
    this.#options.log.info({ pipeline: name }, thread.failure === undefined ? told : 'the pipeline starts again')
    const timer = setTimeout(() => thread.giveUp(), timeout * 1000)
    const waits = await thread.makeWay(keep)
    if (!waits) await this.#ends.get(thread)
    clearTimeout(timer)
    this.#gone = addTotals(this.#gone, totalsOf(name, await thread.stats()))
    if (!waits) this.#threads.delete(name)
    // It is in the log, and what comes next has a fate of its own; but nothing comes when the process ends.
    if (!this.#stopping) this.#errors.delete(thread)
    return { thread, waits }
  }
}

/** A pipeline that has made way. */
interface Leaving {
  thread: PipelineThread
  /** Its worker waits for what comes next. */
  waits: boolean
}

function totalsOf(pipeline: string, { events, actions }: PipelineStats): Totals {
  const total = (count: (action: ActionStats) => number) => actions.reduce((total, action) => total + count(action), 0)
  const outputs = new Map<string, number>()
  for (const { kind, label, do: taken, dead_letters: refused } of actions) {
    if (kind === 'output') addTo(outputs, `${pipeline}/${label}`, sum(taken) - sum(refused))
  }
  return {
    events,
    errors: total(({ errors }) => sum(errors)),
    deadLetters: total(({ dead_letters }) => sum(dead_letters)),
    unread: total(unread),
    outputs,
  }
}

function addTotals(a: Totals, b: Totals): Totals {
  const outputs = new Map(a.outputs)
  for (const [name, count] of b.outputs) addTo(outputs, name, count)
  return {
    events: a.events + b.events,
    errors: a.errors + b.errors,
    deadLetters: a.deadLetters + b.deadLetters,
    unread: a.unread + b.unread,
    outputs,
  }
}

function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count)
}

/** The names in the state of those inputs that are the same in both. */
function sameInputs(a: PipelineConfig, b: PipelineConfig): Set<string> {
  const [before, after] = [a, b].map(({ name, actions }) => {
    const inputs = actions.flatMap((action, place) => (action.name.startsWith('input_') ? [place] : []))
    const meaning = (place: number) => fingerprint({ name, actions: actions.slice(place, place + 1) })
    return new Map(inputs.map((place) => [actionKey(actions, place), meaning(place)]))
  })
  return new Set([...(before ?? [])].flatMap(([key, meaning]) => (after?.get(key) === meaning ? [key] : [])))
}

function isSame(a: ThreadOptions, b: ThreadOptions, keys: readonly ('actions' | 'state' | 'deadLetters')[]): boolean {
  return keys.every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]))
}
