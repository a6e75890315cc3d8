// Structured logs on standard error: JSON lines, or plain text on a terminal. Standard output belongs to the events.
import { writeSync } from 'node:fs'
import pino from 'pino'
import { systemCode } from './errors.ts'

/** Milliseconds before a full terminal is tried again. */
const fullDelay = 5

export type Logger = pino.Logger

export interface LogOptions {
  /** How often -v was given: 0 shows information, 1 debug, 2 traces. */
  verbosity: number
  /** Plain text instead of JSON. */
  pretty: boolean
}

export function createLogger(options: LogOptions, bindings: Record<string, unknown> = {}): Logger {
  const level = options.verbosity >= 2 ? 'trace' : options.verbosity === 1 ? 'debug' : 'info'
  // Synchronous, so that the last words of a process that dies are not lost.
  const destination = options.pretty ? { write: writePretty } : pino.destination({ fd: 2, sync: true })
  return pino(
    {
      level,
      base: bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}

function writePretty(line: string): void {
  let rest = Buffer.from(prettyLine(line))
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(2, rest))
    } catch (error) {
      // A terminal that is gone must not take the daemon with it; one that is slow is waited for.
      if (systemCode(error) !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullDelay)
    }
  }
}

/** `12:30:01 WARN  pipeline web: the message (key=value ...)` */
export function prettyLine(line: string): string {
  const { level, time, msg, pipeline, action, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const where = [pipeline, action].filter((part) => part !== undefined).map(show)
  const details = Object.entries(rest).map(([key, value]) => `${key}=${show(value)}`)
  if (err instanceof Object && 'message' in err) details.push(show(err.message))
  const head = `${String(time).slice(11, 19)} ${String(level).toUpperCase().padEnd(5)} `
  return `${head}${where.length > 0 ? `${where.join('/')}: ` : ''}${show(msg)}${details.length > 0 ? ` (${details.join(', ')})` : ''}\n`
}

/** One line whatever the value holds: control characters are escaped, so that a record cannot forge a log line. */
function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
