// `npm run bench [case...] [--lines N] [--runs K] [--json] [--enforce]`: what each case costs, beside its floor.
import { parseArgs } from 'node:util'
import { type BenchCase, defaultMemoryLimitMB } from './case.ts'
import { cases } from './cases.ts'
import { measurePair, type Pair } from './measure.ts'

/** One row of the table: medians over the runs. */
interface Row {
  case: string
  /** CPU seconds per million events. */
  floor: number
  engine: number
  /** NaN when it was not measured. */
  fluentBit: number
  /** Engine over floor, the median over the pairs. */
  ratio: number
  /** Engine over what the limit is set on, or less it where the limit is on what is added. */
  limited: number
  limit: BenchCase['limit']
  /** The highest of all runs. */
  peakMB: number
  limitMB: number
  wallSeconds: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lines: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    enforce: { type: 'boolean', default: false },
  },
})
const lines = positive('--lines', values.lines)
const runs = positive('--runs', values.runs)
const chosen = choose(positionals)

const pairs = new Map<string, Pair[]>(chosen.map((bench) => [bench.name, []]))
for (let run = 0; run < runs; run++) {
  // Floor and engine in turn, case after case: what else the machine does falls on all of them alike.
  for (const bench of chosen) pairs.get(bench.name)?.push(await measurePair(bench, lines))
}

const rows = chosen.map(toRow)
if (values.json) console.log(JSON.stringify({ lines, runs, node: process.version, rows }, null, 2))
else printTable(rows)
const passed = rows.flatMap(limitsPassed)
for (const limit of passed) console.error(limit)
if (values.enforce && passed.length > 0) process.exitCode = 1

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`${option} takes a whole number above 0, not ${text}`)
}

/** The cases named, in the order of the table, with those that their limits are set on. */
function choose(names: readonly string[]): readonly BenchCase[] {
  const unknown = names.find((name) => !cases.some((bench) => bench.name === name))
  if (unknown !== undefined) {
    throw new Error(`there is no case ${unknown}; there are ${cases.map((bench) => bench.name).join(', ')}`)
  }
  if (names.length === 0) return cases
  const named = cases.filter((bench) => names.includes(bench.name))
  return cases.filter((bench) => named.includes(bench) || named.some((other) => other.limit.of === bench.name))
}

function toRow(bench: BenchCase): Row {
  const own = pairs.get(bench.name) ?? []
  const base = bench.limit.of === 'floor' ? own.map(({ floor }) => floor) : enginesOf(bench.limit.of)
  return {
    case: bench.name,
    floor: median(own.map(({ floor }) => floor.cpu)),
    engine: median(own.map(({ engine }) => engine.cpu)),
    fluentBit: bench.fluentBit ?? Number.NaN,
    ratio: median(own.map(({ engine, floor }) => engine.cpu / floor.cpu)),
    limited: median(
      own.map(({ engine }, run) => {
        const cpu = base[run]?.cpu ?? Number.NaN
        return 'adds' in bench.limit ? engine.cpu - cpu : engine.cpu / cpu
      }),
    ),
    limit: bench.limit,
    limitMB: bench.memoryLimitMB ?? defaultMemoryLimitMB,
    peakMB: Math.max(...own.map(({ engine }) => engine.peakMB)),
    wallSeconds: median(own.map(({ engine }) => engine.wallSeconds)),
  }
}

function enginesOf(name: string): Pair['engine'][] {
  return (pairs.get(name) ?? []).map(({ engine }) => engine)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

function limitsPassed({ case: name, engine, fluentBit, limited, limit, peakMB, limitMB }: Row): string[] {
  const passed: string[] = []
  if ('adds' in limit) {
    if (limited > limit.adds) {
      passed.push(
        `${name}: ${limited.toFixed(2)} CPU s per million over ${limit.of}, at most ${limit.adds} are allowed`,
      )
    }
  } else if (limited > limit.ratio)
    passed.push(`${name}: ${limited.toFixed(2)} times ${limit.of}, at most ${limit.ratio} is allowed`)
  if (engine > fluentBit) passed.push(`${name}: ${engine.toFixed(2)} CPU s per million, Fluent Bit needs ${fluentBit}`)
  if (peakMB > limitMB) {
    passed.push(`${name}: ${peakMB.toFixed(0)} MB at its peak, at most ${limitMB} is allowed`)
  }
  return passed
}

function limitText({ limit, limited }: Row): string {
  if ('adds' in limit) return `${limited.toFixed(2)} of ${limit.adds} s over ${limit.of}`
  return limit.of === 'floor' ? `${limit.ratio}` : `${limited.toFixed(2)} of ${limit.ratio} x ${limit.of}`
}

function printTable(rows: readonly Row[]): void {
  const head = ['case', 'floor', 'engine', 'ratio', 'limit', 'Fluent Bit', 'peak MB', 'wall s']
  const body = rows.map((row) => [
    row.case,
    row.floor.toFixed(2),
    row.engine.toFixed(2),
    row.ratio.toFixed(2),
    limitText(row),
    Number.isNaN(row.fluentBit) ? '-' : row.fluentBit.toFixed(1),
    row.peakMB.toFixed(0),
    row.wallSeconds.toFixed(2),
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((cells) => cells[column]?.length ?? 0)))
  console.log(
    `${lines} lines, ${runs} runs, Node ${process.version}; floor, engine, Fluent Bit: CPU s per million events`,
  )
  for (const cells of [head, ...body]) {
    console.log(
      cells
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
  }
}
