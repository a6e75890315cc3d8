// A date in whatever form a record holds it, as Unix seconds.
import { createRequire } from 'node:module'
import type { Chrono } from 'chrono-node/en'
import { daysFromDate, maxTime, minTime, secondsPerDay } from './calendar.ts'
import { epochFromNumber } from './epoch.ts'
import { createDateScanner, type DateContext } from './scan-date.ts'

/** Characters of a text that is looked at; nobody writes a longer date. */
const maxLength = 256
/** Characters that chrono is given: there are texts of 64 that cost it a millisecond, and texts of 128 that cost it 60. */
const maxChronoLength = 64

/** Unix seconds with their fraction, of the years 1 to 9999; NaN for what is no date. */
export type DateReader = (value: unknown) => number

/**
 * Makes a reader of dates. It takes epoch numbers (seconds below 1e11, then milliseconds below 1e14, microseconds below
 * 1e17, nanoseconds), as numbers or text, the forms that logs use, and what chrono-node reads in English. A date that
 * cannot be, as February 30, is not read as another.
 */
export function createDateReader(context: DateContext): DateReader {
  const scan = createDateScanner(context)
  const chrono = loadChrono()
  return (value) => {
    let time: number
    if (typeof value === 'string') {
      if (value.length > maxLength) return Number.NaN
      const text = value.trim()
      time = scan(text) ?? readProse(text, chrono, context)
    } else if (typeof value === 'number' || typeof value === 'bigint') {
      time = epochFromNumber(value)
    } else if (value instanceof Date) {
      time = value.getTime() / 1000
    } else {
      return Number.NaN
    }
    return time >= minTime && time < maxTime ? time : Number.NaN
  }
}

/** Loaded when a reader is made: it takes longer to load than most pipelines without dates take to start. */
function loadChrono(): Chrono {
  const { strict } = createRequire(import.meta.url)('chrono-node/en') as { strict: Chrono }
  return strict
}

/** What people write: `5 October 2023, 3:04 PM`, `10/05/2023` (month first), `2 hours ago`. */
function readProse(text: string, chrono: Chrono, { zone, now }: DateContext): number {
  // Without a digit there is no date that strict chrono takes.
  if (text.length > maxChronoLength || !/\d/.test(text)) return Number.NaN
  const clock = now()
  const reference = { instant: new Date(clock * 1000), timezone: zone.offsetAt(clock) / 60 }
  const [found] = chrono.parse(text, reference, { forwardDate: false })
  // It finds dates inside of prose: here the text has to be the date, whole, and not a span of time.
  if (found === undefined || found.text.length !== text.length || found.end) return Number.NaN
  const { start } = found
  if (!start.isCertain('day') || !start.isCertain('month') || !start.isCertain('year')) return Number.NaN
  const get = (part: Parameters<typeof start.get>[0]) => start.get(part) ?? 0
  const offset = start.get('timezoneOffset')
  // A day without a time is its midnight, as in the other forms; `2 days ago` keeps the time of the clock.
  const timed = start.isCertain('hour') || offset !== null
  const seconds = timed ? get('hour') * 3600 + get('minute') * 60 + get('second') + get('millisecond') / 1000 : 0
  const local = daysFromDate(get('year'), get('month'), get('day')) * secondsPerDay + seconds
  return offset === null ? zone.fromLocal(local) : local - offset * 60
}
