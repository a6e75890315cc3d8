// Reads the date of an event and writes it as a number or as text.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { FeedooError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { createFail, onErrorParam } from '../../core/on-error.ts'
import { fieldParam, matchParam, noStateParam } from '../../core/params.ts'
import { compileStrftime, strftimeParam } from '../../core/time/format.ts'
import { createDateReader } from '../../core/time/parse-date.ts'
import { openZone, timezoneParam } from '../../core/time/zone.ts'

export const filterDate = defineAction({
  kind: 'filter',
  name: 'filter_date',
  summary: 'Reads a date in any usual form, and writes it as Unix seconds or in a format of your own.',
  details: [
    'It reads ISO 8601 and RFC 3339 (`2023-10-05T12:34:56.789Z`, `2023-10-05 12:34:56,789`, `20231005T123456Z`), RFC 2822,',
    "Apache's `10/Oct/2000:13:55:36 -0700`, syslog's `Jan  5 12:34:56`, ctime's `Thu Oct  5 12:34:56 2023`, and numbers, also",
    'as text: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, below 1e20 nanoseconds since 1970. (A',
    'text of 8 or 14 digits is a date, `20231005`.) What is none of these is tried as English: `5 October 2023 3:04 PM`,',
    '`10/05/2023` (the month first), `2 hours ago`; the text must be a date as a whole, with day, month and year, in at most',
    '64 characters.',
    '',
    'A syslog date gets the year that puts it nearest before the present; up to a day ahead counts as the present, because',
    'clocks differ. A second of 60 is the first of the next minute. February 30 or 25:00 are not read.',
    '',
    'In a zone with summer time, a time that occurs twice is the first of the two, and a time that is skipped is moved on by',
    'as much as the clocks were.',
    '',
    'Numbers keep fractions to about a quarter of a microsecond, as much as a double holds.',
  ].join('\n'),
  params: z.strictObject({
    match: matchParam,
    key: fieldParam.default('date').describe('The field that holds the date, as a dotted path.'),
    key_out: fieldParam.optional().describe('The field to write, as a dotted path. Without it, the one that was read.'),
    format: strftimeParam
      .optional()
      .describe(
        'Writes text in this format of strftime, such as `%Y-%m-%d %H:%M:%S`, instead of Unix seconds (a number with fractions).',
      ),
    timezone: timezoneParam
      .default('UTC')
      .describe('IANA name of the time zone of dates that name none, and of the text that is written.'),
    timestamp: z.boolean().default(false).describe('Also makes the date the time of the event.'),
    on_error: onErrorParam.describe(
      'What becomes of an event whose date is missing or unreadable: it passes on untouched, is dropped, or goes to the dead letters. It is counted in each case.',
    ),
    db_path: noStateParam,
  }),
  examples: [
    {
      title: 'To Unix seconds, and the time of the event',
      yaml: '- name: filter_date\n  match: "*"\n  key: date\n  timestamp: true\n',
      in: [{ tag: 'web', timestamp: 1700000000, record: { date: '10/Oct/2000:13:55:36 -0700', status: 200 } }],
      out: [{ tag: 'web', timestamp: 971211336, record: { date: 971211336, status: 200 } }],
    },
    {
      title: 'Milliseconds to text in local time, into another field',
      yaml: '- name: filter_date\n  key: event.created\n  key_out: day\n  format: "%d.%m.%Y %H:%M:%S %z"\n  timezone: Europe/Paris\n',
      in: [{ tag: 'app', timestamp: 1700000000, record: { event: { created: 1696509296789 } } }],
      out: [
        {
          tag: 'app',
          timestamp: 1700000000,
          record: { event: { created: 1696509296789 }, day: '05.10.2023 14:34:56 +0200' },
        },
      ],
    },
    {
      title: 'Only events with a date go on',
      yaml: '- name: filter_date\n  key: date\n  on_error: drop\n',
      in: [
        { tag: 'app', timestamp: 1700000000, record: { date: '2023-02-30' } },
        { tag: 'app', timestamp: 1700000000, record: { date: '2023-02-28' } },
      ],
      out: [{ tag: 'app', timestamp: 1700000000, record: { date: 1677542400 } }],
    },
  ],
  create({ key, key_out, format, timezone, timestamp, on_error }, context) {
    const zone = openZone(timezone)
    const read = createDateReader({ zone, now: () => context.clock.now() })
    const from = compileField(key)
    const to = key_out === undefined ? from : compileField(key_out)
    const text = format === undefined ? undefined : compileStrftime(format, { zone })
    const fail = createFail(on_error, context)
    const unread = ({ record }: Event) => unreadable(key, from.get(record))
    const blocked = () => inTheWay(to.path)

    return {
      apply(event, emit) {
        const time = read(from.get(event.record))
        if (Number.isNaN(time)) return fail(event, emit, unread)
        if (!to.set(event.record, text === undefined ? time : text(time))) return fail(event, emit, blocked)
        if (timestamp) event.timestamp = time
        emit(event)
      },
    }
  },
})

function unreadable(key: string, value: unknown): FeedooError {
  if (value === undefined) return new FeedooError('FIELD_MISSING', `the event has no field ${key}`)
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : kindOf(value)
  return new FeedooError('DATE_UNREADABLE', `the field ${key} holds no date: ${shown}`)
}

function inTheWay(path: string): FeedooError {
  return new FeedooError(
    'FIELD_MISSING',
    `the field ${path} cannot be written: a value that is no map stands in its way`,
  )
}

function kindOf(value: unknown): string {
  if (typeof value === 'object') return value === null ? 'null' : Array.isArray(value) ? 'a list' : 'a map'
  return `the ${typeof value} ${value}`
}
