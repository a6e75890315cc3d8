// Reads the tables of a RethinkDB database as time series, once, as they grow, or by their changefeeds.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { fieldParam, inputStateParam } from '../../core/params.ts'
import {
  checkConnection,
  connectionParams,
  createPool,
  databaseOf,
  lintConnection,
  tryLogin,
} from '../../core/rethinkdb/connection-params.ts'
import { followTables } from '../../core/rethinkdb/follow.ts'
import { createRethinkStore } from '../../core/rethinkdb/store.ts'
import { readSeries } from '../../core/series/reader.ts'
import { seriesReaderOptions, seriesReaderParams } from '../../core/series/reader-params.ts'

const params = z
  .strictObject({
    ...connectionParams,
    timestamp_index: fieldParam
      .optional()
      .describe(
        'The field that holds the time of a row, and the index over it of the same name: Unix seconds, or dates; `timestamp` when nothing else is given.',
      ),
    time_key: fieldParam.optional().describe('Another name of `timestamp_index`.'),
    create_index: z
      .boolean()
      .default(false)
      .describe('Makes the index in tables that have none. Without it, such a table is reported and passed over.'),
    follow: z
      .boolean()
      .default(false)
      .describe(
        'After the first read, a changefeed tells of each row that is inserted: it is read at once, also when its time is long past.',
      ),
    ...seriesReaderParams,
    db_path: inputStateParam,
  })
  .superRefine((value, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    checkConnection(value, refuse)
    if (value.time_key !== undefined && value.timestamp_index !== undefined) {
      refuse('time_key', 'timestamp_index and time_key are the same: give one of them')
    }
    if (value.follow && value.once) refuse('follow', 'once ends where follow begins: give one of them')
  })

export const inputRethinkdb = defineAction({
  kind: 'input',
  name: 'input_rethinkdb',
  summary:
    'Reads the rows of RethinkDB tables in order of time, all tables that match as one stream, and follows them.',
  details: `A row is an event: the document is the record, its time is the timestamp. Dates and bytes are dates and bytes; what
\`output_rethinkdb\` marked, because RethinkDB could not hold it, is what it was.

**Position.** Each table has its own: the time and the primary key of the last row that was read, saved with the commit that
made it safe. A pipeline that is started again goes on from there. A table that was dropped is forgotten: one that is made
under its name, also while feedoo does not run, is read from its first row, by the id that RethinkDB gives each table.

**Late rows.** A row whose time is before the last one read of its table is read with \`follow\` or \`remove\` only. With
\`follow\` it is while feedoo runs and is connected; the feed of a table begins again, from the position, when the server
was away. A table that changes faster than its feed is taken makes RethinkDB skip changes, 100 000 or more at once: late rows
among them may be missed, which the log tells and \`skipped_changes\` counts. Rows of the very time of the last one are all
read, whatever their keys, unless more than 1000 of that time were read: then those that come before the last key may be
missed, which the log tells and \`crowded_times\` counts. \`offset\` makes reading stay so far behind the present
that rows still arrive in time.

**remove.** Rows are deleted when they are safe in their outputs, if they hold what was read, and then a table that is empty is
dropped. A row that was changed in between, or took the place of another, stays, and is read. RethinkDB has no transactions: a
row that is changed in the very moment of its removal, some milliseconds, or inserted in that of the drop, goes with it. Write
to tables named by the time, and do not remove from tables that others change all the time.

**Time.** The index is read, so a table needs one; while it is being built, the input waits. A table whose index is dropped is
reported, and read on when it is back; the others are read meanwhile. A table holds numbers, or dates; where both occur, those
of the kind that more rows have are read, and the other rows reported, as are rows without a time. That is looked at again each
minute or less often: when more rows have the other kind by then, reading goes on with these, from the time where it is.

**Away.** While the server is away the input waits: one line in the log when it goes, one when it is back. With \`once\` it
waits \`wait_connection\` seconds, at the start and later: then the job ends with exit code 1. It ends so at once when the
database does not exist. Otherwise the input waits for that, too, and the log tells; it also tells, at the start, when no
table matches.`,
  params,
  examples: [
    {
      title: 'Follow the tables of a database',
      yaml: `- name: input_rethinkdb
  tag: "rethinkdb.{table}"
  ip: 127.0.0.1
  wait_connection: 0
  database: logs
  table: dpkg_*
  timestamp_index: timestamp
  follow: true
`,
      out: [],
    },
  ],
  lint: lintConnection,
  create(it, context) {
    const { clock } = context
    const pool = createPool(it, { away: 'INPUT_UNREADABLE', refused: 'INPUT_UNREADABLE' })
    return {
      open: (signal) => tryLogin(pool, clock, signal),
      run(run) {
        const store = createRethinkStore({
          pool,
          database: databaseOf(it),
          timeKey: it.timestamp_index ?? it.time_key ?? 'timestamp',
          createIndex: it.create_index,
          mustExist: it.once,
          wait: { clock, signal: run.signal },
          log: context.log,
        })
        const longestAway = it.once ? it.wait_connection : undefined
        const options = { ...seriesReaderOptions(it), longestAway, startPatience: it.wait_connection }
        if (!it.follow) return readSeries({ ...options, store, context }, run)
        const following = followTables({ store, pool, context, remove: it.remove })
        return readSeries({ ...options, store: following.store, context: { ...context, clock: following.clock } }, run)
      },
      close: () => pool.close(),
    }
  },
})
