// Reads the dates that logs hold, character by character: ISO 8601, RFC 2822, Apache, syslog, ctime and epoch numbers.
import { dateFromDays, daysFromDate, daysInMonth, secondsPerDay } from './calendar.ts'
import { epochFromText } from './epoch.ts'
import type { Zone } from './zone.ts'

/**
 * Unix seconds of a date; NaN for a text that has the form of a date but is none (`2023-02-30`); undefined for a form
 * that is not known here.
 */
export type DateScanner = (text: string) => number | undefined

/** Seconds that a date without a year may lie ahead of the clock: clocks differ, and so do zones. */
const aheadSeconds = secondsPerDay

/** Zones of RFC 2822 section 4.3 and what logs use besides, in hours. Other letters mean different zones to different people. */
const zoneHours = new Map([
  ['z', 0],
  ['ut', 0],
  ['utc', 0],
  ['gmt', 0],
  ['est', -5],
  ['edt', -4],
  ['cst', -6],
  ['cdt', -5],
  ['mst', -7],
  ['mdt', -6],
  ['pst', -8],
  ['pdt', -7],
  ['cet', 1],
  ['cest', 2],
])

const months = new Map(
  ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'].map((name, i) => [name, i + 1]),
)

export interface DateContext {
  /** The zone of dates that name none. */
  zone: Zone
  /** Unix seconds: what dates without a year, and relative ones, count from. */
  now(): number
}

/** Makes a scanner. It keeps its place in variables of its own, so that a date costs no object. */
export function createDateScanner({ zone, now }: DateContext): DateScanner {
  let text = ''
  let at = 0
  let year = 0
  let month = 0
  let day = 0
  /** Seconds since midnight, without the fraction; NaN when they name no time of day. */
  let clock = 0
  let fraction = 0
  /** Seconds east of UTC, or undefined when the text names no zone. */
  let offset: number | undefined

  const code = () => text.charCodeAt(at)
  const ended = () => at >= text.length

  /** Reads `min` to `max` digits; -1, and no step, when there are fewer. A further digit is left to the caller. */
  function number(min: number, max: number): number {
    let value = 0
    let end = at
    while (end < at + max && isDigit(text.charCodeAt(end))) value = value * 10 + text.charCodeAt(end++) - 48
    if (end - at < min) return -1
    at = end
    return value
  }

  function skip(char: number): boolean {
    if (code() !== char) return false
    at++
    return true
  }

  function spaces(): boolean {
    const start = at
    while (code() === space || code() === tab) at++
    return at > start
  }

  function word(): string {
    const start = at
    while (isLetter(code())) at++
    return text.slice(start, at).toLowerCase()
  }

  /** hh:mm, hh:mm:ss or hh:mm:ss.fraction; `compact` without the colons. */
  function time(compact = false): boolean {
    fraction = 0
    const hour = number(2, 2)
    if (hour === -1 || (!compact && !skip(colon))) return false
    const minute = number(2, 2)
    if (minute === -1) return false
    let second = 0
    if (compact ? isDigit(code()) : skip(colon)) {
      second = number(2, 2)
      if (second === -1) return false
      if (code() === dot || code() === comma) {
        at++
        if (!isDigit(code())) return false
        let value = 0
        let scale = 1
        for (; isDigit(code()); at++) {
          // 15 digits are exact in a double; what follows is far below its precision.
          if (scale === 1e15) continue
          value = value * 10 + code() - 48
          scale *= 10
        }
        fraction = value / scale
      }
    }
    // 60 is a leap second: it counts as the first of the next minute.
    const real = hour < 24 && minute < 60 && second <= 60
    clock = real ? hour * 3600 + minute * 60 + second : Number.NaN
    return true
  }

  /** An optional zone: Z, +hh:mm, +hhmm, +hh or a name. False when what stands there is none. */
  function zoneOffset(): boolean {
    offset = undefined
    const start = at
    spaces()
    if (ended()) return true
    const sign = code() === plus ? 1 : code() === minus ? -1 : 0
    if (sign === 0) {
      // A year may stand where a zone could: ctime.
      if (isDigit(code())) {
        at = start
        return true
      }
      const hours = zoneHours.get(word())
      if (hours === undefined) return false
      offset = hours * 3600
      return true
    }
    at++
    const hours = number(2, 2)
    if (hours === -1) return false
    skip(colon)
    const minutes = isDigit(code()) ? number(2, 2) : 0
    if (minutes === -1) return false
    offset = hours < 24 && minutes < 60 ? sign * (hours * 3600 + minutes * 60) : Number.NaN
    comment()
    return true
  }

  /** ` (CEST)`, as mail programs write behind the number. */
  function comment(): void {
    const start = at
    spaces()
    const close = code() === openParenthesis ? text.indexOf(')', at) : -1
    at = close === -1 ? start : close + 1
  }

  function finish(): number | undefined {
    if (!ended()) return undefined
    if (day < 1 || day > daysInMonth(year, month)) return Number.NaN
    const local = daysFromDate(year, month, day) * secondsPerDay + clock
    if (Number.isNaN(local)) return local
    return (offset === undefined ? zone.fromLocal(local) : local - offset) + fraction
  }

  /** A date without a time is its midnight. */
  function midnight(): number | undefined {
    clock = 0
    fraction = 0
    offset = undefined
    return finish()
  }

  /** 2023-10-05, 2023/10/05, with `T` or a space before the time. */
  function iso(): number | undefined {
    year = number(4, 4)
    const separator = code()
    at++
    month = number(2, 2)
    if (month === -1 || !skip(separator)) return undefined
    day = number(2, 2)
    if (day === -1) return undefined
    if (ended()) return midnight()
    if (!skip(space) && !skip(upperT) && !skip(lowerT)) return undefined
    return time() && zoneOffset() ? finish() : undefined
  }

  /** 20231005, 20231005123456, 20231005T123456Z. */
  function basic(): number | undefined {
    year = number(4, 4)
    month = number(2, 2)
    day = number(2, 2)
    if (ended()) return midnight()
    if (!isDigit(code()) && !skip(upperT) && !skip(space)) return undefined
    return time(true) && zoneOffset() ? finish() : undefined
  }

  /** 10/Oct/2000:13:55:36 -0700; 5 Oct 2000 13:55:36 +0000; 05-Oct-00 13:55:36 GMT. */
  function dayFirst(): number | undefined {
    day = number(1, 2)
    const separator = code()
    at++
    month = months.get(word()) ?? -1
    if (month === -1 || !skip(separator)) return undefined
    const start = at
    year = number(2, 4)
    if (at - start === 2) year += year < 50 ? 2000 : 1900
    else if (at - start !== 4) return undefined
    if (ended()) return midnight()
    if (!(separator === slash ? skip(colon) : spaces())) return undefined
    return time() && zoneOffset() ? finish() : undefined
  }

  /** Jan  5 12:34:56; Jan 5 2023 12:34:56; and ctime's Jan  5 12:34:56 2023. */
  function monthFirst(): number | undefined {
    month = months.get(word()) ?? -1
    if (month === -1 || !spaces()) return undefined
    day = number(1, 2)
    if (day === -1 || !spaces()) return undefined
    year = isDigit(text.charCodeAt(at + 2)) ? number(4, 4) : -1
    if (year !== -1 && !spaces()) return undefined
    if (!time() || !zoneOffset()) return undefined
    if (year === -1 && spaces()) year = number(4, 4)
    else if (year === -1) return ended() ? nearestPast() : undefined
    return finish()
  }

  /** The same date in the year that brings it closest before the clock. */
  function nearestPast(): number | undefined {
    const limit = now() + aheadSeconds
    const latest = dateFromDays(Math.floor((limit + zone.offsetAt(limit)) / secondsPerDay)).year
    // Eight years reach over 1900 and 2100 to a February 29; a date that is in none of them does not exist.
    for (year = latest; year >= latest - 8; year--) {
      const found = finish()
      if (found !== undefined && found <= limit) return found
    }
    return Number.NaN
  }

  return (given) => {
    text = given
    at = 0
    if (text.charCodeAt(0) === openBracket && text.endsWith(']')) text = text.slice(1, -1)
    const first = text.charCodeAt(0)
    if (isLetter(first)) {
      // A day of the week says nothing new; it is not compared with the date.
      if (isDayName(text)) {
        word()
        skip(comma)
        if (!spaces()) return undefined
      }
      return isLetter(code()) ? monthFirst() : dayFirst()
    }
    let digits = 0
    while (isDigit(text.charCodeAt(digits))) digits++
    const next = text.charCodeAt(digits)
    if (digits === 4 && (next === minus || next === slash)) return iso()
    const end = digits === text.length
    if (digits === 8 && (end || next === upperT || next === space)) return basic()
    if (digits === 14 && end) return basic()
    if (epochText.test(text)) return epochFromText(text.replace(',', '.'))
    return digits === 1 || digits === 2 ? dayFirst() : undefined
  }
}

const epochText = /^-?\d{1,20}(?:[.,]\d+)?$/

const tab = 9
const space = 32
const openParenthesis = 40
const plus = 43
const comma = 44
const minus = 45
const dot = 46
const slash = 47
const colon = 58
const upperT = 84
const openBracket = 91
const lowerT = 116

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function isLetter(code: number): boolean {
  const lower = code | 32
  return lower >= 97 && lower <= 122
}

function isDayName(text: string): boolean {
  return /^(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b/i.test(text)
}
