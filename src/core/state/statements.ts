// The SQL of a state file, prepared once. Every row belongs to a pipeline, which is the first parameter everywhere.
import type Database from 'better-sqlite3'
import type { KnownAction } from '../takeover.ts'
import type { SavedBatch } from './pipeline-state.ts'
import { renames, savedActions } from './schema.ts'

type Statement<Parameters extends unknown[], Row = unknown> = Database.Statement<[pipeline: string, ...Parameters], Row>

type Rename = Database.Statement<[to: string, pipeline: string, from: string]>

export interface Statements {
  id: Database.Statement<[], string>
  seq: Statement<[], number>
  memories: Statement<[], { action: string; format: string; last: number }>
  segments: Statement<[action: string], Buffer>
  marks: Statement<[action: string], { key: string; json: string }>
  marked: Statement<[], string>
  batches: Statement<[action: string], SavedBatch>
  waiting: Statement<[], { action: string; events: number; place: string }>
  lastBatch: Statement<[action: string], number>
  inputs: Statement<[], string>
  saved: Statement<[again: string], { action: string; place: string }>
  configured: Statement<[], KnownAction>
  renames: Rename[]
  renamesOfEvents: Rename[]
  unconfigure: Statement<[]>
  setAction: Statement<[key: string, place: string, match: string]>
  forgetActions: Statement<[again: string]>
  positions: Statement<[input: string], { key: string; json: string }>
  timeline: Statement<[name: string], string>
  insertSegment: Statement<[action: string, seq: number, format: string, crc: number, data: Uint8Array]>
  deleteSegments: Statement<[action: string, upTo: number]>
  setMark: Statement<[action: string, key: string, json: string]>
  deleteMark: Statement<[action: string, key: string]>
  insertBatch: Statement<[action: string, seq: number, name: string, events: number, crc: number, data: Uint8Array]>
  deleteBatch: Statement<[action: string, seq: number]>
  setLastBatch: Statement<[action: string, seq: number]>
  setPosition: Statement<[input: string, key: string, json: string]>
  deletePosition: Statement<[input: string, key: string]>
  setTimeline: Statement<[name: string, json: string]>
  configuration: Statement<[], string>
  count: Statement<[time: number, configuration: string]>
}

export function prepareStatements(database: Database.Database): Statements {
  return {
    id: database.prepare<[], string>("SELECT value FROM meta WHERE key = 'id'").pluck(),
    seq: database.prepare<[string], number>('SELECT seq FROM commits WHERE pipeline = ?').pluck(),
    // All segments of an action have one format.
    memories: database.prepare(
      'SELECT action, format, max(seq) AS last FROM segments WHERE pipeline = ? GROUP BY action',
    ),
    segments: database
      .prepare<[string, string], Buffer>('SELECT data FROM segments WHERE pipeline = ? AND action = ? ORDER BY seq')
      .pluck(),
    marks: database.prepare('SELECT key, json FROM marks WHERE pipeline = ? AND action = ?'),
    marked: database.prepare<[string], string>('SELECT DISTINCT action FROM marks WHERE pipeline = ?').pluck(),
    batches: database.prepare(
      'SELECT seq, name, events, data FROM batches WHERE pipeline = ? AND action = ? ORDER BY seq',
    ),
    waiting: database.prepare(
      `SELECT action, sum(events) AS events, coalesce(max(place), '') AS place
       FROM batches LEFT JOIN actions USING (pipeline, action) WHERE pipeline = ? GROUP BY action`,
    ),
    lastBatch: database
      .prepare<[string, string], number>('SELECT seq FROM last_batches WHERE pipeline = ? AND action = ?')
      .pluck(),
    inputs: database.prepare<[string], string>('SELECT DISTINCT input FROM positions WHERE pipeline = ?').pluck(),
    saved: database.prepare(
      `SELECT s.action, coalesce(a.place, '') AS place
       FROM (${savedActions}) AS s LEFT JOIN actions AS a ON a.pipeline = ? AND a.action = s.action`,
    ),
    configured: database.prepare(
      'SELECT action AS key, place, tags AS match FROM actions WHERE pipeline = ? AND configured ORDER BY action',
    ),
    renames: renames.progress.map((sql) => database.prepare(sql)),
    renamesOfEvents: renames.events.map((sql) => database.prepare(sql)),
    unconfigure: database.prepare('UPDATE actions SET configured = 0 WHERE pipeline = ?'),
    setAction: database.prepare(
      'INSERT OR REPLACE INTO actions (pipeline, action, configured, place, tags) VALUES (?, ?, 1, ?, ?)',
    ),
    forgetActions: database.prepare(
      `DELETE FROM actions WHERE pipeline = ? AND NOT configured AND action NOT IN (${savedActions})`,
    ),
    positions: database.prepare('SELECT key, json FROM positions WHERE pipeline = ? AND input = ?'),
    timeline: database
      .prepare<[string, string], string>('SELECT json FROM timelines WHERE pipeline = ? AND name = ?')
      .pluck(),
    insertSegment: database.prepare(
      'INSERT INTO segments (pipeline, action, seq, format, crc, data) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    deleteSegments: database.prepare('DELETE FROM segments WHERE pipeline = ? AND action = ? AND seq <= ?'),
    setMark: database.prepare('INSERT OR REPLACE INTO marks (pipeline, action, key, json) VALUES (?, ?, ?, ?)'),
    deleteMark: database.prepare('DELETE FROM marks WHERE pipeline = ? AND action = ? AND key = ?'),
    insertBatch: database.prepare(
      'INSERT INTO batches (pipeline, action, seq, name, events, crc, data) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    deleteBatch: database.prepare('DELETE FROM batches WHERE pipeline = ? AND action = ? AND seq = ?'),
    setLastBatch: database.prepare('INSERT OR REPLACE INTO last_batches (pipeline, action, seq) VALUES (?, ?, ?)'),
    setPosition: database.prepare('INSERT OR REPLACE INTO positions (pipeline, input, key, json) VALUES (?, ?, ?, ?)'),
    deletePosition: database.prepare('DELETE FROM positions WHERE pipeline = ? AND input = ? AND key = ?'),
    setTimeline: database.prepare('INSERT OR REPLACE INTO timelines (pipeline, name, json) VALUES (?, ?, ?)'),
    configuration: database.prepare<[string], string>('SELECT configuration FROM commits WHERE pipeline = ?').pluck(),
    count: database.prepare(
      `INSERT INTO commits (pipeline, seq, time, configuration) VALUES (?, 1, ?, ?)
       ON CONFLICT DO UPDATE SET seq = seq + 1, time = excluded.time, configuration = excluded.configuration`,
    ),
  }
}
