// Reads the tables of a SQLite file as time series, once or as they grow.

import { statSync } from 'node:fs'
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { fileReason } from '../../core/file-reason.ts'
import { inputStateParam } from '../../core/params.ts'
import { readSeries } from '../../core/series/reader.ts'
import { seriesReaderOptions, seriesReaderParams } from '../../core/series/reader-params.ts'
import { hasRemovals } from '../../core/series/reader-position.ts'
import { createSqliteStore } from '../../core/sqlite/series-store.ts'

export const inputSqlite = defineAction({
  kind: 'input',
  name: 'input_sqlite',
  summary: 'Reads the rows of SQLite tables in order of time, all tables that match as one stream, and follows them.',
  details: `A row is an event: its columns are the record, its time is the timestamp. Integers keep all their 64 bits, BLOBs
are bytes. Rows of the same time come in the order of their tables' names, and of their rowid.

**Position.** Each table has its own: the time and the rowid, or in a table without one the primary key, of the last row
that was read, saved with the commit that made it safe. A pipeline that is started again goes on from there: no row is
lost and none is read twice. A table that appears later is read from its first row, or from the moment at which the input
first ran with \`from: now\`. So is one that was dropped and made anew, which the log says: seen when it was gone at a
look; and, when it was back by then or feedoo was down, if the file, the table's CREATE statement or its place in the file is
another one, and no row is left that has the time of the last one read, or of eight others that were read. So a table that is
made anew by the same statement, at the same place, is gone on with, and its older rows are not read; and one that was altered
or vacuumed when all these rows had been deleted may be read a second time.

**Equal times.** A row that comes later, but with the very time of the last one read, is read: its rowid is higher. In tables
without a rowid a new key may be lower, so the keys of that last time are kept, up to 1000, beside the position. If that time
has more rows, those of a lower key are missed: counted as \`crowded_times\` and logged.

**Late rows.** A row whose time is before the last one read of its table is not read, unless \`remove\` is on. \`offset\`
makes reading stay so far behind the present that rows still arrive in time. Rows that come later than that are counted
as \`late_rows\` and logged, if feedoo runs when they come, and their rowid is higher than all before.

**remove.** Rows are deleted when they are safe in their outputs; rows that came late stand behind what was deleted, are
read then, and deleted too. A row is deleted only if it holds what was read: one that was changed in between, or that took
the place of another, in the same file or a new one of its name, stays and is read. What was safe and not deleted yet when
feedoo was killed is deleted when it starts again, in the same way, given that positions are stored. Columns that a table
gets while rows wait are not looked at; when one is renamed or dropped, these rows stay and are read again. An empty table is dropped. A row that
an output or a filter rejects is deleted as well: \`dead_letters\` at the top of the configuration keeps it, and a check
warns without it. Without \`remove\` the file is opened for reading only.

**Time.** The time field holds numbers, integers or floats, in Unix seconds. A table that lacks the field, or declares it as
text, is reported once and passed over; rows whose time is null, infinite, text or bytes are logged, and counted as
\`rows_without_time\`, at the start and each minute or less often. An index on the field makes reading much cheaper; a table
without one is named in the log, with the statement that makes it.

**The future.** Rows whose time is more than a minute ahead are logged, and counted as \`rows_ahead\`: their times may be
milliseconds. Without \`once\` a row is read when its time has come. With \`once\`, and no \`offset\`, it is read, and does
not keep the next run of the job from reading what has come before it. If a table has more than 1000 such rows, not each of
them is known again: new rows whose times stand among theirs are not read, but logged, and counted as \`rows_missed\`.

**Others at work.** Other processes may write meanwhile, in any journal mode. While the file is locked, missing or being
replaced, the input waits: one line in the log when it goes, one when it is back. Views and virtual tables are not read.`,
  params: z.strictObject({
    filename: z
      .string()
      .min(1)
      .regex(/^[^\0]*$/, 'a path holds no NUL')
      .refine((path) => path !== ':memory:', 'a database in memory has no rows to read')
      .describe('Path of the SQLite file.'),
    time_key: z
      .string()
      .min(1)
      .default('timestamp')
      .describe('The column that holds the time of a row: a number, integer or float, in Unix seconds.'),
    wait_connection: z
      .number()
      .min(0)
      .max(86_400)
      .default(120)
      .describe(
        'Seconds that a job with `once` waits for a file that is locked or away; then it ends with an error. Without `once` the input waits for ever.',
      ),
    ...seriesReaderParams,
    db_path: inputStateParam,
  }),
  examples: [
    {
      title: 'Convert the tables of a file, and end',
      yaml: '- name: input_sqlite\n  tag: "old.{table}"\n  filename: "{dir}/old.sqlite"\n  table: log_*\n  time_key: date\n  once: true\n',
      // A file without a byte is a database without a table.
      files: { 'old.sqlite': '' },
      out: [],
    },
    {
      title: 'Take rows that are a minute old out of a file, and name the table in each record',
      yaml: '- name: input_sqlite\n  tag: archive\n  filename: "{dir}/live.sqlite"\n  table: [access_*, error_*]\n  table_key: table\n  offset: 60\n  remove: true\n  from: start\n  once: true\n',
      files: { 'live.sqlite': '' },
      out: [],
    },
  ],
  lint({ filename }) {
    try {
      if (statSync(filename).isFile()) return []
      return [{ path: ['filename'], message: `${filename} is not a file` }]
    } catch (error) {
      return [{ path: ['filename'], message: `cannot read ${filename} now: ${fileReason(error)}` }]
    }
  },
  create(params, context) {
    return {
      run: (run) => {
        const longestAway = params.once ? params.wait_connection : undefined
        const store = createSqliteStore({
          path: params.filename,
          timeKey: params.time_key,
          readonly: !params.remove && !hasRemovals(run.positions),
          mustExist: params.once,
        })
        return readSeries({ ...seriesReaderOptions(params), longestAway, store, context }, run)
      },
    }
  },
})
