// Writes events as rows of a SQLite file, into tables whose names are made of the time and the record.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { fieldParam, outputParams } from '../../core/params.ts'
import { createSeriesWriter } from '../../core/series/writer.ts'
import { compileTableName, tableTemplateParam } from '../../core/series/writer-table.ts'
import { SqliteWriter } from '../../core/sqlite/writer.ts'
import { foldName, tableNameRules } from '../../core/sqlite/writer-names.ts'
import { createRowMaker, type TableRows, timeColumnOf } from '../../core/sqlite/writer-rows.ts'

export const outputSqlite = defineAction({
  kind: 'output',
  name: 'output_sqlite',
  summary: 'Writes each event as a row of a table of a SQLite file; tables and columns are made as they are needed.',
  details: [
    '**Table.** What fields and directives give may be any text: it is quoted, so that `x"; DROP TABLE y;--` is a name',
    'like others. Control characters become `_`, a field that an event lacks is `unknown`, a name has at most 255 bytes,',
    'and one that begins with `sqlite_` or `_feedoo_` gets a `_` in front. SQLite does not tell `A` from `a` in names:',
    'such events share a table.',
    '',
    '**Columns.** One for each field of the record, under its name; control characters become `_`. They have no type, so',
    'that each value keeps its own: null, integers of 64 bits (larger ones are text), floats, text, bytes as BLOB.',
    'Booleans are 0 and 1, dates Unix seconds, lists and maps JSON text; NaN is null. SQLite does not tell `A` from `a`',
    'in columns either: such fields share a column, and when a record has both, the second one goes to `A_2`. A field',
    '`_rowid_` goes to `_rowid__2`.',
    '',
    '**Time.** Without `time_key`, the time of the event goes to the column `timestamp`, unless the record has a field of',
    'that name. With `time_key`, that field is always written, as the record has it: for input_sqlite it should hold Unix',
    'seconds (filter_date makes them of a date text). The column of the time has an index, if feedoo makes the column.',
    '',
    '**Failure.** A batch is one transaction. A row that SQLite refuses (a constraint of a table that was there before,',
    'for example) goes to the dead letters alone. While the file is locked, full, read-only or away, events wait. Other',
    'processes may read and write meanwhile; the file is put into WAL mode.',
    '',
    '**Durable state.** The table `_feedoo_commits` notes which rows came after the last commit. When feedoo starts again',
    'after a crash, it deletes those, because their events come again. At a clean end it empties the table of its notes.',
  ].join('\n'),
  params: z.strictObject({
    ...outputParams,
    filename: z
      .string()
      .min(1)
      .regex(/^[^\0]*$/, 'a path holds no NUL')
      .describe('Path of the SQLite file, made if missing with its folders. `:memory:` is a database without a file.'),
    table: tableTemplateParam.describe(
      'Name of the table: strftime directives stand for the time in UTC, `{field}` (a dotted path) for a value of the record, `{tag}` for the tag of the event unless the record has such a field.',
    ),
    time_key: fieldParam
      .optional()
      .describe(
        'The field that holds the time: Unix seconds, or a date text. An event without it goes to the dead letters. Without this parameter, the time of the event.',
      ),
    fields: z
      .array(fieldParam)
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'The fields to write, as dotted paths, each to the column of that name; others are left out. An event that lacks one goes to the dead letters. Without it, the whole record is written.',
      ),
    max_columns: z
      .int()
      .min(1)
      .max(2000)
      .default(500)
      .describe('Columns of a table. An event whose fields would need more goes to the dead letters.'),
  }),
  examples: [
    {
      title: 'A table a day and source',
      yaml: '- name: output_sqlite\n  match: "*"\n  filename: "{dir}/events.sqlite"\n  table: "{source}-%Y-%m-%d"\n',
      in: [{ tag: 'web', timestamp: 1600000000, record: { source: 'nginx', status: 200 } }],
      out: [{ tag: 'web', timestamp: 1600000000, record: { source: 'nginx', status: 200 } }],
    },
    {
      title: 'Some fields, by the time in one of them',
      yaml: '- name: output_sqlite\n  filename: ":memory:"\n  table: logins\n  time_key: date\n  fields: [date, user.name]\n',
      in: [{ tag: 'login', timestamp: 1600000000, record: { date: 1599999999, user: { name: 'Doe' }, pid: 7 } }],
      out: [{ tag: 'login', timestamp: 1600000000, record: { date: 1599999999, user: { name: 'Doe' }, pid: 7 } }],
    },
  ],
  create({ filename, table, time_key, fields, max_columns }, context) {
    const writer = new SqliteWriter({
      path: filename,
      timeColumn: timeColumnOf(time_key),
      maxColumns: max_columns,
      context,
    })
    const add = createRowMaker({ timeKey: time_key, fields, maxColumns: max_columns })
    return {
      recover: (marks) => writer.recover(marks),
      mark: () => writer.mark(),
      lastingMarks: () => writer.lastingMarks(),
      marksDropped: () => writer.marksDropped(),
      write: createSeriesWriter<TableRows>({
        table: compileTableName(table, tableNameRules),
        timeKey: time_key,
        context,
        sameTable: foldName,
        begin: (table) => ({ table, runs: [] }),
        add,
        write: (groups) => writer.write(groups),
      }),
      writesDuringSync: true,
      sync: () => writer.sync(),
      async close() {
        writer.close()
      },
    }
  },
})
