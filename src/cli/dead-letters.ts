// `feedoo dead-letters list|drop`: what could not be handled, and taking it out of the file.
import { closeSync, openSync } from 'node:fs'
import { FeedooError } from '../core/errors.ts'
import { stringifyJson } from '../core/json.ts'
import { createDateReader } from '../core/time/parse-date.ts'
import { utc } from '../core/time/zone.ts'
import type { Write } from './actions.ts'
import { isLetterFile, type Letter, linesOf, removeLines, withLetters } from './dead-letters-file.ts'
import { load } from './load.ts'
import { grouped } from './progress.ts'
import { dateText } from './state-text.ts'
import { safeJson, safeText } from './terminal.ts'

/** Which letters are meant: all of it must be so. */
export interface LetterFilter {
  pipeline?: string | undefined
  action?: string | undefined
  code?: string | undefined
  /** A date. */
  since?: string | undefined
}

export interface DeadLettersCommand extends LetterFilter {
  /** The file itself, or the configuration that names it. */
  from: { file: string } | { config: string }
}

/** Characters of a sample that are shown. */
const sampleLength = 200
/** Groups that are told apart; what is beyond comes together. */
const maxGroups = 10_000

interface Group {
  pipeline: string
  action: string
  code: string
  count: number
  /** Unix seconds. */
  first: number
  last: number
  /** The last letter. */
  sample: Letter
}

/** Exit code 0; 1 when the file cannot be read; 2 for a wrong command line or configuration. */
export async function listCommand(
  command: DeadLettersCommand & { json: boolean },
  write: Write,
  writeError: Write,
): Promise<number> {
  return onFile(command, writeError, async (file, matches) => {
    const groups = new Map<string, Group>()
    let others = 0
    const fd = openSync(file, 'r')
    try {
      for (const { letter } of linesOf(fd)) {
        if (letter === undefined) others++
        else if (matches(letter)) addTo(groups, letter)
      }
    } finally {
      closeSync(fd)
    }
    const sorted = [...groups.values()].sort((a, b) => b.count - a.count)
    const letters = sorted.reduce((sum, { count }) => sum + count, 0)
    if (command.json) write(`${safeJson({ file, letters, unreadable: others, groups: sorted.map(groupJson) })}\n`)
    else write(listText(file, sorted, letters, others))
    return 0
  })
}

/** Exit code as for `listCommand`; also 1 when the file cannot be written, or another command changes it. */
export async function dropCommand(
  command: DeadLettersCommand & { all: boolean },
  write: Write,
  writeError: Write,
): Promise<number> {
  const { pipeline, action, code, since, all } = command
  const isFiltered = [pipeline, action, code, since].some((one) => one !== undefined)
  if (isFiltered === all) {
    writeError('feedoo: say which letters with --pipeline, --action, --code or --since, or --all for all of them\n')
    return 2
  }
  return onFile(command, writeError, (file, matches) =>
    withLetters(file, async (path) => {
      // Half a line, after a crash: no filter fits it.
      let others = 0
      const removed = removeLines(path, ({ letter }) => {
        if (letter !== undefined) return matches(letter)
        if (all) others++
        return all
      })
      const besides = others === 0 ? '' : `, and ${grouped(others)} ${others === 1 ? 'line' : 'lines'} besides`
      write(`${safeText(file)}: ${lettersText(removed - others)} dropped${besides}\n`)
      return 0
    }),
  )
}

/** Reads what the command line says of the file and the letters, and tells what goes wrong with them. */
async function onFile(
  command: DeadLettersCommand,
  writeError: Write,
  work: (file: string, matches: (letter: Letter) => boolean) => Promise<number>,
): Promise<number> {
  const refuse = (why: string) => {
    writeError(`feedoo: ${safeText(why)}\n`)
    return 2
  }
  const matches = matcherOf(command)
  if (typeof matches === 'string') return refuse(matches)
  const { from } = command
  let file = 'file' in from ? from.file : undefined
  if ('config' in from) {
    const { config } = await load(from.config, '', { warn: false })
    if (config === undefined) return 2
    file = config.deadLetters
  }
  if (file === undefined) return refuse('the configuration names no file of `dead_letters`')
  try {
    if (!isLetterFile(file)) return 'file' in from ? refuse(`there is no file ${file}`) : none(file, writeError)
    return await work(file, matches)
  } catch (error) {
    writeError(`feedoo: ${safeText(sentenceOf(file, error))}\n`)
    return 1
  }
}

function none(file: string, writeError: Write): number {
  writeError(`${safeText(file)}: there are no dead letters\n`)
  return 0
}

/** What to say of an error; throws one that is a fault of ours. */
export function sentenceOf(file: string, error: unknown): string {
  if (error instanceof FeedooError) return error.message
  if (error instanceof Error && 'syscall' in error) return `${file}: ${error.message}`
  throw error
}

/** What a filter lets through, or what is wrong with it. */
export function matcherOf(filter: LetterFilter): ((letter: Letter) => boolean) | string {
  const { pipeline, action, code } = filter
  const since = filter.since === undefined ? Number.NEGATIVE_INFINITY : readTime(filter.since)
  if (Number.isNaN(since)) {
    return `--since takes a date, such as "2026-11-20 23:41:00" or "2 hours ago", not ${filter.since}`
  }
  return (letter) =>
    letter.time >= since &&
    (pipeline === undefined || letter.pipeline === pipeline) &&
    (action === undefined || letter.action === action) &&
    (code === undefined || letter.code === code)
}

function readTime(text: string): number {
  return createDateReader({ zone: utc, now: () => Date.now() / 1000 })(text)
}

function addTo(groups: Map<string, Group>, letter: Letter): void {
  const { time, pipeline, action, code } = letter
  const name = JSON.stringify([pipeline, action, code])
  const key = groups.has(name) || groups.size < maxGroups ? name : '*'
  const group = groups.get(key)
  if (group === undefined) {
    const names = key === '*' ? { pipeline: '*', action: '*', code: '*' } : { pipeline, action, code }
    groups.set(key, { ...names, count: 1, first: time, last: time, sample: letter })
    return
  }
  group.count++
  group.first = Math.min(group.first, time)
  group.last = Math.max(group.last, time)
  group.sample = letter
}

function groupJson({ sample, ...group }: Group) {
  const { reason, event } = sample
  return { ...group, sample: { reason, ...event } }
}

function listText(file: string, groups: readonly Group[], letters: number, others: number): string {
  const head = ['pipeline', 'action', 'code', 'count', 'first', 'last']
  const rows = groups.map(({ pipeline, action, code, count, first, last }) => [
    ...[pipeline, action, code].map((text) => safeText(text, 60)),
    grouped(count),
    dateText(first),
    dateText(last),
  ])
  const widths = head.map((text, column) => Math.max(text.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `${row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()}\n`
  const table = groups.map((group, index) => line(rows[index] ?? []) + sampleText(group.sample)).join('')
  const unreadable =
    others === 0
      ? ''
      : `; ${others === 1 ? '1 line is no dead letter' : `${grouped(others)} lines are no dead letters`}`
  const total = `${safeText(file)}: ${lettersText(letters)}${unreadable}\n`
  return groups.length === 0 ? total : `${line(head)}${table}${total}`
}

function sampleText({ reason, event }: Letter): string {
  const what = event === undefined ? '' : `  ${safeText(event.tag, 60)}: ${recordText(event.record)}\n`
  return `  ${safeText(reason, sampleLength)}\n${what}`
}

function recordText(record: unknown): string {
  return safeText(stringifyJson(record), sampleLength)
}

export function lettersText(count: number): string {
  return `${grouped(count)} ${count === 1 ? 'dead letter' : 'dead letters'}`
}
