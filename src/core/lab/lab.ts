// Runs a pipeline without its inputs and outputs, in this thread and by a clock that it is given: to try its rules.
import { z } from 'zod'
import { type ActionSpec, type DnsAnswers, defineAction, type Emit, type Output } from '../action.ts'
import type { VirtualClock } from '../clock.ts'
import type { ActionConfig, PipelineConfig } from '../config/types.ts'
import type { Event, EventRecord } from '../event.ts'
import type { ActionStats } from '../metrics.ts'
import { Pipeline } from '../pipeline.ts'
import { Registry } from '../registry.ts'
import { collectLog, type LoggedLine } from './lab-log.ts'

export interface LabOptions {
  config: PipelineConfig
  registry: Registry
  clock: VirtualClock
  /** In place of the network; without it, actions ask what they ask. */
  dns?: DnsAnswers
  /** Events that arrive move the clock on to their own time. */
  clockFollows?: boolean
  /** An alert where it leaves the pipeline; what it holds may change afterwards. */
  alert(alert: Alert): void
  /** An event that an action could not handle. */
  deadLetter?(letter: EventRecord): void
  /** Every event that comes out behind the last action. */
  sink?: Emit
}

export interface Alert {
  event: Event
  /** Index, among the pipeline's actions, of the rule. */
  rule: number
  /** Whether an output takes it. */
  delivered: boolean
}

export interface Lab {
  /** Sends events in at the top of the pipeline. Resolves when they are through. */
  send(events: readonly Event[]): Promise<void>
  /** Lets the rules see that the clock has moved on. */
  elapse(): Promise<void>
  /** The counters of the pipeline's own actions, in their order; undefined for its inputs and outputs. */
  stats(): (ActionStats | undefined)[]
  /** Events sent so far. */
  sent(): number
  /** Warnings and errors that actions have logged so far, each once. */
  logged(): LoggedLine[]
  close(): Promise<void>
}

/** Whether an action can alert. */
export function isRule(spec: ActionSpec | undefined): boolean {
  return spec !== undefined && spec.kind === 'filter' && ['alert', 'tag'].every((key) => key in spec.params.shape)
}

/** Opens the pipeline. Throws what its actions throw when they open. */
export async function openLab(options: LabOptions): Promise<Lab> {
  const { config, clock, dns, sink = () => {} } = options
  const watch = watchAlerts(options)
  const log = collectLog()
  /** Of each action of the pipeline that runs, its index among all. */
  const own = new Map<number, number>()
  const actions: ActionConfig[] = options.clockFollows === true ? [stand('filter_lab_clock', {})] : []
  for (const [place, action] of config.actions.entries()) {
    const spec = options.registry.get(action.name)
    if (spec?.kind === 'output') actions.push(stand('filter_lab_output', { match: action.params.match ?? '*' }))
    if (spec?.kind === 'input' || spec?.kind === 'output') continue
    own.set(actions.push(action) - 1, place)
    if (isRule(spec)) actions.push(stand('filter_lab_rule', { place }))
  }
  const pipeline = new Pipeline(
    { name: config.name, actions },
    {
      registry: new Registry([...options.registry.all(), ...watch.specs]),
      clock,
      log: log.logger,
      deadLetters: lettersTo(options.deadLetter ?? (() => {})),
      ...(dns === undefined ? {} : { dns }),
      sink: (event) => {
        watch.atEnd(event)
        sink(event)
      },
    },
  )
  await pipeline.open()
  return {
    send: (events) => pipeline.inject(events),
    elapse: () => pipeline.elapse(0),
    stats() {
      const stats: (ActionStats | undefined)[] = config.actions.map(() => undefined)
      for (const [index, action] of pipeline.stats().actions.entries()) {
        const place = own.get(index)
        if (place !== undefined) stats[place] = action
      }
      return stats
    },
    sent: () => pipeline.stats().events,
    logged: log.lines,
    // Without inputs it has nothing to wait for: it writes the last dead letters and closes.
    close: () => pipeline.run(new AbortController().signal),
  }
}

function stand(name: string, params: Record<string, unknown>): ActionConfig {
  return { name, label: name, params, at: '' }
}

/** The actions that stand behind rules and in the place of outputs, and see alerts pass. */
function watchAlerts({ alert, clock }: LabOptions) {
  /** By the metadata, which an alert keeps when an action makes another event of it. */
  const rules = new WeakMap<EventRecord, number>()
  const delivered = new WeakSet<EventRecord>()
  const clockSpec = spy('filter_lab_clock', z.strictObject({}), () => ({ timestamp }) => {
    if (timestamp > clock.now() && timestamp < endOfTime) clock.moveTo(timestamp)
  })
  const ruleSpec = spy('filter_lab_rule', z.strictObject({ place: z.number() }), ({ place }) => ({ metadata }) => {
    if (isAlert(metadata) && !rules.has(metadata)) rules.set(metadata, place)
  })
  const outputSpec = spy('filter_lab_output', z.strictObject({ match: z.unknown() }), () => (event) => {
    const { metadata } = event
    const rule = metadata === undefined ? undefined : rules.get(metadata)
    if (metadata === undefined || rule === undefined || delivered.has(metadata)) return
    delivered.add(metadata)
    alert({ event, rule, delivered: true })
  })
  return {
    specs: [clockSpec, ruleSpec, outputSpec],
    atEnd(event: Event) {
      const { metadata } = event
      const rule = metadata === undefined ? undefined : rules.get(metadata)
      if (metadata === undefined || rule === undefined || delivered.has(metadata)) return
      alert({ event, rule, delivered: false })
    },
  }
}

/** Unix seconds, the end of the year 9999. */
const endOfTime = 253_402_300_800

function isAlert(metadata: EventRecord | undefined): metadata is EventRecord {
  return metadata !== undefined && typeof metadata.id === 'string' && typeof metadata.rule === 'string'
}

/** A filter that looks at events and passes them on. */
function spy<P extends z.ZodObject>(
  name: `filter_${string}`,
  params: P,
  look: (params: z.output<P>) => (event: Event) => void,
): ActionSpec {
  return defineAction<P>({
    kind: 'filter',
    name,
    summary: 'Stands in the place of another action.',
    params,
    examples: [{ title: 'None', yaml: '', out: [] }],
    create(parsed) {
      const see = look(parsed)
      return {
        apply(event, emit) {
          see(event)
          emit(event)
        },
      }
    },
  })
}

function lettersTo(take: (letter: EventRecord) => void): Output {
  return {
    async write(letters) {
      for (const { record } of letters) take(record)
    },
  }
}
