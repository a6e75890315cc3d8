// Runs one test of a configuration's `tests:` and says what came of it.
import type { DnsAnswers } from '../action.ts'
import { VirtualClock } from '../clock.ts'
import type { PipelineConfig, TestConfig, TestStep } from '../config/types.ts'
import { messageOf } from '../errors.ts'
import { cloneEvent, cloneValue, type Event, type EventRecord, isPlainObject, setOwn } from '../event.ts'
import type { Registry } from '../registry.ts'
import { compileStrftime } from '../time/format.ts'
import { compareAlerts, type Finding } from './compare.ts'
import { type Lab, openLab } from './lab.ts'
import { LetterTally, labNotes, lostNotes } from './notes.ts'

export interface TestResult {
  test: TestConfig
  passed: boolean
  findings: Finding[]
  /** Why it could not be run to its end. */
  error?: string
  /** What a person should know, whether it passed or not. */
  notes: string[]
  /** Indices, among the pipeline's actions, of the rules that gave an alert that was expected. */
  rules: ReadonlySet<number>
  /** Wall time. */
  milliseconds: number
}

/** Seconds. */
const microsecond = 1e-6

type EventStep = Extract<TestStep, { kind: 'event' }>

/** Never rejects: what goes wrong is in the result. */
export async function runTest(test: TestConfig, config: PipelineConfig, registry: Registry): Promise<TestResult> {
  const began = performance.now()
  const alerts: { event: Event; rule: number; delivered: boolean }[] = []
  const letters = new LetterTally()
  const clock = new VirtualClock(test.start)
  let error: string | undefined
  let lab: Lab | undefined
  try {
    lab = await openLab({
      config,
      registry,
      clock,
      dns: answersFrom(test.dns),
      alert: ({ event, rule, delivered }) => alerts.push({ event: cloneEvent(event), rule, delivered }),
      deadLetter: (letter) => letters.add(letter),
    })
    try {
      for (const step of test.steps) {
        if (step.kind === 'advance') await passTime(lab, clock, clock.now() + step.seconds)
        else await sendEvents(lab, clock, test.start, step)
      }
    } finally {
      await lab.close()
    }
  } catch (cause) {
    error = messageOf(cause)
  }
  const findings = compareAlerts(
    test.alerts,
    alerts.map(({ event }) => event),
    test.start,
  )
  const passed = error === undefined && findings.every(({ kind }) => kind === 'same')
  const lost = alerts.filter(({ delivered }) => !delivered)
  const notes = [
    ...letters.notes(),
    ...(lab === undefined ? [] : labNotes(lab, config, registry, !passed)),
    ...lostNotes(new Set(lost.map(({ event }) => event.tag))),
  ]
  return {
    test,
    passed,
    findings,
    ...(error === undefined ? {} : { error }),
    notes,
    rules: new Set(passed ? alerts.map(({ rule }) => rule) : []),
    milliseconds: performance.now() - began,
  }
}

/** The clock moves on to `to`, and what is due by then is done. */
async function passTime(lab: Lab, clock: VirtualClock, to: number): Promise<void> {
  // The first look says since when nothing has come; the second, how long that is ago.
  await lab.elapse()
  if (to > clock.now()) clock.moveTo(to)
  await lab.elapse()
}

async function sendEvents(lab: Lab, clock: VirtualClock, start: number, step: EventStep): Promise<void> {
  const first = step.at === undefined ? clock.now() + (step.after ?? 0) : start + step.at
  for (let i = 0; i < step.repeat; i++) {
    const timestamp = first + i * step.every
    if (timestamp > clock.now()) {
      // Not to the very moment, which is not over before the event has come.
      await passTime(lab, clock, timestamp - microsecond)
      clock.moveTo(timestamp)
    }
    await lab.send([{ tag: step.tag, timestamp, record: recordAt(step.record, timestamp) }])
  }
}

/** A copy of the record, with the time of the event put in. */
function recordAt(record: EventRecord, timestamp: number): EventRecord {
  const copy = cloneValue(record)
  return isPlainObject(copy) ? putTimes(copy, timestamp) : {}
}

function putTimes(map: EventRecord, timestamp: number): EventRecord {
  for (const key of Object.keys(map)) setOwn(map, key, putTime(map[key], timestamp))
  return map
}

function putTime(value: unknown, timestamp: number): unknown {
  if (typeof value === 'string') {
    return value.replace(/\{time:([^{}]+)\}/g, (_, format: string) => compileStrftime(format)(timestamp))
  }
  if (Array.isArray(value)) return value.map((item) => putTime(item, timestamp))
  return isPlainObject(value) ? putTimes(value, timestamp) : value
}

function answersFrom(names: Readonly<Record<string, readonly string[]>>): DnsAnswers {
  const known = new Map(Object.entries(names).map(([name, addresses]) => [plainName(name), addresses]))
  return async (name) => known.get(plainName(name)) ?? []
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
