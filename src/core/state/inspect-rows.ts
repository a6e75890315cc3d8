// Everything that a state file holds, row by row, in a form that people and programs can read; and what is wrong with it.
import { crc32 } from 'node:zlib'
import type { Json } from '../action.ts'
import { messageOf } from '../errors.ts'
import { isDamage } from './examine.ts'
import { actionsIn, knownActions, pipelinesIn } from './inspect.ts'
import { decodeBatch } from './inspect-batch.ts'
import { entriesOf, SeenKeys, type SegmentEntry } from './inspect-segments.ts'
import { failureOf, type Snapshot } from './snapshot.ts'

/** One thing that is saved. `damage` stands for a row that cannot be read. */
export type Row = { type: RowType; [field: string]: unknown }
type RowType =
  | 'file'
  | 'pipeline'
  | 'action'
  | 'clock'
  | 'position'
  | 'mark'
  | 'key'
  | 'memory'
  | 'buffer'
  | 'event'
  | 'damage'

interface Saved {
  seq: number
  crc: number
  data: Buffer
}

/** All rows, of one pipeline or of all; not more than one of them is in memory. Throws STATE_DAMAGED. */
export function* rowsOf(snapshot: Snapshot, only?: string): Generator<Row, void> {
  const { path, database, format } = snapshot
  try {
    const meta = database.prepare<[], { key: string; value: string }>('SELECT key, value FROM meta').all()
    yield { type: 'file', file: path, format, ...Object.fromEntries(meta.map(({ key, value }) => [key, value])) }
    for (const pipeline of pipelinesIn(snapshot)) {
      if (only === undefined || pipeline === only) yield* rowsOfPipeline(snapshot, pipeline)
    }
  } catch (error) {
    throw failureOf(path, error)
  }
}

/** What is wrong with a file, a sentence each. Reads all of it. */
export function* problemsOf(snapshot: Snapshot): Generator<string, void> {
  const { database } = snapshot
  try {
    for (const verdict of database.prepare<[], string>('PRAGMA integrity_check').pluck().iterate()) {
      if (verdict !== 'ok') yield verdict
    }
    const id = database.prepare<[], string>("SELECT value FROM meta WHERE key = 'id'").pluck().get()
    if (id === undefined) yield 'it has lost its id'
    for (const { type, pipeline, action, reason } of rowsOf(snapshot)) {
      if (type === 'damage') yield `${pipeline}, ${action}: ${reason}`
    }
  } catch (error) {
    yield messageOf(error)
  }
}

function* rowsOfPipeline(snapshot: Snapshot, pipeline: string): Generator<Row> {
  const { database } = snapshot
  const commit = database.prepare<[string], { seq: number; time: number; configuration: string }>(
    'SELECT seq, time, configuration FROM commits WHERE pipeline = ?',
  )
  const { seq = 0, time = null, configuration = null } = commit.get(pipeline) ?? {}
  yield { type: 'pipeline', pipeline, commits: seq, last_commit: time, configuration }
  for (const { key, place, match, configured } of knownActions(snapshot, pipeline)) {
    yield { type: 'action', pipeline, action: key, place, match, configured: configured === 1 }
  }
  yield* jsonRows(snapshot, pipeline, { type: 'clock', table: 'timelines', action: "''", key: 'name' })
  yield* jsonRows(snapshot, pipeline, { type: 'position', table: 'positions', action: 'input', key: 'key' })
  yield* jsonRows(snapshot, pipeline, { type: 'mark', table: 'marks', action: 'action', key: 'key' })
  for (const action of actionsIn(snapshot, 'segments', pipeline)) yield* keyRows(snapshot, pipeline, action)
  yield* lastBatchRows(snapshot, pipeline)
  for (const action of actionsIn(snapshot, 'batches', pipeline)) yield* eventRows(snapshot, pipeline, action)
}

function* jsonRows(
  { database }: Snapshot,
  pipeline: string,
  { type, table, action, key }: { type: RowType; table: string; action: string; key: string },
): Generator<Row> {
  const rows = database.prepare<[string], { action: string; key: string; json: string }>(
    `SELECT ${action} AS action, ${key} AS key, json FROM ${table} WHERE pipeline = ? ORDER BY 1, 2`,
  )
  for (const { action, key, json } of rows.iterate(pipeline)) {
    const named = { pipeline, ...(action === '' ? {} : { action }), key }
    try {
      yield { type, ...named, value: JSON.parse(json) as Json }
    } catch (error) {
      yield damage({ pipeline, action: action === '' ? table : action }, `${key}: ${messageOf(error)}`)
    }
  }
}

/** What a rule remembers, as of its last segment. */
function* keyRows({ sqlite, database }: Snapshot, pipeline: string, action: string): Generator<Row> {
  const rows = database.prepare<[string, string], Saved & { format: string }>(
    'SELECT seq, format, crc, data FROM segments WHERE pipeline = ? AND action = ? ORDER BY seq DESC',
  )
  const seen = new SeenKeys(sqlite)
  const isNew = (section: string, key: Buffer, isForgotten: boolean) => seen.add(section, key) && !isForgotten
  try {
    for (const { seq, format, crc, data } of rows.iterate(pipeline, action)) {
      if (crc32(data) !== crc) {
        yield damage({ pipeline, action }, `segment ${seq} is not as it was written`)
        continue
      }
      const entries = entriesOf(data, isNew)
      for (let entry = nextOf(entries); entry !== undefined; entry = nextOf(entries)) {
        if (entry === 'unknown') {
          yield { type: 'memory', pipeline, action, format, segment: seq, base64: data.toString('base64') }
          break
        }
        yield { type: 'key', pipeline, action, format, ...entry }
      }
    }
  } finally {
    seen.close()
  }
}

/** `unknown` when the bytes, which are as they were written, have a form that only the action knows. */
function nextOf(entries: Generator<SegmentEntry, void>): SegmentEntry | 'unknown' | undefined {
  try {
    return entries.next().value ?? undefined
  } catch (error) {
    if (isDamage(error)) throw error
    return 'unknown'
  }
}

function* lastBatchRows({ database }: Snapshot, pipeline: string): Generator<Row> {
  const rows = database.prepare<[string], { action: string; last: number; waiting: number; highest: number | null }>(
    `SELECT action, seq AS last, (SELECT count(*) FROM batches AS b WHERE b.pipeline = l.pipeline AND b.action = l.action) AS waiting,
       (SELECT max(seq) FROM batches AS b WHERE b.pipeline = l.pipeline AND b.action = l.action) AS highest
     FROM last_batches AS l WHERE pipeline = ? ORDER BY action`,
  )
  for (const { action, last, waiting, highest } of rows.iterate(pipeline)) {
    yield { type: 'buffer', pipeline, action, last_batch: last, batches: waiting }
    if ((highest ?? 0) > last) yield damage({ pipeline, action }, `batch ${highest} comes after the last one, ${last}`)
  }
}

/** What waits for the target of an output. */
function* eventRows({ database }: Snapshot, pipeline: string, action: string): Generator<Row> {
  const rows = database.prepare<[string, string], Saved & { events: number }>(
    'SELECT seq, events, crc, data FROM batches WHERE pipeline = ? AND action = ? ORDER BY seq',
  )
  for (const { seq, events: count, crc, data } of rows.iterate(pipeline, action)) {
    if (crc32(data) !== crc) {
      yield damage({ pipeline, action }, `batch ${seq} is not as it was written`)
      continue
    }
    const events = readBatch(data)
    if (events?.length !== count) {
      yield damage({ pipeline, action }, `batch ${seq} does not hold ${count} events`)
      continue
    }
    for (const event of events) yield { type: 'event', pipeline, action, batch: seq, ...event }
  }
}

function readBatch(data: Buffer) {
  try {
    return decodeBatch(data)
  } catch {
    // Whatever it is, it is no batch.
    return undefined
  }
}

function damage(where: { pipeline: string; action: string }, reason: string): Row {
  return { type: 'damage', ...where, reason }
}
