// One action in its place in a pipeline: what it was built from, its counters, its context, its route.
import type { ActionContext, ActionKind, BuiltAction, DnsAnswers, Position } from './action.ts'
import type { Clock } from './clock.ts'
import type { ActionConfig } from './config/types.ts'
import { FeedooError } from './errors.ts'
import type { Event } from './event.ts'
import type { Logger } from './log.ts'
import { type ActionStats, countTag } from './metrics.ts'
import type { Registry } from './registry.ts'
import type { Router, Stop } from './router.ts'
import { compileMatch } from './tag.ts'
import type { ArrivalTimeline, EventTimeline, Timelines } from './timeline.ts'

/** Tags whose route and counters are kept by name. */
export const maxTags = 1000

export interface Place {
  readonly config: ActionConfig
  readonly kind: ActionKind
  readonly built: BuiltAction
  /** What the action takes for the time. */
  readonly time: EventTimeline | ArrivalTimeline
  /** In front of an output. */
  buffer?: EventBuffer
  readonly errors: Map<string, number>
  readonly dropped: Map<string, number>
  readonly deadLetters: Map<string, number>
  /** What else the action counts. */
  readonly counters: Map<string, number>
}

/** What the pipeline sees of the buffer in front of an output. */
export interface EventBuffer {
  add(event: Event): void
  /** Whether the target does not take events right now. */
  readonly failing: boolean
  readonly retries: number
}

export interface PlaceOptions {
  pipeline: string
  registry: Registry
  clock: Clock
  timelines: Timelines
  dns?: DnsAnswers | undefined
  log: Logger
  intend: ((marks: Position) => void) | undefined
  deadLetter(event: Event, error: FeedooError): void
}

/** Builds an action. Throws CONFIG_INVALID or a ZodError for what `feedoo check` would refuse. */
export function makePlace(config: ActionConfig, options: PlaceOptions): Place {
  const spec = options.registry.get(config.name)
  if (spec === undefined) throw new FeedooError('CONFIG_INVALID', `there is no action named ${config.name}`)
  const errors = new Map<string, number>()
  const dropped = new Map<string, number>()
  const counters = new Map<string, number>()
  const time = options.timelines[config.params.time === 'arrival' ? 'arrival' : 'event']
  const context: ActionContext = {
    pipeline: options.pipeline,
    label: config.label,
    clock: options.clock,
    time,
    ...(options.dns === undefined ? {} : { dns: options.dns }),
    log: options.log.child({ action: config.label }),
    ...(options.intend === undefined ? {} : { intend: options.intend }),
    deadLetter: options.deadLetter,
    countError(event, isDropped = false) {
      countTag(errors, event.tag, maxTags)
      if (isDropped) countTag(dropped, event.tag, maxTags)
    },
    count: (name, by = 1) => counters.set(name, (counters.get(name) ?? 0) + by),
  }
  const built = spec.build(config.params, context)
  if (waits(built)) options.timelines.behind()
  return { config, kind: spec.kind, built, time, errors, dropped, deadLetters: new Map(), counters }
}

/** What the router has to know of a place. */
export function stopOf({ built }: Place): Stop {
  if (built.kind === 'input') return { takes: () => false, always: false }
  return {
    takes: compileMatch(built.params.match ?? '*'),
    always: waits(built) || (built.kind === 'filter' && 'tick' in built.action && built.action.tick !== undefined),
  }
}

/** Whether events wait at the action. */
function waits(built: BuiltAction): boolean {
  return built.kind === 'filter' && 'applyBatch' in built.action
}

/** The counters of the action at a place. */
export function statsOf(place: Place, index: number, router: Router): ActionStats {
  return {
    name: place.config.name,
    label: place.config.label,
    kind: place.kind,
    ...router.counts(index),
    errors: Object.fromEntries(place.errors),
    dropped: Object.fromEntries(place.dropped),
    dead_letters: Object.fromEntries(place.deadLetters),
    retries: place.buffer?.retries ?? 0,
    counters: Object.fromEntries(place.counters),
  }
}
