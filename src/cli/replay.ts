// `feedoo replay`: what would the rules have said about what was recorded?
import { stat } from 'node:fs/promises'
import { didYouMean } from '../core/config/nearest.ts'
import { expandGlob } from '../core/config/path-glob.ts'
import { inputTags } from '../core/config/tests.ts'
import type { Config, PipelineConfig } from '../core/config/types.ts'
import { FeedooError } from '../core/errors.ts'
import { fileKind } from '../core/file-kind.ts'
import { History } from '../core/lab/history.ts'
import { replay } from '../core/lab/replay.ts'
import { globMistake } from '../core/tag.ts'
import { createDateReader } from '../core/time/parse-date.ts'
import { utc } from '../core/time/zone.ts'
import type { Write } from './actions.ts'
import { load } from './load.ts'
import { alertFile } from './replay-alerts.ts'
import { replayReport } from './replay-report.ts'

export interface ReplayCommand {
  file: string
  /** Needed when there are several. */
  pipeline?: string | undefined
  /** Paths and globs. */
  from: readonly string[]
  /** `max`, or how many times faster than it was. */
  speed: string
  /** Where alerts are written as JSON lines; `-` for the standard output. */
  alerts?: string | undefined
  tag?: string | undefined
  timeKey: string
  raw: boolean
  /** A date. */
  now?: string | undefined
  dns: boolean
}

/** Exit code 0; 1 when a file could not be read to its end, or the alerts not be written; 2 for what was not started. */
export async function replayCommand(command: ReplayCommand, write: Write, writeError: Write): Promise<number> {
  const { config, registry } = await load(command.file, 'nothing was replayed', { warn: false })
  if (config === undefined) return 2
  const refuse = (why: string) => {
    writeError(`feedoo: ${why}\n`)
    return 2
  }
  const pipeline = pipelineOf(config, command)
  if (typeof pipeline === 'string') return refuse(pipeline)
  const speed = command.speed === 'max' ? Number.POSITIVE_INFINITY : Number(command.speed)
  if (!(speed > 0)) return refuse(`--speed takes max, or how many times faster it goes, not ${command.speed}`)
  const now = command.now === undefined ? undefined : readTime(command.now)
  if (Number.isNaN(now)) return refuse(`--now takes a date, such as "2026-11-20 23:41:00", not ${command.now}`)
  const files: string[] = []
  for (const from of command.from) {
    // A path that is there is no glob, whatever its name.
    const isPath = (await fileKind(from)) !== undefined
    const mistake = isPath ? undefined : globMistake(from)
    if (mistake !== undefined) return refuse(`--from ${from}: ${mistake.message}`)
    const found = isPath ? [from] : await expandGlob(from, '.')
    if (found.length === 0) return refuse(`--from ${from}: no file matches`)
    files.push(...found.filter((file) => !files.includes(file)))
  }
  const { alerts } = command
  const same = await sameFile(alerts, [...files, command.file])
  if (same !== undefined) return refuse(`--alerts would write over ${same}, which is read`)
  const tags = inputTags(pipeline, registry)
  const tag = command.tag ?? tags[0]
  if (tag === undefined || (command.tag === undefined && tags.length > 1)) {
    const which = tags.length === 0 ? 'no tag' : `the tags ${tags.join(', ')}`
    return refuse(`the inputs of ${pipeline.name} give ${which}: say with --tag which one lines have`)
  }

  const began = { wall: performance.now(), cpu: process.cpuUsage() }
  const history = new History({ tag, timeKey: command.timeKey, raw: command.raw, now })
  const out = alerts === undefined ? undefined : alertFile(alerts)
  try {
    const result = await replay({
      config: pipeline,
      registry,
      history,
      files,
      speed,
      realDns: command.dns,
      alert: ({ event }) => out?.add(event),
      ...(speed === Number.POSITIVE_INFINITY ? {} : { batchDone: () => out?.flush() }),
    })
    const { user, system } = process.cpuUsage(began.cpu)
    const seconds = { wall: (performance.now() - began.wall) / 1000, cpu: (user + system) / 1e6 }
    // What does not reach the file is a failure, and no report stands above it.
    out?.flush()
    const { counts } = history
    const show = alerts === '-' ? writeError : write
    show(replayReport({ config: pipeline, replay: result, counts, files: files.length, seconds }))
    return result.damaged.length === 0 ? 0 : 1
  } catch (error) {
    // As in `feedoo replay ... --alerts - | head`: nothing has failed.
    if (error instanceof FeedooError && error.code === 'STDOUT_CLOSED') return 0
    throw error
  } finally {
    out?.close()
  }
}

/** The pipeline, or why there is none. */
function pipelineOf({ file, pipelines }: Config, { pipeline: name }: ReplayCommand): PipelineConfig | string {
  const names = pipelines.map((one) => one.name)
  const [only] = pipelines
  if (name === undefined && only !== undefined && pipelines.length === 1) return only
  if (name === undefined)
    return `${file} has ${names.length} pipelines: say with --pipeline which one, of ${names.join(', ')}`
  const found = pipelines.find((one) => one.name === name)
  return found ?? `${file} has no pipeline ${name}, ${didYouMean(name, names) ?? `there are ${names.join(', ')}`}`
}

/** The one of the files that `path` is too, by whatever name. */
async function sameFile(path: string | undefined, files: readonly string[]): Promise<string | undefined> {
  const identity = async (file: string) => {
    const found = await stat(file, { bigint: true }).catch(() => undefined)
    return found?.isFile() ? `${found.dev}:${found.ino}` : undefined
  }
  // Neither a file that is yet to be made, nor a terminal or a pipe, is written over.
  const written = path === undefined || path === '-' ? undefined : await identity(path)
  if (written === undefined) return undefined
  for (const file of files) if ((await identity(file)) === written) return file
  return undefined
}

/** Unix seconds; NaN for what is no date. */
function readTime(text: string): number {
  return createDateReader({ zone: utc, now: () => Date.now() / 1000 })(text)
}
