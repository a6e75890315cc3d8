// Inserts events into tables of RethinkDB, which it makes as they are needed.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { assignOwn, type Event, type EventRecord, setOwn } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { fieldParam, outputParams } from '../../core/params.ts'
import {
  checkConnection,
  connectionParams,
  createPool,
  databaseOf,
  lintConnection,
  waitForServer,
} from '../../core/rethinkdb/connection-params.ts'
import { encodeDocument } from '../../core/rethinkdb/documents.ts'
import { createEventIds } from '../../core/rethinkdb/event-ids.ts'
import { createInserter, RowGroup } from '../../core/rethinkdb/insert.ts'
import { createTableMaker, tableNameRules } from '../../core/rethinkdb/tables.ts'
import { createFieldPicker, createSeriesWriter } from '../../core/series/writer.ts'
import { compileTableName, tableTemplateParam } from '../../core/series/writer-table.ts'
import { parseTemplate } from '../../core/template.ts'

/** The field for the time of an event that no field holds. */
const eventTimeField = 'timestamp'

const params = z
  .strictObject({
    ...outputParams,
    ...connectionParams,
    table: tableTemplateParam.describe(
      'The table: text of letters, digits, `_` and `-` with strftime directives (UTC, of the time of the event) and `{field}`s of the record in it. What a value has beside those characters becomes `_`.',
    ),
    time_key: fieldParam
      .optional()
      .describe(
        'The field that holds the time: Unix seconds, or a date. An event without it goes to the dead letters. Without this parameter, the time of the event, which goes to the field `timestamp` unless the record has one. An index of that name is made.',
      ),
    timestamp_index: fieldParam.optional().describe('Another name of `time_key`.'),
    fields: z
      .array(fieldParam)
      .min(1)
      .optional()
      .describe('The fields that are written; an event that lacks one goes to the dead letters. Without it, all.'),
    durability: z
      .enum(['hard', 'soft'])
      .default('hard')
      .describe('`hard`: written when the server has it on its disk. `soft`: when the server has it in memory.'),
    chunk_size: z
      .int()
      .min(1)
      .max(10_000)
      .default(500)
      .describe('Documents in one query. Those of more than 8 MB together go in several.'),
  })
  .superRefine((value, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    checkConnection(value, refuse)
    if (value.time_key !== undefined && value.timestamp_index !== undefined) {
      refuse('timestamp_index', 'time_key and timestamp_index are the same: give one of them')
    }
    for (const part of parseTemplate(value.table)) {
      if (part.kind === 'text' && !/^(?:[A-Za-z0-9_-]|%.)*$/s.test(part.format)) {
        refuse('table', 'RethinkDB takes letters, digits, `_` and `-` in the name of a table')
        break
      }
    }
  })

export const outputRethinkdb = defineAction({
  kind: 'output',
  name: 'output_rethinkdb',
  summary: 'Inserts events into tables of RethinkDB; database, tables and time indexes are made when they are missing.',
  details: `The primary key of a document is the \`id\` of the record, else the \`id\` of the event's metadata (alerts have one), else a
digest of tag, time and record. With \`state_dir\` the place of the event in the stream goes into the digest: an event that is
written a second time, after a crash, replaces itself, and no other event does, however equal. Without \`state_dir\` an event
replaces itself also when it is read again from the beginning; of several equal events each gets an id of its own as long as
feedoo runs and they are among the last 50,000.

Types come back by \`input_rethinkdb\` as they were. Dates and bytes are RethinkDB's own. Its numbers are doubles: an integer
beyond 2^53 is stored as \`{"$feedoo:int": "9223372036854775807"}\`, infinity and NaN as \`{"$feedoo:float": "Infinity"}\`; an
\`id\` that cannot be a primary key (null, a list, a map, more than 127 bytes) as \`$feedoo:id\` beside a digest, and that of an
integer beyond 2^53 beside its digits. Keys that RethinkDB keeps for itself (\`$reql_...\`) or that drivers lose
(\`__proto__\`) get \`$feedoo:key:\` in front.

A document that cannot be stored (more than 100 levels, a date outside of the years 1400 to 9999), or that the server
refuses, goes to the dead letters alone.`,
  params,
  examples: [
    {
      title: 'A table a day',
      yaml: `- name: output_rethinkdb
  match: dpkg.*
  ip: 127.0.0.1
  wait_connection: 0
  database: logs
  table: dpkg_%Y-%m-%d
  time_key: timestamp
`,
      in: [{ tag: 'web', timestamp: 1600000000, record: { log: 'not for it' } }],
      out: [{ tag: 'web', timestamp: 1600000000, record: { log: 'not for it' } }],
    },
  ],
  lint: lintConnection,
  create(it, context) {
    const { clock, log, deadLetter } = context
    const pool = createPool(it, { away: 'OUTPUT_UNAVAILABLE', refused: 'OUTPUT_REJECTED' })
    const database = databaseOf(it)
    const timeKey = it.time_key ?? it.timestamp_index
    const rowOf = createRowOf(timeKey, it.fields)
    const ids = createEventIds()
    const insert = createInserter({
      pool,
      tables: createTableMaker(pool, database, timeKey ?? eventTimeField),
      database,
      durability: it.durability,
      chunkSize: it.chunk_size,
      concurrency: it.connections,
      deadLetter,
    })
    /** The event in hand: `idFor` is made once, not once an event. */
    let current: Event | undefined
    const idFor = (text: string) => metadataId(current) ?? ids.idOf(current as Event, text)
    const write = createSeriesWriter<RowGroup>({
      table: compileTableName(it.table, tableNameRules),
      timeKey,
      context,
      begin: () => new RowGroup(),
      add(group, event) {
        current = event
        const { key, text } = encodeDocument(rowOf(event), idFor)
        group.add({ key, text, event })
      },
      write: insert,
    })
    return {
      open: (signal) => waitForServer(pool, it.wait_connection, clock, log, signal),
      write(events, batch) {
        ids.begin(batch)
        return write(events)
      },
      close: () => pool.close(),
    }
  },
})

/** What is written of an event. It always has its time. */
function createRowOf(
  timeKey: string | undefined,
  fields: readonly string[] | undefined,
): (event: Event) => EventRecord {
  const pick = fields === undefined ? undefined : createFieldPicker(fields)
  if (timeKey === undefined) {
    return (event) => {
      const row = pick === undefined ? event.record : pick(event.record)
      if (Object.hasOwn(row, eventTimeField)) return row
      return assignOwn({ [eventTimeField]: event.timestamp }, row)
    }
  }
  if (pick === undefined) return (event) => event.record
  const time = compileField(timeKey)
  return ({ record }) => {
    const row = pick(record)
    if (!Object.hasOwn(row, timeKey)) setOwn(row, timeKey, time.get(record))
    return row
  }
}

/** Text of an id that comes with the event, if it can be a primary key. */
function metadataId(event: Event | undefined): string | undefined {
  const id = event?.metadata !== undefined && Object.hasOwn(event.metadata, 'id') ? event.metadata.id : undefined
  if (typeof id === 'number') return String(id)
  return typeof id === 'string' && id !== '' && !id.includes('\0') && Buffer.byteLength(id) <= 127 ? id : undefined
}
