// What a state file holds, in short.
import type Database from 'better-sqlite3'
import type { Json } from '../action.ts'
import type { PipelineConfig } from '../config/types.ts'
import { actionKey, deadLettersKey } from '../positions.ts'
import { type KnownAction, takeOver } from '../takeover.ts'
import { isDamage } from './examine.ts'
import { entriesOf, SeenKeys } from './inspect-segments.ts'
import { actionsSince, savedActions } from './schema.ts'
import { failureOf, type Snapshot } from './snapshot.ts'

/** Positions, or marks, of one action that are shown; `feedoo state export` has all. */
const shownKeys = 20

export interface FileSummary {
  file: string
  format: number
  id: string
  /** ISO 8601. */
  created: string
  bytes: number
  pipelines: PipelineSummary[]
}

export interface PipelineSummary {
  pipeline: string
  /** How many commits there were; 0 when the pipeline has only marks. */
  commits: number
  /** Unix seconds of the last. */
  last_commit: number | null
  /** The fingerprint of its configuration. */
  configuration: string | null
  /** Unix seconds, by the name of the clock. */
  clocks: Record<string, Json>
  actions: ActionSummary[]
  positions: KeysSummary[]
  rules: RuleSummary[]
  buffers: BufferSummary[]
  marks: KeysSummary[]
}

export interface KeysSummary {
  action: string
  keys: number
  /** The first of them. */
  first: { key: string; value: Json }[]
}

export interface RuleSummary {
  action: string
  format: string
  segments: number
  bytes: number
  /** By the rule's own sections; null when what it remembers has a form that only the action knows. */
  keys: Record<string, number> | null
}

/** An input or output of the configuration under which the file was last used, or one that has left something. */
export interface ActionSummary {
  action: string
  /** Where it reads or writes. */
  place: string
  /** Whether that configuration had it. */
  configured: boolean
}

export interface BufferSummary {
  action: string
  batches: number
  events: number
  bytes: number
}

/** What a file holds, of one pipeline or of all. Throws STATE_DAMAGED. */
export function summarize(snapshot: Snapshot, only?: string): FileSummary {
  const { path, database, format } = snapshot
  try {
    const meta = new Map(
      database
        .prepare<[], { key: string; value: string }>('SELECT key, value FROM meta')
        .all()
        .map(({ key, value }) => [key, value]),
    )
    const pages = Number(database.pragma('page_count', { simple: true }))
    return {
      file: path,
      format,
      id: meta.get('id') ?? '',
      created: meta.get('created') ?? '',
      bytes: pages * Number(database.pragma('page_size', { simple: true })),
      pipelines: pipelinesIn(snapshot)
        .filter((name) => only === undefined || name === only)
        .map((name) => summaryOf(snapshot, name)),
    }
  } catch (error) {
    throw failureOf(path, error)
  }
}

/** The pipelines that a file knows, in the order of their names. Throws STATE_DAMAGED. */
export function pipelinesIn({ path, database }: Snapshot): string[] {
  const tables = ['commits', 'segments', 'marks', 'batches', 'positions', 'timelines']
  const all = tables.map((table) => `SELECT pipeline FROM ${table}`).join(' UNION ')
  try {
    return database.prepare<[], string>(`${all} ORDER BY pipeline`).pluck().all()
  } catch (error) {
    throw failureOf(path, error)
  }
}

/** The actions of a pipeline that have rows in a table. */
export function actionsIn({ database }: Snapshot, table: 'segments' | 'batches' | 'marks', pipeline: string): string[] {
  const sql = `SELECT DISTINCT action FROM ${table} WHERE pipeline = ? ORDER BY action`
  return database.prepare<[string], string>(sql).pluck().all(pipeline)
}

/**
 * Events that wait for an action that the pipeline, as it is configured, has no more, and where that wrote, if it is known.
 * Throws STATE_DAMAGED.
 */
export function orphansIn(
  snapshot: Snapshot,
  { name, actions }: PipelineConfig,
  hasDeadLetters: boolean,
): (BufferSummary & { place: string })[] {
  const { path, database } = snapshot
  try {
    const known = knownActions(snapshot, name)
    const places = new Map(known.map(({ key, place }) => [key, place]))
    const saved = database.prepare<[string], string>(savedActions).pluck().all(name)
    const mine = new Set(actions.map((_, place) => actionKey(actions, place)))
    const last = known.filter(({ configured }) => configured === 1)
    const { adopted } = takeOver(actions, last, new Map(saved.map((key) => [key, places.get(key) ?? ''])))
    // What the next start renames.
    for (const { from, withEvents } of adopted) if (withEvents) mine.add(from)
    if (hasDeadLetters) mine.add(deadLettersKey)
    return buffersOf(database, name)
      .filter(({ action }) => !mine.has(action))
      .map((buffer) => ({ ...buffer, place: places.get(buffer.action) ?? '' }))
  } catch (error) {
    throw failureOf(path, error)
  }
}

/** The inputs and outputs that a file knows of a pipeline; none where it is of a format without them. */
export function knownActions(
  { database, format }: Snapshot,
  pipeline: string,
): (KnownAction & { configured: number })[] {
  if (format < actionsSince) return []
  return database
    .prepare<[string], KnownAction & { configured: number }>(
      'SELECT action AS key, place, tags AS match, configured FROM actions WHERE pipeline = ? ORDER BY action',
    )
    .all(pipeline)
}

function buffersOf(database: Database.Database, pipeline: string): BufferSummary[] {
  return database
    .prepare<[string], BufferSummary>(
      `SELECT action, count(*) AS batches, sum(events) AS events, sum(length(data)) AS bytes
       FROM batches WHERE pipeline = ? GROUP BY action ORDER BY action`,
    )
    .all(pipeline)
}

function summaryOf(snapshot: Snapshot, pipeline: string): PipelineSummary {
  const { database } = snapshot
  const commit = database
    .prepare<[string], { seq: number; time: number; configuration: string }>(
      'SELECT seq, time, configuration FROM commits WHERE pipeline = ?',
    )
    .get(pipeline)
  const clocks = database
    .prepare<[string], { name: string; json: string }>(
      'SELECT name, json FROM timelines WHERE pipeline = ? ORDER BY name',
    )
    .all(pipeline)
  return {
    pipeline,
    commits: commit?.seq ?? 0,
    last_commit: commit?.time ?? null,
    configuration: commit?.configuration ?? null,
    clocks: Object.fromEntries(clocks.map(({ name, json }) => [name, JSON.parse(json) as Json])),
    actions: knownActions(snapshot, pipeline).map(({ key, place, configured }) => ({
      ...{ action: key, place, configured: configured === 1 },
    })),
    positions: keysOf(database, 'positions', 'input', pipeline),
    rules: actionsIn(snapshot, 'segments', pipeline).map((action) => ruleOf(snapshot, pipeline, action)),
    buffers: buffersOf(database, pipeline),
    marks: keysOf(database, 'marks', 'action', pipeline),
  }
}

function keysOf(
  database: Database.Database,
  table: 'positions' | 'marks',
  column: 'input' | 'action',
  pipeline: string,
): KeysSummary[] {
  const counts = database
    .prepare<[string], { action: string; keys: number }>(
      `SELECT ${column} AS action, count(*) AS keys FROM ${table} WHERE pipeline = ? GROUP BY ${column} ORDER BY ${column}`,
    )
    .all(pipeline)
  const first = database.prepare<[string, string, number], { key: string; json: string }>(
    `SELECT key, json FROM ${table} WHERE pipeline = ? AND ${column} = ? ORDER BY key LIMIT ?`,
  )
  return counts.map(({ action, keys }) => ({
    action,
    keys,
    first: first.all(pipeline, action, shownKeys).map(({ key, json }) => ({ key, value: JSON.parse(json) as Json })),
  }))
}

function ruleOf({ sqlite, database }: Snapshot, pipeline: string, action: string): RuleSummary {
  const rows = database.prepare<[string, string], { format: string; data: Buffer }>(
    'SELECT format, data FROM segments WHERE pipeline = ? AND action = ? ORDER BY seq DESC',
  )
  const seen = new SeenKeys(sqlite)
  const keys = new Map<string, number>()
  let isJournal = true
  let segments = 0
  let bytes = 0
  let form = ''
  const isNew = (section: string, key: Buffer, isForgotten: boolean) => {
    const before = keys.get(section) ?? 0
    keys.set(section, before + (seen.add(section, key) && !isForgotten ? 1 : 0))
    return false
  }
  try {
    for (const { format, data } of rows.iterate(pipeline, action)) {
      segments++
      bytes += data.length
      form = format
      if (isJournal) isJournal = isRead(data, isNew)
    }
  } finally {
    seen.close()
  }
  return { action, format: form, segments, bytes, keys: isJournal ? Object.fromEntries(keys) : null }
}

function isRead(data: Buffer, isNew: Parameters<typeof entriesOf>[1]): boolean {
  try {
    entriesOf(data, isNew).next()
    return true
  } catch (error) {
    if (isDamage(error)) throw error
    // A plugin may save in a form of its own.
    return false
  }
}
