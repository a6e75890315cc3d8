// The Gregorian calendar in plain numbers: dates to days and back, without a Date object for each.

/** Unix seconds of the year 1: nothing before it is taken for a date. */
export const minTime = -62_135_596_800
/** Unix seconds of the year 10000: nothing from there on is taken for a date. */
export const maxTime = 253_402_300_800

export const secondsPerDay = 86_400

export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

export const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
/** Days of a common year before each month. */
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

export interface CalendarDate {
  year: number
  /** 1 to 12. */
  month: number
  /** 1 to 31. */
  day: number
}

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** Days in a month, 1 to 12; 0 for a month that does not exist. */
export function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (monthLengths[month - 1] ?? 0)
}

/** 1 for January 1. */
export function dayOfYear(year: number, month: number, day: number): number {
  const leap = month > 2 && isLeapYear(year) ? 1 : 0
  return (daysBefore[month - 1] ?? 0) + leap + day
}

/** Days from 1970-01-01 to a date of the years 1 to 9999. */
export function daysFromDate(year: number, month: number, day: number): number {
  const past = year - 1
  const leaps = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400)
  return past * 365 + leaps - 719_163 + dayOfYear(year, month, day)
}

/** The date that stands `days` after 1970-01-01. The years begin in March, so that the leap day comes last. */
export function dateFromDays(days: number): CalendarDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const day = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * day + 2) / 153)
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: day - Math.floor((153 * marchMonth + 2) / 5) + 1,
  }
}
