// Structured logs on standard error: JSON lines, or plain text on a terminal. Standard output belongs to the events.
import { writeSync } from 'node:fs'
import pino from 'pino'
import { systemCode } from './errors.ts'

/** Milliseconds before a full terminal or pipe is tried again. */
const fullDelay = 5
const newline = 10

export type Logger = pino.Logger

export interface LogOptions {
  /** How often -v was given: 0 shows information, 1 debug, 2 traces. */
  verbosity: number
  /** Plain text instead of JSON. */
  pretty: boolean
}

export function createLogger(options: LogOptions, bindings: Record<string, unknown> = {}): Logger {
  const level = options.verbosity >= 2 ? 'trace' : options.verbosity === 1 ? 'debug' : 'info'
  const destination = lineWriter(2, options.pretty ? prettyLine : (line) => line)
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

/**
 * Writes JSON lines to a descriptor, as `show` makes them. A log that cannot be written must not take the daemon with
 * it: the line is dropped, and once there is room again, a line says how many were. Synchronous, so that the last words
 * of a process that dies are not lost.
 */
export function lineWriter(fd: number, show: (line: string) => string): { write(line: string): void } {
  let dropped = 0
  let torn = false
  const put = (line: string): boolean => {
    const bytes = Buffer.from(`${torn ? '\n' : ''}${show(line)}`)
    const written = writeAll(fd, bytes)
    if (written > 0) torn = bytes[written - 1] !== newline
    return written === bytes.length
  }
  return {
    write(line) {
      if (dropped > 0 && put(droppedLine(dropped))) dropped = 0
      if (dropped > 0 || !put(line)) dropped++
    },
  }
}

/** Bytes that could be written. One that is full for the moment is waited for. */
function writeAll(fd: number, bytes: Buffer): number {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') break
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullDelay)
    }
  }
  return written
}

function droppedLine(dropped: number): string {
  const msg = 'log lines could not be written and were dropped'
  return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), dropped, msg })}\n`
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
