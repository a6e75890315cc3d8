// A log whose lines a test reads.
import pino from 'pino'
import type { Logger } from '../../src/core/log.ts'

export function recordingLog(): { lines: Record<string, unknown>[]; log: Logger } {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
  const log = pino({ level: 'trace', base: null, formatters: { level: (label) => ({ level: label }) } }, { write })
  return { lines, log }
}
