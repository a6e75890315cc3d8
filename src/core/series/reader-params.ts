// The parameters that the inputs share which read a database as time series.
import { z } from 'zod'
import { globParam, tagParam } from '../params.ts'
import { compileMatch } from '../tag.ts'
import type { SeriesReaderOptions } from './reader.ts'

const table = z.union([globParam, z.array(globParam).min(1)])

export const seriesReaderParams = {
  tag: tagParam.describe('The tag of the events. `{table}` in it stands for the name of the table.'),
  table: table
    .default('*')
    .describe(
      'Which tables are read: a glob over their names (`*` anything, `?` one character, `[abc]`, `[!abc]`), or a list of globs of which one must match. Tables that appear later are read too.',
    ),
  window: z
    .number()
    .min(0.001)
    .max(1_000_000_000)
    .default(60)
    .describe('Seconds of data that are read, over all tables, before new tables are looked for.'),
  offset: z
    .number()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe(
      'Seconds by which reading stays behind the present: rows that are inserted up to so much after their time are read in their order, and none is missed. With `once`, 0 reads to the last row, wherever the clock stands.',
    ),
  reload_position: z
    .boolean()
    .default(true)
    .describe(
      'Goes on where an earlier run ended, if its position is stored. `false`: begins as `from` says each time.',
    ),
  from: z
    .enum(['start', 'now'])
    .optional()
    .describe(
      'Where it begins when it has no stored position: `start` at the oldest row, `now` at rows of the present. Without it, `start` with `once`, otherwise `now`.',
    ),
  remove: z
    .boolean()
    .default(false)
    .describe('Deletes the rows that were read when they are safe in their outputs, and then a table that is empty.'),
  once: z
    .boolean()
    .default(false)
    .describe('Reads to the last row there is and finishes, so that a job ends, instead of following the tables.'),
  table_key: z.string().min(1).optional().describe('The field of the record that gets the name of the table.'),
  refresh_interval: z
    .number()
    .min(0.01)
    .max(86_400)
    .default(1)
    .describe('Seconds between two looks for new rows and tables.'),
} as const

type Params = z.output<z.ZodObject<typeof seriesReaderParams>> & {
  /** Only of databases that tell of each row that is inserted. */
  follow?: boolean
}

/** What they say to the reader. */
export function seriesReaderOptions(params: Params): Omit<SeriesReaderOptions, 'store' | 'context'> {
  return {
    matches: compileMatch(params.table),
    tagOf: (name) => tagOf(params.tag, name),
    tableField: params.table_key,
    window: params.window,
    offset: params.offset,
    reloadPosition: params.reload_position,
    from: params.from ?? (params.once ? 'start' : 'now'),
    remove: params.remove,
    once: params.once,
    readsLate: params.follow ?? false,
    refreshInterval: params.refresh_interval,
  }
}

/** Characters of a tag. */
const maxTag = 1024

function tagOf(template: string, table: string): string {
  return template
    .split('{table}')
    .join(table.replace(/\p{Cc}/gu, '_'))
    .slice(0, maxTag)
}
