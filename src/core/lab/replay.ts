// Plays recorded events through a pipeline by their own time, and hands on the alerts that this gives.
import type { DnsAnswers } from '../action.ts'
import { VirtualClock } from '../clock.ts'
import type { PipelineConfig } from '../config/types.ts'
import { FeedooError } from '../errors.ts'
import type { Event } from '../event.ts'
import type { ActionStats } from '../metrics.ts'
import type { Registry } from '../registry.ts'
import { AlertTally } from './alert-tally.ts'
import type { History } from './history.ts'
import { type Alert, type Lab, openLab } from './lab.ts'
import { LetterTally, labNotes, lostNotes } from './notes.ts'

export interface ReplayOptions {
  config: PipelineConfig
  registry: Registry
  history: History
  /** The files, in the order in which they are read. */
  files: readonly string[]
  /** How many times faster than it was; Infinity for as fast as it goes. */
  speed: number
  /** Asks real name servers; otherwise no name exists. */
  realDns: boolean
  /** Takes an alert. When it throws, the replay ends, and throws that. */
  alert(alert: Alert): void
  /** After each batch: a good moment to write what `alert` has gathered. */
  batchDone?(): void
}

export interface Replay {
  events: number
  /** Unix seconds, as the pipeline understood them: of the earliest and the latest event; NaN without any. */
  first: number
  last: number
  tally: AlertTally
  /** The counters of the pipeline's own actions, in their order; undefined for its inputs and outputs. */
  stats: (ActionStats | undefined)[]
  /** Files that could not be read to their end, and why. */
  damaged: string[]
  notes: string[]
}

/** Seconds that a file may begin before the one in front of it ends. */
const overlap = 3600

/** Runs to the end of the files. Throws what an action throws when it opens. */
export async function replay(options: ReplayOptions): Promise<Replay> {
  const { history } = options
  const tally = new AlertTally()
  const letters = new LetterTally()
  const lost = new Set<string>()
  const questions = { count: 0 }
  const span = new Span()
  const clock = new VirtualClock()
  const damaged: string[] = []
  const notes: string[] = []
  const pace = new Pace(options.speed)
  let events = 0
  let lab: Lab | undefined
  let failure: { cause: unknown } | undefined
  const open = (start: number) => {
    clock.moveTo(start)
    return openLab({
      config: options.config,
      registry: options.registry,
      clock,
      clockFollows: true,
      ...(options.realDns ? {} : { dns: noNames(questions) }),
      alert: (alert) => {
        tally.add(alert)
        if (!alert.delivered && lost.size < 10) lost.add(alert.event.tag)
        // Inside of the pipeline a throw would be blamed on the action in hand.
        try {
          if (failure === undefined) options.alert(alert)
        } catch (cause) {
          failure = { cause }
        }
      },
      deadLetter: (letter) => letters.add(letter),
      sink: (event) => span.add(event.timestamp),
    })
  }
  try {
    for (const file of options.files) {
      const before = span.last
      span.nextFile()
      try {
        for await (const batch of history.read(file)) {
          // The clock begins with the first event: one of today would be ahead of all of them.
          lab ??= await open(batch[0]?.timestamp ?? 0)
          events += batch.length
          if (pace.isFree) await lab.send(batch)
          else await pace.play(batch, lab, span)
          if (failure !== undefined) throw failure.cause
          options.batchDone?.()
        }
      } catch (error) {
        if (!(error instanceof FeedooError) || !['INPUT_UNREADABLE', 'FILE_DAMAGED'].includes(error.code)) throw error
        damaged.push(error.message)
      }
      if (before - span.firstOfFile > overlap) notes.push(`${file} begins before the file in front of it ends`)
    }
  } finally {
    await lab?.close()
  }
  notes.push(...letters.notes(), ...(lab === undefined ? [] : labNotes(lab, options.config, options.registry, true)))
  if (questions.count > 0)
    notes.push(`${questions.count} DNS questions were answered with no such name; --dns asks them`)
  notes.push(...lostNotes(lost))
  return { events, first: span.first, last: span.last, tally, stats: lab?.stats() ?? [], damaged, notes }
}

function noNames(questions: { count: number }): DnsAnswers {
  return async () => {
    questions.count++
    return []
  }
}

/** From when to when the events are. */
class Span {
  first = Number.NaN
  last = Number.NaN
  firstOfFile = Number.NaN

  add(timestamp: number): void {
    if (!(timestamp >= this.first)) this.first = timestamp
    if (!(timestamp <= this.last)) this.last = timestamp
    if (Number.isNaN(this.firstOfFile)) this.firstOfFile = timestamp
  }

  nextFile(): void {
    this.firstOfFile = Number.NaN
  }
}

/** Plays events one by one, as far apart as they were, divided by the speed. */
class Pace {
  readonly #speed: number
  #began: { wall: number; time: number } | undefined

  constructor(speed: number) {
    this.#speed = speed
  }

  get isFree(): boolean {
    return this.#speed === Number.POSITIVE_INFINITY
  }

  async play(batch: readonly Event[], lab: Lab, span: Span): Promise<void> {
    for (const event of batch) {
      await lab.send([event])
      // By what the pipeline made of it: a line of a log has its time from there.
      await this.#wait(span.last)
    }
  }

  async #wait(time: number): Promise<void> {
    if (Number.isNaN(time)) return
    this.#began ??= { wall: performance.now(), time }
    const due = this.#began.wall + ((time - this.#began.time) / this.#speed) * 1000
    const left = due - performance.now()
    if (left > 1) await new Promise((resolve) => setTimeout(resolve, Math.min(left, longestWait)))
  }
}

/** Milliseconds. A timer takes no more. */
const longestWait = 2 ** 31 - 1
