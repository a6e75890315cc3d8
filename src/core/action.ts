// The contract of an action: one spec that is its validator, its documentation and its code.
import type { z } from 'zod'
import type { Clock } from './clock.ts'
import { FeedooError } from './errors.ts'
import type { Event } from './event.ts'
import type { Logger } from './log.ts'
import type { Memory } from './state/memory.ts'
import type { Timeline } from './timeline.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Hands one event on to the actions that stand after this one. */
export type Emit = (event: Event) => void

/**
 * Where an input stands, by a key of its own choosing (a file, a table, a chunk). Keys not named stay as they
 * are; null forgets a key.
 */
export type Position = Record<string, Json>

/** What an output has marked, by keys of its own choosing. */
export type Marks = ReadonlyMap<string, Json>

/** What other outputs have marked, by the same keys: more than one may write to the same target. */
export interface OtherMarks {
  /**
   * What outputs of this pipeline have under a key: in `recover`, at the last commit of the process before, also those that
   * the configuration no longer has; later, since the start.
   */
  here(key: string): readonly Json[]
  /**
   * What those of other pipelines have now, of the same configuration, or running, whose state is in the same folder;
   * undefined when there are none. Takes milliseconds. Throws STATE_UNAVAILABLE.
   */
  elsewhere(): MarksElsewhere | undefined
}

/** By the outputs' own keys; `state` is the path of the state file that the mark is in. */
export type MarksElsewhere = ReadonlyMap<string, readonly { mark: Json; state: string }[]>

/** What the engine gives an input for the time it runs. */
export interface InputRun {
  /**
   * Sends a batch down the pipeline. The promise comes back when these events are safe: in their outputs, or in
   * durable state together with `position`. That promise is the back-pressure: an input bounds how many it
   * leaves open. It never rejects for what happens downstream. With `urgent` somebody waits for the answer: the
   * engine then commits at once, not on its timer.
   */
  emit(events: readonly Event[], position?: Position, urgent?: boolean): Promise<void>
  /** Aborts when the daemon stops. `run` then returns soon; what it has emitted is still made safe. */
  readonly signal: AbortSignal
  /** The positions of the last commit. */
  readonly positions: ReadonlyMap<string, Json>
  /** Tells how much of a finite job is done, in any unit. */
  progress(done: number, total: number): void
}

export interface Input {
  /**
   * Binds sockets and opens what needs root: called for every action before privileges are given up. Until all have
   * come back none runs, in no pipeline. `signal` aborts when the daemon is told to stop: what waits then comes back.
   */
  open?(signal?: AbortSignal): Promise<void>
  /** Returns when there is nothing more to read, or soon after `signal` aborts. A throw restarts the pipeline. */
  run(run: InputRun): Promise<void>
  close?(): Promise<void>
}

/** A parser or a filter takes events one by one, or, when it must wait for the network, by the batch. */
export type Filter = EventFilter | BatchFilter

export interface EventFilter {
  open?(signal?: AbortSignal): Promise<void>
  /** Takes one event and emits zero to many, synchronously. It may change the event it is given until it emits it. */
  apply(event: Event, emit: Emit): void
  /**
   * A filter that acts by the clock: the pipeline time, in Unix seconds, of its next `tick`; Infinity for none. Read
   * after each `apply`, `tick` and `restore`, so cheap.
   */
  readonly due?: number
  /**
   * The clock has reached `due`, which is `now`: `context.time.now` says so too. What it emits has that timestamp.
   * Afterwards `due` must be later. Called before an event that moves the clock on is applied, and in silence.
   */
  tick?(now: number, emit: Emit): void
  /** What it remembers across restarts. */
  readonly memory?: Memory
  close?(): Promise<void>
}

export interface BatchFilter {
  open?(signal?: AbortSignal): Promise<void>
  /** `result[i]` is what stands in the place of `events[i]`. */
  applyBatch(events: readonly Event[]): Promise<readonly (readonly Event[])[]>
  /** What it remembers across restarts. */
  readonly memory?: Memory
  close?(): Promise<void>
}

export interface Output {
  open?(signal?: AbortSignal): Promise<void>
  /**
   * Called after `open` when the pipeline keeps durable state: `marks` are what `mark` and `intend` gave, as of the last
   * commit. Undoes what was written after it, because its events come again. An output without `mark` and `recover` gets
   * its events from a buffer that is part of the commit, and may get some of them twice after a crash. `others` can be asked
   * at any later time, too.
   */
  recover?(marks: Marks, others: OtherMarks): Promise<void>
  /**
   * How far the target is written: what changed of it since the last call, null for what needs no mark any more. Called
   * between two writes, in each commit, and saved with it.
   */
  mark?(): Position
  /**
   * The marks that the next start needs although everything is committed, such as those of an undoing that could not be
   * done yet: asked after the last commit, at a clean end. All others are dropped then; without this, all.
   */
  lastingMarks?(): Position
  /** They are dropped, and that is saved: what the target itself holds for them can go. At a clean end, before `close`. */
  marksDropped?(): Promise<void>
  /**
   * Resolves when the target has the events; rejects with an error whose `retriable` says whether the same call
   * may succeed later. Calls never overlap. An output never buffers or retries by itself: the engine does. `batch` names
   * the events when the pipeline keeps durable state: after a crash the same events come again under the same name.
   */
  write(events: readonly Event[], batch?: string): Promise<void>
  /** Resolves when everything written before the call would survive a power cut. Called once a commit. */
  sync?(): Promise<void>
  /** `write` may be called while a `sync` waits: events then need not pile up for as long as the disk takes. */
  readonly writesDuringSync?: boolean
  close?(): Promise<void>
}

/** What every action gets when it is created. */
export interface ActionContext {
  readonly pipeline: string
  /** The action's label in the YAML, or its name. */
  readonly label: string
  /** The wall clock, for time-outs and intervals. A rule takes its time from the events and from `time`. */
  readonly clock: Clock
  /** The pipeline's event time; its time of arrival for an action with `time: arrival`. */
  readonly time: Timeline
  /** Answers for DNS questions in place of the network: what `feedoo test` and `feedoo replay` give. */
  readonly dns?: DnsAnswers
  readonly log: Logger
  /**
   * Saves marks of an output at once, for what it is about to do: `recover` sees them even if no commit follows. Undefined
   * when the pipeline keeps no durable state.
   */
  readonly intend?: (marks: Position) => void
  /** Sets an event aside for good: counted, and written to the dead letters. */
  deadLetter(event: Event, error: FeedooError): void
  /** Counts an event this action could not handle but passed on, or threw away when `dropped`. */
  countError(event: Event, dropped?: boolean): void
  /** Adds to a counter of the action's own, for what else an administrator should know: a bound that was passed, ... */
  count(name: string, by?: number): void
}

/** Addresses for a name; an empty list when the name does not exist. Throws when there is no answer. */
export type DnsAnswers = (name: string) => Promise<readonly string[]>

export interface Example {
  title: string
  /** The actions of a pipeline, as YAML: this one, and others if it takes them to show the point. */
  yaml: string
  /** Events sent into the pipeline; none for an input. */
  in?: readonly ExampleEvent[]
  /** What comes out at its end. */
  out: readonly ExampleEvent[]
  /** Files to be there before it runs, by the path that `{dir}` in the YAML stands before. */
  files?: Readonly<Record<string, string>>
  /** Addresses by name, when the actions ask the DNS: any other name does not exist. */
  dns?: Readonly<Record<string, readonly string[]>>
  /** Files that an output leaves behind, by their path below `{dir}`. */
  writes?: Readonly<Record<string, string>>
  /** What the run prints, for output_stdout. */
  prints?: string
}

export interface ExampleEvent {
  tag: string
  /** Unix seconds; left out when the event's time is the moment of the run. */
  timestamp?: number
  record: Record<string, unknown>
}

export interface Lint {
  /** The parameter, as a path of keys. */
  path: readonly (string | number)[]
  /** Offset in the parameter's text, when the warning is about one place in it. */
  index?: number
  message: string
  /** An error keeps feedoo from starting and from reloading. A warning unless it is said. */
  severity?: 'error' | 'warning'
}

interface Spec<Kind extends string, Params extends z.ZodObject, Instance> {
  kind: Kind
  /** `<kind>_<what>`: what a user writes behind `name:`. */
  name: `${Kind}_${string}`
  /** One sentence. */
  summary: string
  /** A longer text for the reference page, in Markdown. */
  details?: string
  params: Params
  examples: readonly [Example, ...Example[]]
  /**
   * What is allowed but unwise in valid parameters, or, as an error, what they name cannot be used. For
   * `feedoo check`, start and reload alike; it may read files, and leaves no trace.
   */
  lint?(params: z.output<Params>): readonly Lint[]
  create(params: z.output<Params>, context: ActionContext): Instance
}

export type InputSpec<P extends z.ZodObject = z.ZodObject> = Spec<'input', P, Input>
export type ParserSpec<P extends z.ZodObject = z.ZodObject> = Spec<'parser', P, Filter>
export type FilterSpec<P extends z.ZodObject = z.ZodObject> = Spec<'filter', P, Filter>
export type OutputSpec<P extends z.ZodObject = z.ZodObject> = Spec<'output', P, Output>

export type ActionKind = 'input' | 'parser' | 'filter' | 'output'

/** A spec whose parameter types are no longer known: what the registry holds. */
export type ActionSpec = {
  readonly kind: ActionKind
  readonly name: string
  readonly summary: string
  readonly details?: string
  readonly params: z.ZodObject
  readonly examples: readonly Example[]
  /** Warnings, and errors, about parameters that `params` accepts. */
  readonly lint: (raw: unknown) => readonly Lint[]
  /** Validates `raw` and builds the action. Throws a ZodError for parameters that `feedoo check` would refuse. */
  readonly build: (raw: unknown, context: ActionContext) => BuiltAction
}

export type BuiltAction =
  | { kind: 'input'; action: Input; params: CommonParams }
  | { kind: 'filter'; action: Filter; params: CommonParams }
  | { kind: 'output'; action: Output; params: CommonParams }

/** Parameters the engine itself reads. */
export interface CommonParams {
  match?: string | readonly string[]
  time?: 'event' | 'arrival'
  /** The SQLite file of an action's own state. */
  db_path?: string
  buffer_size?: number
  timeout_flush?: number
  retry_delay?: number
  retry_max_delay?: number
  retry_limit?: number
  buffer_limit?: number
  when_full?: 'block' | 'drop_oldest'
}

/**
 * Declares an action. The generic parameter is inferred from `params`, so that `create` gets typed values with
 * defaults applied.
 */
export function defineAction<P extends z.ZodObject>(
  spec: InputSpec<P> | ParserSpec<P> | FilterSpec<P> | OutputSpec<P>,
): ActionSpec {
  const { kind, name, summary, details, params, examples } = spec
  // The types say so, but a plugin may be plain JavaScript. loadActions checks the rest.
  if (typeof spec.create !== 'function') throw new TypeError(`${name}: it needs create(params, context)`)
  return Object.freeze({
    kind,
    name,
    summary,
    ...(details === undefined ? {} : { details }),
    params,
    examples,
    lint: (raw: unknown) => spec.lint?.(params.parse(raw)) ?? [],
    build(raw: unknown, context: ActionContext): BuiltAction {
      const parsed = params.parse(raw)
      const common = parsed as CommonParams
      switch (spec.kind) {
        case 'input':
          return { kind: 'input', action: having(['run'], spec.create(parsed, context), name), params: common }
        case 'output':
          return { kind: 'output', action: having(['write'], spec.create(parsed, context), name), params: common }
        default: {
          const action = having(['apply', 'applyBatch'], spec.create(parsed, context), name)
          return { kind: 'filter', action, params: common }
        }
      }
    },
  })
}

/** A plugin in JavaScript may return anything: without this, its events would vanish. */
function having<Instance extends object>(methods: readonly string[], action: Instance, name: string): Instance {
  const found = methods.filter((method) => typeof Reflect.get(action, method) === 'function')
  if (found.length === 1) return action
  throw new FeedooError('CONFIG_INVALID', `${name}: create() must return an object with ${methods.join(' or ')}`)
}
