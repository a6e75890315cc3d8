// Where events go that nothing could be done with: a file of JSON lines, or, without one, a warning a minute.
import { type FileHandle, open } from 'node:fs/promises'
import { inspect } from 'node:util'
import type { Output } from './action.ts'
import type { Clock } from './clock.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Event } from './event.ts'
import { stringifyJson } from './json.ts'
import type { Logger } from './log.ts'

/** Seconds between two warnings about the dead letters of one action when no file is configured. */
const warningInterval = 60
/** Characters of a record that are shown in a warning, or kept of one that cannot be written as JSON. */
const sampleLength = 500
/** Characters written in one go: a batch of large records need not be one string. */
const pieceLength = 1024 * 1024

/** One dead letter: what a line of the file holds. */
export function deadLetter(pipeline: string, action: string, event: Event, error: FeedooError, now: number): Event {
  return {
    tag: event.tag,
    timestamp: now,
    record: {
      time: now,
      pipeline,
      action,
      code: error.code,
      reason: error.message,
      tag: event.tag,
      timestamp: event.timestamp,
      record: event.record,
    },
  }
}

/** A dead letter as JSON; its `record` becomes `record_text`, how it begins, when it cannot be written. */
function textOf(letter: Event): string {
  try {
    return stringifyJson(letter.record)
  } catch {
    // Nested too deep, or too long for a string: a person still sees how it began.
    const { record, ...rest } = letter.record
    return stringifyJson({ ...rest, record_text: inspect(record, { depth: 4 }).slice(0, sampleLength) })
  }
}

/** Appends dead letters to a file that all pipelines share. */
export function deadLetterFile(path: string): Output {
  let file: FileHandle | undefined
  let broken = false
  return {
    async write(events) {
      try {
        file ??= await open(path, 'a', 0o640)
        // A write that failed may have left half a line: end it.
        let text = broken ? '\n' : ''
        for (const event of events) {
          text += `${textOf(event)}\n`
          if (text.length < pieceLength) continue
          await file.appendFile(text)
          text = ''
        }
        await file.appendFile(text)
        broken = false
      } catch (cause) {
        broken = true
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
