// What `feedoo state show` prints of one state file.
import { stringifyJson } from '../core/json.ts'
import type { FileSummary, KeysSummary, PipelineSummary } from '../core/state/inspect.ts'
import { grouped } from './progress.ts'
import { safeText } from './terminal.ts'

/** Characters of a value that are shown. */
const shownLength = 120

export interface Configured {
  /** Unix seconds. */
  now: number
  /** Fingerprints of what is configured now, by pipeline. */
  configured: ReadonlyMap<string, string> | undefined
}

export function summaryText(summary: FileSummary, context: Configured): string {
  const { file, format, created, bytes, pipelines } = summary
  const head = `${safeText(file)}: format ${format}, made ${safeText(created)}, ${sizeText(bytes)}\n`
  return head + pipelines.map((one) => pipelineText(one, context)).join('')
}

function pipelineText(summary: PipelineSummary, { now, configured }: Configured): string {
  const { pipeline, commits, last_commit, configuration, clocks, actions, positions, rules, buffers, marks } = summary
  const lines = [`  ${safeText(pipeline)}`]
  const when = last_commit === null ? 'never' : `${dateText(last_commit)}, ${ageText(now - last_commit)}`
  lines.push(`    commits: ${grouped(commits)}, the last ${when}`)
  if (configuration !== null) {
    lines.push(`    configuration: ${safeText(configuration)}${comparison(configuration, configured, pipeline)}`)
  }
  for (const [name, clock] of Object.entries(clocks)) lines.push(`    clock ${safeText(name)}: ${valueText(clock)}`)
  for (const { action, place, configured } of actions) {
    const now = configured ? '' : ' (no longer configured)'
    if (place !== '' || !configured)
      lines.push(`    place of ${safeText(action)}: ${safeText(place, shownLength)}${now}`)
  }
  for (const one of positions) lines.push(...keysLines('position of', one))
  for (const { action, segments, bytes, keys } of rules) {
    const held =
      keys === null
        ? 'a form of its own'
        : Object.entries(keys)
            .map(([section, count]) => `${safeText(section)} ${grouped(count)}`)
            .join(', ')
    lines.push(`    keys of ${safeText(action)}: ${held} (${count(segments, 'segment')}, ${sizeText(bytes)})`)
  }
  for (const { action, batches, events, bytes } of buffers) {
    const waiting = `${count(events, 'event')} in ${count(batches, 'batch', 'batches')}, ${sizeText(bytes)}`
    lines.push(`    buffer of ${safeText(action)}: ${waiting}`)
  }
  for (const one of marks) lines.push(...keysLines('mark of', one))
  return `${lines.join('\n')}\n`
}

function comparison(fingerprint: string, configured: Configured['configured'], pipeline: string): string {
  if (configured === undefined) return ''
  const now = configured.get(pipeline)
  if (now === undefined) return ' (there is no such pipeline any more)'
  return now === fingerprint ? ' (as it is now)' : ` (now it is ${now})`
}

function keysLines(what: string, { action, keys, first }: KeysSummary): string[] {
  const lines = first.map(
    ({ key, value }) => `    ${what} ${safeText(action)}: ${safeText(key, shownLength)} = ${valueText(value)}`,
  )
  if (keys > first.length) lines.push(`    ${what} ${safeText(action)}: and ${grouped(keys - first.length)} more`)
  return lines
}

function valueText(value: unknown): string {
  return safeText(stringifyJson(value), shownLength)
}

/** A time as people read it, in UTC. */
export function dateText(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime())
    ? String(seconds)
    : date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, ' UTC')
}

function ageText(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s ago`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} days ago`
}

function sizeText(bytes: number): string {
  if (bytes < 10_000) return `${grouped(bytes)} bytes`
  return bytes < 10_000_000 ? `${grouped(Math.round(bytes / 1000))} kB` : `${grouped(Math.round(bytes / 1_000_000))} MB`
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${grouped(number)} ${number === 1 ? one : many}`
}
