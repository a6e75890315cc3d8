// Time zones by their IANA name: offsets from Intl, looked up once an hour of the data and kept.
import { z } from 'zod'
import { maxTime, minTime } from './calendar.ts'

/** Seconds that one entry of the cache covers. */
const bucketSeconds = 3600
/** Entries kept a zone and direction: more than a year of hours. */
const maxBuckets = 10_000
/** ICU knows a short name of a zone only in the English of the places that use it. */
const nameLocales = ['en-US', 'en-GB', 'en-AU', 'en-NZ', 'en-IN', 'en-ZA']

export interface Zone {
  /** The IANA name as given. */
  readonly name: string
  /** Seconds east of UTC at a moment in Unix seconds. */
  offsetAt(time: number): number
  /**
   * Unix seconds of a local time, which is given as if it were UTC. A time that occurs twice, when clocks go back,
   * is the first of the two; a time that never occurs, when clocks go forward, is moved on by the gap.
   */
  fromLocal(local: number): number
  /** `UTC`, `EST`, `CEST`; `GMT+9` for a zone that has no short English name. */
  nameAt(time: number): string
}

export const utc: Zone = { name: 'UTC', offsetAt: () => 0, fromLocal: (local) => local, nameAt: () => 'UTC' }

const zones = new Map<string, Zone>()

/** The zone of that name, made once. Throws a RangeError when there is none. Names come from the configuration only. */
export function openZone(name: string): Zone {
  if (/^(etc\/)?(utc|gmt|z)$/i.test(name)) return utc
  let zone = zones.get(name)
  if (zone === undefined) {
    zone = createZone(name)
    zones.set(name, zone)
  }
  return zone
}

/** A parameter that names a time zone; actions describe it. */
export const timezoneParam = z
  .string()
  .refine(isZone, 'there is no such time zone; write a name such as UTC or Europe/Paris')

function isZone(name: string): boolean {
  // Offsets such as +02:00 are taken by some versions of Node and not by others.
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    openZone(name)
    return true
  } catch {
    // Intl has no other way to ask.
    return false
  }
}

function createZone(name: string): Zone {
  const lookUp = intlOffset(name)
  const offsetAt = cacheSteps(lookUp)
  const localOffset = cacheSteps((local) => {
    // At most one change of the clocks lies within a day.
    const before = offsetAt(local - 86_400)
    const after = offsetAt(local + 86_400)
    if (before === after || offsetAt(local - before) === before) return before
    return offsetAt(local - after) === after ? after : before
  })
  return { name, offsetAt, fromLocal: (local) => local - localOffset(local), nameAt: cacheNames(name, offsetAt) }
}

function cacheNames(name: string, offsetAt: (time: number) => number): (time: number) => string {
  let formats: Intl.DateTimeFormat[] | undefined
  let lastHour = Number.NaN
  let lastOffset = 0
  let last = ''
  return (time) => {
    const hour = Math.floor(time / bucketSeconds)
    const offset = offsetAt(time)
    if (hour === lastHour && offset === lastOffset) return last
    // Made when first asked for: few formats show the name, and these objects are large.
    formats ??= nameLocales.map(
      (locale) => new Intl.DateTimeFormat(locale, { timeZone: name, timeZoneName: 'short', hour: 'numeric' }),
    )
    last = shortName(formats, time)
    lastHour = hour
    lastOffset = offset
    return last
  }
}

function shortName(formats: readonly Intl.DateTimeFormat[], time: number): string {
  let numeric = ''
  for (const format of formats) {
    const name = format.formatToParts(time * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    if (!/^GMT[+-]/.test(name)) return name
    numeric = name
  }
  return numeric
}

/** Asks Intl for the offset at a moment in whole Unix seconds. */
function intlOffset(name: string): (time: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'gregory',
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (time) => {
    const known = Math.min(Math.max(time, minTime), maxTime)
    let era = 'AD'
    const fields: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(known * 1000)) {
      if (type === 'era') era = value
      else fields[type] = Number(value)
    }
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields
    const local = new Date(0)
    // Date.UTC takes the years 0 to 99 for 1900 to 1999.
    local.setUTCFullYear(era.startsWith('A') ? year : 1 - year, month - 1, day)
    local.setUTCHours(hour, minute, second)
    return local.getTime() / 1000 - known
  }
}

interface Bucket {
  /** The first second at which the value is `after`. */
  at: number
  before: number
  after: number
}

/** Keeps the values of a function that rarely changes, and at most once in an hour: each hour is looked up once. */
function cacheSteps(lookUp: (time: number) => number): (time: number) => number {
  const buckets = new Map<number, Bucket>()
  let lastIndex = Number.NaN
  let last: Bucket = { at: 0, before: 0, after: 0 }
  return (time) => {
    const index = Math.floor(time / bucketSeconds)
    if (index !== lastIndex) {
      let bucket = buckets.get(index)
      if (bucket === undefined) {
        if (buckets.size >= maxBuckets) buckets.clear()
        bucket = findStep(lookUp, index * bucketSeconds)
        buckets.set(index, bucket)
      }
      last = bucket
      lastIndex = index
    }
    return time < last.at ? last.before : last.after
  }
}

function findStep(lookUp: (time: number) => number, start: number): Bucket {
  const before = lookUp(start)
  const after = lookUp(start + bucketSeconds - 1)
  if (before === after) return { at: start, before, after }
  let low = start
  let high = start + bucketSeconds - 1
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (lookUp(middle) === before) low = middle
    else high = middle
  }
  return { at: high, before, after }
}
