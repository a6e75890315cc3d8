// Random streams for alert rules, and a run of one rule over them, cut into batches and restarted where asked.
import type { ActionContext, ActionSpec, EventFilter } from '../../src/core/action.ts'
import { Alarms } from '../../src/core/alarms.ts'
import { VirtualClock } from '../../src/core/clock.ts'
import { cloneEvent, type Event } from '../../src/core/event.ts'
import { ArrivalTimeline, EventTimeline } from '../../src/core/timeline.ts'
import { silent } from './run-pipeline.ts'

/** Numbers from 0 to below 1, the same for the same seed. */
export type Random = () => number

/** mulberry32 */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Cases for `it.each` whose sentence names the test, in full. */
export function named<Case extends { what: string }>(cases: readonly Case[]): [what: string, it: Case][] {
  return cases.map((one) => [one.what, one])
}

/** Seeds in groups, so that none of the tests runs for long. */
export function seedGroups(count: number, size = 250): { first: number; seeds: number[] }[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, group) => {
    const first = group * size
    return { first, seeds: Array.from({ length: Math.min(size, count - first) }, (_, index) => first + index) }
  })
}

export function int(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1))
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T
}

/** What happens to a rule: an event, or that the clock goes on by some seconds without one. */
export type Step = Event | { silence: number }

/** Values that look alike and are different keys. */
export const keyVariants: readonly unknown[] = [
  'a',
  'b',
  'c',
  1,
  '1',
  null,
  'null',
  true,
  'true',
  '',
  0,
  [1],
  ['1'],
  '\0[1]',
  { x: 1, y: 2 },
  { x: 1, y: '2' },
  'x'.repeat(1025),
  `${'x'.repeat(1025)}y`,
  '\ud800',
  12345678901234567890n,
]

export interface StreamOptions {
  /** Steps. */
  length: number
  /** Seconds that matter to the rule: times differ by about so much, and often by exactly so much. */
  timeframe: number
  /** Values of the field `key`; undefined leaves it out. */
  keys: readonly unknown[]
  /** Share of silences. Default 0. */
  silences?: number
  /** Further fields of each record. */
  fields?(random: Random): Record<string, unknown>
}

/** Times on a grid of half seconds, so that equal ones and exact boundaries are common; late and early ones among them. */
export function randomStream(random: Random, options: StreamOptions): Step[] {
  const { length, timeframe, keys, silences = 0, fields = () => ({}) } = options
  const gaps = [0, 0, 0.5, 1, 1, 2, timeframe / 2, timeframe]
  let now = 1_700_000_000
  return Array.from({ length }, (_, index): Step => {
    if (random() < silences) return { silence: pick(random, [0.5, 1, timeframe, 2 * timeframe]) }
    const kind = random()
    let timestamp = now
    if (kind < 0.2) timestamp = now - pick(random, [0.5, 1, timeframe - 0.5, timeframe, timeframe + 0.5, 3 * timeframe])
    else if (kind < 0.95) timestamp = now += pick(random, gaps)
    else timestamp = now += timeframe * int(random, 1, 5)
    const key = pick(random, keys)
    const record: Record<string, unknown> = { n: index, ...fields(random) }
    if (key !== undefined) record.key = key
    return { tag: 'in', timestamp, record }
  })
}

export interface RuleRun {
  out: Event[]
  counters: Record<string, number>
  /** Bytes of the segments that were still needed at the end. */
  saved: number
  format: string | undefined
}

export interface RunOptions {
  /** Steps after which the state is saved. Default 1000. */
  batch?: number
  /** Steps before which the rule is saved, thrown away, and made again from what was saved. */
  restarts?: readonly number[]
  /** What the rule is made with after its restarts. Default: the same. */
  paramsAfter?: Record<string, unknown>
}

/** Runs a rule alone, with the engine's own clock and alarms; saves as the engine does, and keeps no segment too many. */
export function runRule(
  spec: ActionSpec,
  params: Record<string, unknown>,
  steps: readonly Step[],
  { batch = 1000, restarts = [], paramsAfter = params }: RunOptions = {},
): RuleRun {
  const out: Event[] = []
  const counters: Record<string, number> = {}
  const emit = (event: Event): void => void out.push(event)
  let segments: Uint8Array[] = []
  let life = start(params)

  function start(from: Record<string, unknown>) {
    const clock = new VirtualClock(steps.find((step) => 'tag' in step)?.timestamp ?? 0)
    const time = from.time === 'arrival' ? new ArrivalTimeline(clock) : new EventTimeline(clock)
    const context: ActionContext = {
      pipeline: 'test',
      label: 'rule',
      clock,
      time,
      log: silent,
      deadLetter: (_, error) => {
        throw error
      },
      countError: () => {},
      count: (name, by = 1) => {
        counters[name] = (counters[name] ?? 0) + by
      },
    }
    const built = spec.build(from, context)
    if (built.kind !== 'filter' || !('apply' in built.action)) throw new Error(`${spec.name} is no filter`)
    const filter: EventFilter = built.action
    const alarms = new Alarms(time)
    const { tick } = filter
    if (tick !== undefined) {
      const failed = (error: unknown) => {
        throw error
      }
      alarms.add({ filter: withTick(filter), emit, failed })
    }
    return { filter, alarms, time, clock }
  }

  function save(): void {
    const changes = life.filter.memory?.changes()
    if (changes !== undefined) segments = [...segments, new Uint8Array(changes.segment)].slice(-changes.keep)
  }

  function restart(): void {
    save()
    const time = life.time.save()
    for (const name of Object.keys(counters)) if (name === 'keys') delete counters[name]
    const wall = life.clock.now()
    life = start(paramsAfter)
    life.clock.moveTo(wall)
    if (time !== undefined) life.time.restore(time)
    life.filter.memory?.restore(segments)
    life.alarms.look()
  }

  life.filter.memory?.restore([])
  life.alarms.look()
  steps.forEach((step, index) => {
    if (restarts.includes(index)) restart()
    const { filter, alarms, time, clock } = life
    if ('silence' in step) {
      clock.advance(step.silence)
      alarms.moveTo(time.now + step.silence)
    } else {
      const event = cloneEvent(step)
      const anchored = time instanceof ArrivalTimeline ? time.see() : time.see(event)
      if (anchored) alarms.look()
      if (time.now >= alarms.next) alarms.ring()
      filter.apply(event, emit)
      if (filter.due !== undefined && filter.due < alarms.next) alarms.next = filter.due
    }
    if ((index + 1) % batch === 0) save()
  })
  const saved = segments.reduce((sum, { length }) => sum + length, 0)
  return { out, counters, saved, format: life.filter.memory?.format }
}

function withTick(filter: EventFilter): EventFilter & Required<Pick<EventFilter, 'tick'>> {
  return filter as EventFilter & Required<Pick<EventFilter, 'tick'>>
}

/** The alerts among what came out: their records and metadata, without the ids. */
export function alertsOf({ out }: RuleRun, tag = 'alert'): unknown[] {
  return out
    .filter((event) => event.tag === tag)
    .map(({ record, metadata: { id, ...metadata } = {} }) => ({ record, metadata }))
}

/**
 * The run of a rule in one piece, after it was found equal to runs cut into batches of 1 and 7, restarted at a random step, and
 * restarted three times. Throws when one differs.
 */
export function runEveryWay(
  random: Random,
  spec: ActionSpec,
  params: Record<string, unknown>,
  steps: readonly Step[],
): RuleRun {
  const whole = runRule(spec, params, steps)
  const expected = textOf(whole.out)
  const somewhere = () => int(random, 0, steps.length - 1)
  const ways: RunOptions[] = [
    { batch: 1 },
    { batch: 7 },
    { restarts: [somewhere()] },
    { batch: 1, restarts: [somewhere()] },
    { batch: 7, restarts: [somewhere(), somewhere(), somewhere()] },
  ]
  for (const way of ways) {
    const run = runRule(spec, params, steps, way)
    if (textOf(run.out) === expected) continue
    const at = run.out.findIndex((event, index) => textOf([event]) !== textOf(whole.out.slice(index, index + 1)))
    throw new Error(
      `${JSON.stringify(way)} differs at event ${at}: ${textOf(run.out.slice(at, at + 1))} instead of ${textOf(whole.out.slice(at, at + 1))}`,
    )
  }
  return whole
}

function textOf(events: readonly Event[]): string {
  return JSON.stringify(events, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
}
