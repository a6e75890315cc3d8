// What actions log while their rules are tried: each line once, however often the virtual clock lets them say it.
import pino from 'pino'
import type { Logger } from '../log.ts'

/** Different lines that are kept. */
const maxLines = 20

export interface LoggedLine {
  action: string | undefined
  message: string
  times: number
}

export function collectLog(): { logger: Logger; lines(): LoggedLine[] } {
  const lines = new Map<string, LoggedLine>()
  const write = (text: string) => {
    const { action, msg, err } = JSON.parse(text) as { action?: string; msg?: string; err?: { message?: string } }
    const message = [msg, err?.message].filter((part) => part !== undefined).join(': ')
    const key = `${action}\n${message}`
    const line = lines.get(key)
    if (line !== undefined) line.times++
    else if (lines.size < maxLines) lines.set(key, { action, message, times: 1 })
  }
  const logger = pino({ level: 'warn', base: null, timestamp: false }, { write })
  return { logger, lines: () => [...lines.values()] }
}
