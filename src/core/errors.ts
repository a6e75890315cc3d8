// Every error feedoo raises on purpose: a stable code, a sentence a person can act on, and the cause.
import type { Event } from './event.ts'

/** The codes, and what each one means to the person who reads it. docs/guide/operating.md lists them. */
export const errorCodes = {
  CONFIG_INVALID: 'The configuration has mistakes; nothing was started.',
  PLUGIN_FAILED: 'A module named under `plugins:` could not be loaded.',
  ACTION_FAILED: 'An action threw while it handled an event.',
  PARSE_FAILED: 'A parser could not read the text of an event.',
  DATE_UNREADABLE: 'A date could not be understood.',
  FIELD_MISSING: 'An event lacks a field that the action needs.',
  LINE_TOO_LONG: 'A line was longer than max_line.',
  RECORD_UNWRITABLE: 'A record cannot be written in the format of the output.',
  INPUT_UNREADABLE: 'An input could not read everything it was to read.',
  FILE_DAMAGED: 'A compressed or encoded file could not be decoded to its end.',
  OUTPUT_UNAVAILABLE: 'The target of an output cannot be reached or written; feedoo tries again.',
  OUTPUT_REJECTED: 'The target of an output refused events for good.',
  STDOUT_CLOSED: 'Nobody reads the standard output any more.',
  LISTEN_FAILED: 'A socket could not be opened.',
  STATE_UNAVAILABLE: 'A state file cannot be opened or written.',
  STATE_LOCKED: 'Another process uses the state file.',
  STATE_FOREIGN: 'What stands where a state file is to be is something else, and was not touched.',
  STATE_NEWER: 'A state file was written by a newer version of feedoo, and was not touched.',
  STATE_DAMAGED: 'A state file was damaged: it was set aside under another name, and a new one begun.',
  PRIVILEGES_FAILED: 'The process could not change to the user of `privileges:`.',
  SHUTDOWN_TIMEOUT: 'The daemon could not write everything within shutdown_timeout.',
} as const

export type ErrorCode = keyof typeof errorCodes

export interface FeedooErrorOptions {
  cause?: unknown
  retriable?: boolean
  events?: readonly Event[]
}

export class FeedooError extends Error {
  readonly code: ErrorCode
  /** True when the same call may succeed later: the only thing that the retry code looks at. */
  readonly retriable: boolean
  // Not to be seen by whoever prints an error with all that it has.
  readonly #events: readonly Event[] | undefined

  constructor(code: ErrorCode, message: string, options: FeedooErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'FeedooError'
    this.code = code
    this.retriable = options.retriable ?? false
    this.#events = options.events
  }

  /** Of the write of an output: those of its events that are neither in the target nor set aside; without it, all. */
  get events(): readonly Event[] | undefined {
    return this.#events
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The system's code of an error (`ENOENT`, `EACCES`, ...), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
