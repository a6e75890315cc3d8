// Appends events to files whose path is made of the time and the record.
import { accessSync, constants } from 'node:fs'
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { AppendFiles } from '../../core/append-files.ts'
import { createCsv } from '../../core/csv.ts'
import { FeedooError, messageOf, systemCode } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { stringifyJson } from '../../core/json.ts'
import { makeFolders } from '../../core/make-folders.ts'
import { fieldParam, outputParams } from '../../core/params.ts'
import { compilePath, pathTemplateParam } from '../../core/path-template.ts'
import { createDateReader } from '../../core/time/parse-date.ts'
import { utc } from '../../core/time/zone.ts'

/** What goes to one file in one write. */
interface Group {
  path: string
  lines: string[]
  events: Event[]
}

export const outputArchive = defineAction({
  kind: 'output',
  name: 'output_archive',
  summary: 'Appends each event as a line of JSON or CSV to a file whose path is made of its time and fields.',
  details: [
    'Folders and files are created as needed, files with the mode 0640. What stands in `path_template` before the first',
    'directive or field is fixed: no event is written outside of that folder. In what fields give, `/`, `..` and control',
    'characters become `_`; a field that an event lacks is `unknown`; long values are cut so that a name has at most 255',
    'bytes.',
    '',
    'When the disk is full, read-only or away, the events wait and are written once it is back; what a failed write left',
    'of a line is cut off. An event that names a path that cannot be written, while the fixed folder can, goes to the',
    'dead letters, and so does one whose time or record cannot be used.',
    '',
    'CSV: the first line of a new file names the fields. A missing field is an empty cell, lists and maps are JSON. Cells',
    'that a spreadsheet would take for a formula are written as they are.',
  ].join('\n'),
  params: z
    .strictObject({
      ...outputParams,
      path_template: pathTemplateParam.describe(
        'Path of the file: strftime directives stand for the time in UTC, `{field}` (a dotted path) for a value of the record, `{tag}` for the tag of the event unless the record has such a field.',
      ),
      time_key: fieldParam
        .optional()
        .describe('The field that holds the time: Unix seconds, or a date text. Without it, the time of the event.'),
      format: z.enum(['json', 'csv']).default('json').describe('One JSON record a line, or CSV with a line of names.'),
      fields: z
        .array(fieldParam)
        .min(1)
        .optional()
        .describe(
          'The columns of CSV, as dotted paths into the record, in their order. Needed for CSV, and only there.',
        ),
      max_open_files: z
        .int()
        .min(1)
        .max(100_000)
        .default(100)
        .describe('Files held open. Beyond that, the one that was written to the longest ago is closed.'),
    })
    .superRefine(({ format, fields }, context) => {
      if ((format === 'csv') === (fields !== undefined)) return
      const message =
        format === 'csv' ? 'format csv needs fields' : 'fields are for format csv; JSON has the whole record'
      context.addIssue({ code: 'custom', path: [format === 'csv' ? 'format' : 'fields'], message })
    }),
  examples: [
    {
      title: 'One file a day and source',
      yaml: '- name: output_archive\n  match: "*"\n  path_template: "{dir}/%Y-%m-%d/{source}.log"\n',
      in: [
        { tag: 'web', timestamp: 1600000000, record: { source: 'nginx', status: 200 } },
        { tag: 'web', timestamp: 1600086400, record: { source: '../../etc/x', status: 404 } },
      ],
      out: [
        { tag: 'web', timestamp: 1600000000, record: { source: 'nginx', status: 200 } },
        { tag: 'web', timestamp: 1600086400, record: { source: '../../etc/x', status: 404 } },
      ],
      writes: {
        '2020-09-13/nginx.log': '{"source":"nginx","status":200}\n',
        '2020-09-14/____etc_x.log': '{"source":"../../etc/x","status":404}\n',
      },
    },
    {
      title: 'CSV, by the time in a field',
      yaml: '- name: output_archive\n  path_template: "{dir}/%Y.csv"\n  time_key: date\n  format: csv\n  fields: [date, user.name]\n',
      in: [{ tag: 'login', timestamp: 1600000000, record: { date: '2019-05-06 07:08:09', user: { name: 'Doe, J.' } } }],
      out: [
        { tag: 'login', timestamp: 1600000000, record: { date: '2019-05-06 07:08:09', user: { name: 'Doe, J.' } } },
      ],
      writes: { '2019.csv': 'date,user.name\n2019-05-06 07:08:09,"Doe, J."\n' },
    },
  ],
  create({ path_template, time_key, fields, max_open_files }, { clock, log, intend, deadLetter }) {
    const target = compilePath(path_template)
    const timeOf = createTimeOf(time_key, () => clock.now())
    const csv = fields === undefined ? undefined : createCsv(fields)
    const line = csv?.line ?? stringifyJson
    const files = new AppendFiles({ maxOpen: max_open_files, head: csv?.head, log, intend })
    /** The batch that a write has begun, and what of it is not in its files yet: a retry writes only that. */
    let begun: readonly Event[] | undefined
    let left = new Map<string, Group>()

    function group(events: readonly Event[]): Map<string, Group> {
      const groups = new Map<string, Group>()
      let current: Group | undefined
      let i = 0
      while (i < events.length) {
        // One try around the loop instead of one an event: it goes on behind the event that threw.
        try {
          for (; i < events.length; i++) {
            const event = events[i] as Event
            const path = target.path(timeOf(event), event.record, event.tag)
            const text = line(event.record)
            if (current?.path !== path) {
              current = groups.get(path) ?? { path, lines: [], events: [] }
              groups.set(path, current)
            }
            current.lines.push(text)
            current.events.push(event)
          }
        } catch (cause) {
          deadLetter(events[i++] as Event, refusal('RECORD_UNWRITABLE', cause))
        }
      }
      return groups
    }

    function append({ path, lines, events }: Group): void {
      try {
        files.append(path, lines)
      } catch (error) {
        const refused = error instanceof FeedooError && !error.retriable
        const bad = target.hasFields && isFaultOfPath(error) && isWritable(target.fixed)
        log.debug({ path, events: events.length }, messageOf(error))
        // Here and not in the engine, which would set aside the whole batch, with what is in other files already.
        if (!refused && !bad) throw error
        for (const event of events) deadLetter(event, refusal('OUTPUT_REJECTED', error))
      }
    }

    return {
      async write(events) {
        if (begun !== events) {
          left = group(events)
          begun = events
        }
        try {
          if (left.size > 1) files.announce(left.keys())
          for (const [path, group] of left) {
            append(group)
            left.delete(path)
          }
        } catch (cause) {
          throw notWritten(left, cause)
        }
        begun = undefined
      },
      writesDuringSync: true,
      async recover(marks, others) {
        files.recover(marks, others)
      },
      mark: () => files.mark(),
      lastingMarks: () => files.lastingMarks(),
      sync: () => files.sync(),
      async close() {
        files.close()
      },
    }
  },
})

function createTimeOf(timeKey: string | undefined, now: () => number): (event: Event) => number {
  if (timeKey === undefined) return (event) => event.timestamp
  const field = compileField(timeKey)
  const read = createDateReader({ zone: utc, now })
  return ({ record }) => {
    const value = field.get(record)
    if (value === undefined) throw new FeedooError('FIELD_MISSING', `the event has no field ${timeKey}`)
    const time = read(value)
    if (Number.isNaN(time)) throw new FeedooError('DATE_UNREADABLE', `the field ${timeKey} holds no date`)
    return time
  }
}

/** Should the engine give up, it is to set aside what is in no file, and nothing else. */
function notWritten(left: ReadonlyMap<string, Group>, cause: unknown): FeedooError {
  const events = [...left.values()].flatMap((group) => group.events)
  const { code = 'OUTPUT_REJECTED', retriable = false } = cause instanceof FeedooError ? cause : {}
  return new FeedooError(code, messageOf(cause), { cause, retriable, events })
}

function refusal(code: 'RECORD_UNWRITABLE' | 'OUTPUT_REJECTED', cause: unknown): FeedooError {
  return cause instanceof FeedooError && !cause.retriable ? cause : new FeedooError(code, messageOf(cause), { cause })
}

/** Reasons that lie in one name: a folder, a pipe or another's file has it. Others come from the disk. */
const pathFaults = new Set([
  'EISDIR',
  'ENOTDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'EACCES',
  'EPERM',
  'ENXIO',
  'EINVAL',
])

function isFaultOfPath(error: unknown): boolean {
  return error instanceof FeedooError && pathFaults.has(systemCode(error.cause) ?? '')
}

function isWritable(folder: string): boolean {
  try {
    makeFolders(folder || '.')
    accessSync(folder || '.', constants.W_OK)
    return true
  } catch {
    // Then the whole target is away, and it is worth waiting.
    return false
  }
}
