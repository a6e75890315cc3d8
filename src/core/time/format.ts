// Times as text: compiles a format of Python's strftime, and keeps the text for as long as it stays the same.
import { z } from 'zod'
import { FeedooError } from '../errors.ts'
import { dateFromDays, maxTime, minTime, secondsPerDay } from './calendar.ts'
import { directives, hints, type Moment } from './directives.ts'
import { utc, type Zone } from './zone.ts'

/** Text of a moment in Unix seconds. Throws DATE_UNREADABLE outside of the years 1 to 9999. */
export type TimeFormatter = (time: number) => string

export interface FormatMistake {
  /** Offset of the `%` in the format. */
  index: number
  message: string
}

export interface FormatOptions {
  /** Default UTC. */
  zone?: Zone
  /** Changes what a directive gives, before it is put between the literal text. */
  each?(text: string): string
}

/** `%`, an optional `-` that leaves leading zeros and spaces out, and the directive. */
const directivePattern = /%(-?)(:z|[\s\S])?/gu

/** The first directive that does not exist, or undefined. */
export function formatMistake(format: string): FormatMistake | undefined {
  for (const { 0: found, 2: name, index } of format.matchAll(directivePattern)) {
    if (name === undefined) {
      return { index, message: `nothing follows the ${found}; a percent sign is written %%` }
    }
    if (directives.has(name)) continue
    return { index, message: `there is no directive ${found}; ${hints.get(name) ?? 'a percent sign is written %%'}` }
  }
  return undefined
}

/** A format of strftime: a parameter that actions describe. */
export const strftimeParam = z
  .string()
  .min(1)
  .superRefine((value, context) => {
    const mistake = formatMistake(value)
    if (mistake !== undefined) {
      context.addIssue({ code: 'custom', message: mistake.message, params: { index: mistake.index } })
    }
  })

/**
 * Compiles a format. The text is kept for as long as it stays the same (a day, an hour, a minute, a second): a further
 * moment within costs a comparison. Fractions are rounded to microseconds. A directive that does not exist stays as
 * it stands.
 */
export function compileStrftime(format: string, { zone = utc, each }: FormatOptions = {}): TimeFormatter {
  const parts = parseFormat(format, each)
  const every = formatStep(format, zone)
  let from = Number.NaN
  let last = ''
  return (time) => {
    const moment = roundMicroseconds(time)
    if (moment >= from && moment < from + every) return last
    last = render(parts, takeApart(moment, zone))
    from = every === 0 ? Number.NaN : Math.floor(moment / every) * every
    return last
  }
}

/** Seconds for which the text of a format stays the same, counted from a multiple of them; 0: it changes within a second. */
export function formatStep(format: string, zone: Zone = utc): number {
  let step = secondsPerDay
  for (const { 2: name = '' } of format.matchAll(directivePattern)) {
    step = Math.min(step, directives.get(name)?.every ?? secondsPerDay)
  }
  // The hours and days of other zones may begin at any second of UTC.
  return zone === utc ? step : Math.min(step, 1)
}

type Part = string | ((moment: Moment) => string)

function parseFormat(format: string, each: FormatOptions['each']): Part[] {
  const parts: Part[] = []
  let end = 0
  for (const { 0: found, 1: flag, 2: name = '', index } of format.matchAll(directivePattern)) {
    const directive = directives.get(name)
    if (directive === undefined) continue
    if (index > end) parts.push(format.slice(end, index))
    end = index + found.length
    const plain = directive.text
    const text = flag === '-' ? (moment: Moment) => plain(moment).replace(/^[0 ]+(?=\d)/, '') : plain
    parts.push(each === undefined ? text : (moment) => each(text(moment)))
  }
  if (end < format.length) parts.push(format.slice(end))
  return parts
}

function render(parts: readonly Part[], moment: Moment): string {
  let text = ''
  for (const part of parts) text += typeof part === 'string' ? part : part(moment)
  return text
}

/** As Python does it when it makes a date of a number: without this, .789 would be shown as .788999. */
export function roundMicroseconds(time: number): number {
  return Number.isInteger(time) ? time : Math.round(time * 1e6) / 1e6
}

function takeApart(rounded: number, zone: Zone): Moment {
  if (!(rounded >= minTime && rounded < maxTime)) {
    throw new FeedooError('DATE_UNREADABLE', `the time ${rounded} is outside of the years 1 to 9999`)
  }
  const time = Math.floor(rounded)
  const local = time + zone.offsetAt(time)
  const days = Math.floor(local / secondsPerDay)
  const rest = local - days * secondsPerDay
  const { year, month, day } = dateFromDays(days)
  return {
    year,
    month,
    day,
    hour: Math.floor(rest / 3600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
    microsecond: Math.round(rounded * 1e6) - time * 1e6,
    weekday: (((days + 4) % 7) + 7) % 7,
    time,
    zone,
  }
}
