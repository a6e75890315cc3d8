// What `feedoo replay` shows at its end: alerts by rule and key, and over time.
import { visible } from '../core/config/diagnostic.ts'
import type { PipelineConfig } from '../core/config/types.ts'
import type { Count } from '../core/lab/alert-tally.ts'
import type { HistoryCounts } from '../core/lab/history.ts'
import type { Replay } from '../core/lab/replay.ts'
import { grouped } from './progress.ts'

/** Keys of a rule that are shown: those with most alerts. */
const topKeys = 10
/** Characters shown of a key. */
const maxKey = 48
const maxBars = 24
/** Characters of the longest bar. */
const barLength = 40

export interface ReportOptions {
  config: PipelineConfig
  replay: Replay
  counts: HistoryCounts
  files: number
  /** Of the wall clock, and of the processor. */
  seconds: { wall: number; cpu: number }
}

export function replayReport(options: ReportOptions): string {
  return [head(options), table(options), ...histogram(options.replay), ...troubles(options)].join('\n')
}

function head({ replay, counts, files, seconds }: ReportOptions): string {
  const span = Number.isNaN(replay.first) ? '' : `, ${moment(replay.first)} to ${moment(replay.last)} UTC`
  const time = `${seconds.wall.toFixed(1)} s (CPU ${seconds.cpu.toFixed(1)} s)`
  return `${plural(counts.lines, 'line')} of ${plural(files, 'file')} in ${time}${span}\n`
}

function table({ config, replay }: ReportOptions): string {
  const rows: string[][] = [['rule', 'key', 'alerts', 'resolved', 'suppressed', 'first', 'last']]
  for (const [place, rule] of [...replay.tally.rules].sort(([a], [b]) => a - b)) {
    const label = visible(config.actions[place]?.label ?? '')
    const suppressed = replay.stats[place]?.counters.suppressed ?? rule.suppressed
    rows.push(row(label, rule.keys.size === 0 ? '' : keyCount(rule.keys.size, rule.moreKeys), { ...rule, suppressed }))
    const keys = [...rule.keys].sort(([a, x], [b, y]) => y.alerts - x.alerts || (a < b ? -1 : 1))
    for (const [key, count] of keys.slice(0, topKeys)) rows.push(row('', `  ${keyText(key)}`, count))
    if (keys.length > topKeys) rows.push(['', `  and ${grouped(keys.length - topKeys)} more`, '', '', '', '', ''])
  }
  if (rows.length === 1) return 'no alerts\n'
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  const isNumber = (column: number) => column >= 2 && column <= 4
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

function row(label: string, key: string, { alerts, resolved, suppressed, first, last }: Count): string[] {
  const times = Number.isNaN(first) ? ['', ''] : [moment(first), moment(last)]
  return [label, key, grouped(alerts), grouped(resolved), grouped(suppressed), ...times]
}

function keyCount(keys: number, more: boolean): string {
  return more ? `more than ${grouped(keys)} keys` : plural(keys, 'key')
}

/** A text as it is, anything else as JSON. */
function keyText(json: string): string {
  const value: unknown = JSON.parse(json)
  const text = visible(typeof value === 'string' ? value : json)
  return text.length > maxKey ? `${text.slice(0, maxKey - 3)}...` : text
}

function histogram({ tally }: Replay): string[] {
  const { width, bars } = tally.histogram(maxBars)
  if (bars.length === 0) return []
  const most = Math.max(...bars.map(({ alerts }) => alerts))
  const lines = bars.map(({ from, alerts }) => {
    const bar = '#'.repeat(Math.ceil((alerts / most) * barLength))
    return `${moment(from)}  ${bar}${alerts === 0 ? '' : ` ${grouped(alerts)}`}`.trimEnd()
  })
  return [`alerts by ${duration(width)}:`, ...lines, '']
}

function troubles({ replay, counts }: ReportOptions): string[] {
  const lines: string[] = []
  if (counts.unreadable > 0) {
    const more = counts.unreadable > counts.samples.length ? ['...'] : []
    lines.push(`${plural(counts.unreadable, 'line')} could not be read:`, ...[...counts.samples, ...more].map(indented))
  }
  if (counts.timeless > 0)
    lines.push(`${plural(counts.timeless, 'line')} had no time but what the pipeline reads in them`)
  lines.push(...replay.notes.map((note) => `note: ${visible(note)}`))
  lines.push(...replay.damaged.map((reason) => `cannot read ${visible(reason)}`))
  return lines.length === 0 ? [] : [...lines, '']
}

function indented(line: string): string {
  return `  ${visible(line)}`
}

/** `2026-11-20 23:41:02`, in UTC. */
function moment(time: number): string {
  const date = new Date(time * 1000)
  if (Number.isNaN(date.getTime())) return String(time)
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

function duration(seconds: number): string {
  if (seconds >= 86_400) return plural(seconds / 86_400, 'day')
  if (seconds >= 3600) return plural(seconds / 3600, 'hour')
  return seconds >= 60 ? plural(seconds / 60, 'minute') : plural(seconds, 'second')
}

function plural(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`
}
