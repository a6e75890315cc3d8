// `feedoo state show|export|check`: what the state files hold, also while the daemon runs.
import { realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { didYouMean } from '../core/config/nearest.ts'
import type { Config } from '../core/config/types.ts'
import { FeedooError } from '../core/errors.ts'
import { fileKind } from '../core/file-kind.ts'
import { orphaned } from '../core/positions.ts'
import { stateFileName } from '../core/state/file-state.ts'
import { fingerprint } from '../core/state/fingerprint.ts'
import { orphansIn, pipelinesIn, summarize } from '../core/state/inspect.ts'
import { problemsOf, rowsOf } from '../core/state/inspect-rows.ts'
import { openSnapshot, type Snapshot } from '../core/state/snapshot.ts'
import type { Write } from './actions.ts'
import { load } from './load.ts'
import { summaryText } from './state-text.ts'
import { safeJson, safeText } from './terminal.ts'

export interface StateCommand {
  what: 'show' | 'export' | 'check'
  /** A state file; or else the configuration whose state files are meant. */
  from: { file: string } | { config: string }
  pipeline?: string | undefined
  json: boolean
}

/** Comes back when there is room for more. */
export type WriteOut = (text: string) => Promise<void>

/** Characters that are written in one go. */
const pieceLength = 256 * 1024

interface Target {
  path: string
  /** The fingerprints of the pipelines that the configuration has now. */
  configured?: ReadonlyMap<string, string>
  config?: Config
}

/**
 * Exit code 0; 1 when a file is damaged or cannot be read; 2 for a wrong command line or configuration, and for a file
 * that is no state file.
 */
export async function stateCommand(command: StateCommand, write: WriteOut, writeError: Write): Promise<number> {
  const targets = await targetsOf(command)
  if (targets === undefined) return 2
  if (typeof targets === 'string') return refuse(targets, writeError)
  let code = 0
  const isKnown = command.pipeline === undefined || 'config' in command.from
  const known = new Set<string>()
  for (const target of targets) {
    // With a configuration that has not run yet.
    if (target.configured !== undefined && (await fileKind(target.path)) === undefined) {
      writeError(`${safeText(target.path)}: not made yet\n`)
      continue
    }
    let snapshot: Snapshot | undefined
    try {
      snapshot = await openSnapshot(target.path)
      const { pipeline } = command
      const names = pipelinesIn(snapshot)
      for (const name of names) known.add(name)
      if (pipeline !== undefined && command.what !== 'check' && !names.includes(pipeline)) continue
      code = Math.max(code, await commands[command.what](snapshot, command, target, write))
    } catch (error) {
      code = Math.max(code, await failed(error, command, target, write, writeError))
    } finally {
      snapshot?.close()
    }
  }
  if (isKnown || known.has(command.pipeline ?? '') || code !== 0) return code
  const hint = didYouMean(command.pipeline ?? '', [...known]) ?? `there are ${[...known].join(', ') || 'none'}`
  return refuse(`there is nothing of a pipeline ${command.pipeline}, ${hint}`, writeError)
}

type Run = (snapshot: Snapshot, command: StateCommand, target: Target, write: WriteOut) => Promise<number>

const commands: Record<StateCommand['what'], Run> = {
  async show(snapshot, { pipeline, json }, { configured }, write) {
    const summary = summarize(snapshot, pipeline)
    const now = Date.now() / 1000
    await write(json ? `${safeJson(summary)}\n` : summaryText(summary, { now, configured }))
    return 0
  },
  async export(snapshot, { pipeline }, _, write) {
    let text = ''
    let code = 0
    for (const row of rowsOf(snapshot, pipeline)) {
      if (row.type === 'damage') code = 1
      text += `${safeJson(row)}\n`
      if (text.length < pieceLength) continue
      await write(text)
      text = ''
    }
    await write(text)
    return code
  },
  async check(snapshot, { json }, { config }, write) {
    const { path, format } = snapshot
    const problems = [...problemsOf(snapshot)]
    const notes = config === undefined || problems.length > 0 ? [] : notesOf(snapshot, config)
    const verdict = {
      file: path,
      ok: problems.length === 0,
      format,
      problems,
      ...(notes.length === 0 ? {} : { notes }),
    }
    if (json) await write(`${safeJson(verdict)}\n`)
    else if (problems.length === 0) await write(`${safeText(path)}: ok, format ${format}\n`)
    else await write(problems.map((problem) => `${safeText(path)}: ${safeText(problem)}\n`).join(''))
    if (!json) await write(notes.map((note) => `${safeText(path)}: ${safeText(note)}\n`).join(''))
    return problems.length === 0 ? 0 : 1
  },
}

/** What is sound, and will not go on by itself. */
function notesOf(snapshot: Snapshot, { pipelines, deadLetters }: Config): string[] {
  return pipelines.flatMap((pipeline) =>
    orphansIn(snapshot, pipeline, deadLetters !== undefined).map(
      ({ action, events, place }) => `${pipeline.name}: ${events} events ${orphaned(action, place)}`,
    ),
  )
}

async function failed(
  error: unknown,
  { what, json }: StateCommand,
  { path, configured }: Target,
  write: WriteOut,
  writeError: Write,
): Promise<number> {
  if (!(error instanceof FeedooError)) throw error
  const isMissing = configured === undefined && (await fileKind(path)) === undefined
  if (what === 'check' && json && !isMissing) {
    await write(`${safeJson({ file: path, ok: false, format: null, problems: [error.message] })}\n`)
  } else {
    writeError(`feedoo: ${safeText(error.message)}\n`)
  }
  return isMissing || error.code === 'STATE_FOREIGN' ? 2 : 1
}

/** The files that are meant, or why there are none; undefined for a wrong configuration, which has been told. */
async function targetsOf({ from, pipeline }: StateCommand): Promise<Target[] | string | undefined> {
  if ('file' in from) {
    const { file } = from
    return /\.ya?ml$/.test(file) ? `${file} looks like a configuration: give it with -c` : [{ path: file }]
  }
  const { config } = await load(from.config, '', { warn: false })
  if (config === undefined) return undefined
  const names = config.pipelines.map(({ name }) => name)
  if (pipeline !== undefined && !names.includes(pipeline)) {
    const hint = didYouMean(pipeline, names) ?? `there are ${names.join(', ')}`
    return `${config.file} has no pipeline ${pipeline}, ${hint}`
  }
  const paths = new Set(stateFilesOf(config, pipeline))
  if (paths.size === 0) return `${config.file} keeps no state: it has neither state_dir nor db_path`
  const configured = new Map(config.pipelines.map((one) => [one.name, fingerprint(one)]))
  return [...paths].map((path) => ({ path, configured, config }))
}

/** The files that the pipelines of a configuration keep their state in. */
function stateFilesOf({ pipelines, stateDir }: Config, only: string | undefined): string[] {
  return pipelines
    .filter(({ name }) => only === undefined || name === only)
    .flatMap(({ name, actions }) => [
      ...(stateDir === undefined ? [] : [join(stateDir, stateFileName(name))]),
      ...actions.flatMap(({ params }) => (typeof params.db_path === 'string' ? [params.db_path] : [])),
    ])
    .map(nameOf)
}

/** The same name for the same file, as far as it is there. */
function nameOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

function refuse(why: string, writeError: Write): number {
  writeError(`feedoo: ${safeText(why)}\n`)
  return 2
}
