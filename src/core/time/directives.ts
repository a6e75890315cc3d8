// The directives of Python's strftime, as C's standard and glibc define them.
import {
  type CalendarDate,
  dateFromDays,
  dayNames,
  dayOfYear,
  daysFromDate,
  monthNames,
  secondsPerDay,
} from './calendar.ts'
import type { Zone } from './zone.ts'

/** A moment taken apart; `second` and what stands above it are local to the zone. */
export interface Moment extends CalendarDate {
  hour: number
  minute: number
  second: number
  microsecond: number
  /** 0 is Sunday. */
  weekday: number
  /** Whole Unix seconds. */
  time: number
  zone: Zone
}

export interface Directive {
  /** Seconds for which the text stays the same, when the zone is UTC. 0: it changes within a second. */
  every: number
  text(moment: Moment): string
}

const day = secondsPerDay
const two = (value: number) => (value < 10 ? `0${value}` : `${value}`)
const blank = (value: number) => `${value}`.padStart(2)
const year = (moment: Moment) => `${moment.year}`.padStart(4, '0')
const hour12 = (moment: Moment) => moment.hour % 12 || 12
const shortDay = (moment: Moment) => dayName(moment).slice(0, 3)
const shortMonth = (moment: Moment) => monthName(moment).slice(0, 3)
const clock = (moment: Moment) => `${two(moment.hour)}:${two(moment.minute)}:${two(moment.second)}`
const usDate = (moment: Moment) => `${two(moment.month)}/${two(moment.day)}/${two(moment.year % 100)}`
const half = (moment: Moment) => (moment.hour < 12 ? 'AM' : 'PM')
const ordinal = (moment: Moment) => dayOfYear(moment.year, moment.month, moment.day)

/** By the letter behind the `%`. Names of days and months are those of the C locale. */
export const directives: ReadonlyMap<string, Directive> = new Map([
  ['a', { every: day, text: shortDay }],
  ['A', { every: day, text: dayName }],
  ['b', { every: day, text: shortMonth }],
  ['B', { every: day, text: monthName }],
  ['c', { every: 1, text: (m) => `${shortDay(m)} ${shortMonth(m)} ${blank(m.day)} ${clock(m)} ${year(m)}` }],
  ['C', { every: day, text: (m) => two(Math.floor(m.year / 100)) }],
  ['d', { every: day, text: (m) => two(m.day) }],
  ['D', { every: day, text: usDate }],
  ['e', { every: day, text: (m) => blank(m.day) }],
  ['f', { every: 0, text: (m) => `${m.microsecond}`.padStart(6, '0') }],
  ['F', { every: day, text: (m) => `${year(m)}-${two(m.month)}-${two(m.day)}` }],
  ['g', { every: day, text: (m) => two(isoWeek(m).year % 100) }],
  ['G', { every: day, text: (m) => `${isoWeek(m).year}`.padStart(4, '0') }],
  ['h', { every: day, text: shortMonth }],
  ['H', { every: 3600, text: (m) => two(m.hour) }],
  ['I', { every: 3600, text: (m) => two(hour12(m)) }],
  ['j', { every: day, text: (m) => `${ordinal(m)}`.padStart(3, '0') }],
  ['k', { every: 3600, text: (m) => blank(m.hour) }],
  ['l', { every: 3600, text: (m) => blank(hour12(m)) }],
  ['m', { every: day, text: (m) => two(m.month) }],
  ['M', { every: 60, text: (m) => two(m.minute) }],
  ['n', { every: day, text: () => '\n' }],
  ['p', { every: 3600, text: half }],
  ['P', { every: 3600, text: (m) => half(m).toLowerCase() }],
  ['r', { every: 1, text: (m) => `${two(hour12(m))}:${two(m.minute)}:${two(m.second)} ${half(m)}` }],
  ['R', { every: 60, text: (m) => `${two(m.hour)}:${two(m.minute)}` }],
  ['s', { every: 1, text: (m) => `${m.time}` }],
  ['S', { every: 1, text: (m) => two(m.second) }],
  ['t', { every: day, text: () => '\t' }],
  ['T', { every: 1, text: clock }],
  ['u', { every: day, text: (m) => `${m.weekday || 7}` }],
  ['U', { every: day, text: (m) => two(Math.floor((ordinal(m) + 6 - m.weekday) / 7)) }],
  ['V', { every: day, text: (m) => two(isoWeek(m).week) }],
  ['w', { every: day, text: (m) => `${m.weekday}` }],
  ['W', { every: day, text: (m) => two(Math.floor((ordinal(m) + 6 - ((m.weekday + 6) % 7)) / 7)) }],
  ['x', { every: day, text: usDate }],
  ['X', { every: 1, text: clock }],
  ['y', { every: day, text: (m) => two(m.year % 100) }],
  ['Y', { every: day, text: year }],
  ['z', { every: day, text: (m) => offsetText(m, '') }],
  [':z', { every: day, text: (m) => offsetText(m, ':') }],
  ['Z', { every: day, text: (m) => m.zone.nameAt(m.time) }],
  ['%', { every: day, text: () => '%' }],
])

/** What other languages call otherwise. */
export const hints: ReadonlyMap<string, string> = new Map([
  ['i', 'minutes are %M'],
  ['L', 'fractions of a second are %f (six digits)'],
  ['N', 'fractions of a second are %f (six digits)'],
  ['E', 'write the directive without E'],
  ['O', 'write the directive without O'],
  ['q', 'quarters of a year cannot be written'],
  ['Q', 'Unix seconds are %s'],
  ['v', 'write %e-%b-%Y'],
  ['+', 'date and time are %c'],
  ['K', 'hours are %H (00 to 23) or %I (01 to 12)'],
  ['J', 'the day of the year is %j'],
  ['o', 'the day of the month is %d'],
])

/** The week of ISO 8601: it begins on Monday and belongs to the year of its Thursday. */
function isoWeek({ year, month, day, weekday }: Moment): { year: number; week: number } {
  const thursday = daysFromDate(year, month, day) + 4 - (weekday || 7)
  const date = dateFromDays(thursday)
  return { year: date.year, week: Math.ceil(dayOfYear(date.year, date.month, date.day) / 7) }
}

function dayName({ weekday }: Moment): string {
  return dayNames[weekday] ?? ''
}

function monthName({ month }: Moment): string {
  return monthNames[month - 1] ?? ''
}

/** +hhmm; with seconds, as Python writes them, for the offsets of the nineteenth century. */
function offsetText({ time, zone }: Moment, colon: string): string {
  const offset = zone.offsetAt(time)
  const size = Math.abs(offset)
  const seconds = size % 60 === 0 ? '' : `${colon}${two(size % 60)}`
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}${colon}${two(Math.floor(size / 60) % 60)}${seconds}`
}
