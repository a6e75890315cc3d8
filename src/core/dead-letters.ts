// Where events go that nothing could be done with: a file of JSON lines, or, without one, a warning a minute.
import { type FileHandle, open, stat } from 'node:fs/promises'
import { inspect } from 'node:util'
import type { Output } from './action.ts'
import type { Clock } from './clock.ts'
import { FeedooError, messageOf, systemCode } from './errors.ts'
import type { Event } from './event.ts'
import { stringifyJson } from './json.ts'
import type { Logger } from './log.ts'

/** Seconds between two warnings about the dead letters of one action when no file is configured. */
const warningInterval = 60
/** Characters of a record that are shown in a warning, or kept of one that cannot be written as JSON. */
const sampleLength = 500
/** Characters written in one go: a batch of large records need not be one string. */
const pieceLength = 1024 * 1024
const newline = 10

/** One dead letter: what a line of the file holds. `nth` says which of several actions that have one label. */
export function deadLetter(
  pipeline: string,
  action: string,
  event: Event,
  error: FeedooError,
  now: number,
  nth = 1,
): Event {
  return {
    tag: event.tag,
    timestamp: now,
    record: {
      time: now,
      pipeline,
      action,
      ...(nth === 1 ? {} : { nth }),
      code: error.code,
      reason: error.message,
      tag: event.tag,
      timestamp: event.timestamp,
      record: event.record,
      ...(event.metadata === undefined ? {} : { metadata: event.metadata }),
    },
  }
}

/**
 * A dead letter that anything can hold: in the place of its `record` there is `record_text`, how that begins. A person
 * still sees what it was.
 */
export function plainLetter(letter: Event): Event {
  const { record, metadata: _, tag, timestamp, ...rest } = letter.record
  // What a plugin sends may be anything.
  const times = { timestamp: Number.isFinite(timestamp) ? timestamp : letter.timestamp }
  return {
    tag: String(letter.tag),
    timestamp: letter.timestamp,
    record: { ...rest, tag: String(tag), ...times, record_text: beginningOf(record) },
  }
}

function beginningOf(record: unknown): string {
  try {
    return inspect(record, { depth: 4, customInspect: false }).slice(0, sampleLength)
  } catch (error) {
    return `(${messageOf(error)})`
  }
}

/** A dead letter as JSON, without its record when that is nested too deep, or too long for a string. */
function textOf(letter: Event): string {
  try {
    return stringifyJson(letter.record)
  } catch {
    return stringifyJson(plainLetter(letter).record)
  }
}

/**
 * Appends dead letters to a file that all pipelines share. It may be moved away and replaced at any time, as
 * `feedoo dead-letters` and logrotate do: what may have come too late for the mover is written again, to the new one.
 */
export function deadLetterFile(path: string): Output {
  let file: FileHandle | undefined
  let broken = false
  const letGo = async () => {
    const old = file
    file = undefined
    await old?.datasync()
    await old?.close()
  }
  const write = async (to: FileHandle, events: readonly Event[]) => {
    // A write that failed, or a process that was killed, may have left half a line: end it.
    let text = broken ? '\n' : ''
    for (const event of events) {
      text += `${textOf(event)}\n`
      if (text.length < pieceLength) continue
      await to.appendFile(text)
      text = ''
    }
    await to.appendFile(text)
    broken = false
  }
  return {
    async write(events) {
      try {
        do {
          if (file !== undefined && (await isMoved(file, path))) await letGo()
          if (file === undefined) {
            // To read, too: its last byte.
            file = await open(path, 'a+', 0o640)
            broken = await endsTorn(file)
          }
          await write(file, events)
        } while (await isMoved(file, path))
      } catch (cause) {
        await file?.close().catch(() => {})
        file = undefined
        throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot write dead letters to ${path}: ${messageOf(cause)}`, {
          cause,
          retriable: true,
        })
      }
    },
    async sync() {
      await file?.datasync()
    },
    async close() {
      await file?.close()
    },
  }
}

/** Whether another file, or none, stands where this one was opened. */
async function isMoved(file: FileHandle, path: string): Promise<boolean> {
  const mine = await file.stat()
  try {
    const there = await stat(path)
    return there.ino !== mine.ino || there.dev !== mine.dev
  } catch (error) {
    return systemCode(error) === 'ENOENT'
  }
}

async function endsTorn(file: FileHandle): Promise<boolean> {
  const stats = await file.stat()
  if (!stats.isFile() || stats.size === 0) return false
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, stats.size - 1)
  return buffer[0] !== newline
}

/**
 * Says in the log, at most once a minute an action, how many dead letters there were, with one of them; and at the
 * end, how many came since.
 */
export function deadLetterWarnings(log: Logger, clock: Clock): Output {
  const actions = new Map<string, { since: number; count: number; sample: string }>()
  const warn = (action: string, { count, sample }: { count: number; sample: string }) =>
    log.warn({ action, count, sample }, 'events could not be handled; set dead_letters to keep them')
  return {
    async write(events) {
      for (const event of events) {
        const action = String(event.record.action)
        const seen = actions.get(action) ?? { since: Number.NEGATIVE_INFINITY, count: 0, sample: '' }
        actions.set(action, seen)
        seen.count++
        if (seen.count === 1) seen.sample = textOf(event).slice(0, sampleLength)
        if (clock.now() - seen.since < warningInterval) continue
        warn(action, seen)
        seen.since = clock.now()
        seen.count = 0
      }
    },
    async close() {
      for (const [action, seen] of actions) if (seen.count > 0) warn(action, seen)
    },
  }
}
