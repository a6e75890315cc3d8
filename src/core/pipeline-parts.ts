// What a pipeline is made of, and how its parts are connected.
import type { CommonParams, DnsAnswers, Emit, Json, Output } from './action.ts'
import type { Clock } from './clock.ts'
import { Committer } from './committer.ts'
import type { ActionConfig, PipelineConfig } from './config/types.ts'
import { deadLetter, deadLetterFile, deadLetterWarnings, plainLetter } from './dead-letters.ts'
import type { FeedooError } from './errors.ts'
import type { Event } from './event.ts'
import { Flow } from './flow.ts'
import type { Handover } from './handover.ts'
import type { Logger } from './log.ts'
import { countTag } from './metrics.ts'
import { makePlace, maxTags, type Place } from './place.ts'
import { actionKey } from './positions.ts'
import type { Registry } from './registry.ts'
import { RunningInput, RunningInputs } from './running-input.ts'
import { type BufferParams, Safekeeping } from './safekeeping.ts'
import type { PipelineState } from './state/pipeline-state.ts'
import { Timelines } from './timeline.ts'

/** Seconds between two commits that have a state to save, at least. */
const durablePause = 0.05
/** Bytes in the state that may wait for the target of an output, when nothing else is said. */
const bufferLimit = 256 * 1024 * 1024
const deadLetterBuffering = {
  bufferSize: 100,
  retryDelay: 0.5,
  retryMaxDelay: 30,
  copy: false,
  limit: bufferLimit,
  whenFull: 'block' as const,
}

export interface PartsOptions {
  registry: Registry
  clock: Clock
  /** File of the dead letters, or who takes them instead. */
  deadLetters?: string | Output | undefined
  savePositions?(input: string, positions: ReadonlyMap<string, Json>): void
  /** What outlives the process. */
  state?: PipelineState
  /** Answers DNS questions in place of the network. */
  dns?: DnsAnswers
  /** Sees what comes out behind the last action. For tests and `feedoo test`. */
  sink?: Emit
}

/** What the parts have of the pipeline itself. */
export interface Connections {
  log: Logger
  /** Inputs of the pipeline before this one that run on, by their names in the state. */
  inputs?: ReadonlyMap<string, RunningInput>
  handover?: Handover | undefined
  /** Aborts when the pipeline stops. */
  stopping: AbortSignal
  /** Aborts when the time to drain is over. */
  giveUp: AbortSignal
  /** Called when events can no longer become safe. */
  failed(error: unknown): void
}

export interface Parts {
  places: readonly Place[]
  inputs: RunningInputs
  flow: Flow
  committer: Committer
  safekeeping: Safekeeping
  deadLetters: DeadLetters
}

/** Where the actions of a pipeline put events that they can do nothing with. */
export interface DeadLetters {
  add(place: number, event: Event, error: FeedooError): void
  /** Whether their file does not take them right now. */
  readonly failing: boolean
  close(): Promise<void>
}

/** Throws CONFIG_INVALID or a ZodError for what `feedoo check` would refuse. */
export function makeParts(config: PipelineConfig, options: PartsOptions, connections: Connections): Parts {
  const { clock, state } = options
  const { log, handover, stopping, giveUp, failed } = connections
  const keys = config.actions.map((_, place) => actionKey(config.actions, place))
  const timelines = new Timelines(clock)
  const safekeeping = new Safekeeping({
    ...{ pipeline: config.name, keys, timelines, state, handover, log, stopping, giveUp, failed },
    savePositions: options.savePositions,
    wantCommit: () => void committer.whenSafe(-1, 0, undefined, false),
  })
  const places: Place[] = []
  const deadLetters = makeDeadLetters(config.name, places, safekeeping, { ...options, log })
  const asideAt = (place: number) => (event: Event, error: FeedooError) => deadLetters.add(place, event, error)
  const make = (action: ActionConfig, place: number, deadLetter = asideAt(place)) =>
    makePlace(action, {
      ...{ pipeline: config.name, registry: options.registry, clock, timelines, dns: options.dns, log, deadLetter },
      intend: safekeeping.intentOf(place),
    })
  const inputs = new RunningInputs()
  const made = config.actions.map((action, place) => {
    if (options.registry.get(action.name)?.kind !== 'input') return make(action, place)
    const kept = connections.inputs?.get(keys[place] ?? '')
    kept?.resetCounters()
    const input = kept ?? new RunningInput((aside) => make(action, place, aside))
    inputs.add(place, keys[place] ?? '', input)
    return input.place
  })
  places.push(...made)
  safekeeping.setPlaces(places)
  for (const [index, place] of places.entries()) {
    if (place.built.kind !== 'output') continue
    const mayChange = places.slice(index + 1).some(({ built }) => built.kind === 'filter')
    const buffering = bufferingOf(place, place.built.params, mayChange, asideAt(index), log)
    place.buffer = safekeeping.outputBuffer(index, place.built.action, buffering)
  }
  const flow = new Flow(places, { clock, log, sink: options.sink, deadLetter: deadLetters.add })
  const timeouts = places.flatMap(({ built }) => (built.kind === 'output' ? (built.params.timeout_flush ?? []) : []))
  const committer = new Committer({
    atBoundary: (cut) => flow.atBoundary(cut),
    makeSafe: (positions) => safekeeping.makeSafe(positions),
    interval: Math.min(1, ...timeouts),
    pause: state?.isDurable ? durablePause : 0,
    failed,
  })
  return { places, inputs, flow, committer, safekeeping, deadLetters }
}

/** `places` are looked at when there is a dead letter: they need not be there yet. */
function makeDeadLetters(
  pipeline: string,
  places: readonly Place[],
  safekeeping: Safekeeping,
  { deadLetters: target, clock, log }: Pick<PartsOptions, 'deadLetters' | 'clock'> & { log: Logger },
): DeadLetters {
  const output = typeof target === 'string' ? deadLetterFile(target) : (target ?? deadLetterWarnings(log, clock))
  const buffer = safekeeping.deadLetterBuffer(
    output,
    // Its own output never refuses for good.
    { ...deadLetterBuffering, log, reject: () => {}, dropped: () => {}, refused: plainLetter },
    target !== undefined,
  )
  return {
    add(place, event, error) {
      const at = places[place]
      if (at === undefined) return
      countTag(at.errors, event.tag, maxTags)
      countTag(at.deadLetters, event.tag, maxTags)
      const { label } = at.config
      const nth = 1 + places.slice(0, place).filter(({ config }) => config.label === label).length
      buffer.add(deadLetter(pipeline, label, event, error, clock.now(), nth))
    },
    get failing() {
      return buffer.failing
    },
    async close() {
      await output.close?.()
    },
  }
}

/** `mayChange`: actions behind the output may change its events. `aside` takes those that it refuses. */
function bufferingOf(
  { config, dropped, counters }: Place,
  params: CommonParams,
  mayChange: boolean,
  aside: (event: Event, error: FeedooError) => void,
  log: Logger,
): BufferParams {
  return {
    bufferSize: params.buffer_size ?? 1000,
    retryDelay: params.retry_delay ?? 0.5,
    retryMaxDelay: params.retry_max_delay ?? 30,
    retryLimit: params.retry_limit,
    limit: params.buffer_limit ?? bufferLimit,
    whenFull: params.when_full ?? 'block',
    copy: mayChange,
    log: log.child({ action: config.label }),
    reject: aside,
    refused: (event, error) => {
      aside(event, error)
      return undefined
    },
    dropped: (events) => {
      for (const event of events) countTag(dropped, event.tag, maxTags)
      counters.set('dropped_oldest', (counters.get('dropped_oldest') ?? 0) + events.length)
    },
  }
}
