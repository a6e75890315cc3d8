// `npx tsx bench/matching.ts [--lines N] [--runs K]`: the matcher of filter_matching_list alone, beside aho-corasick-node.
//
// It runs in this process and writes nothing, so it is no case of run.ts, which has the whole action in a pipeline. Lists and lines come from a seed: domains, addresses,
// hashes and file names, and lines of 130 characters as they come out of a file, one in twenty with a word of the list.
// The last list is a small one of words that overlap; on it, the misses of aho-corasick-node show.
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { buildMatcher, buildMatcherInSteps } from '../src/core/rules/aho-corasick.ts'
import { lineLength, lineWith, wordList } from './matching-data.ts'
import { int, pick, seeded } from './random.ts'

interface Case {
  name: string
  words: readonly string[]
  lines: readonly string[]
}

/** What is shown of one matcher on one case. */
interface Row {
  buildSeconds: number
  longestStepMs: number
  memoryMB: number
  /** Median over the runs. */
  linesPerSecond: number
  /** Pairs of a line and a word. */
  found: number
  missed: number
}

/** What aho-corasick-node has. */
interface NodePackage {
  builder(): { add(word: string): void; build(): { match(text: string): string[]; data: Record<string, Int32Array> } }
}

const { values } = parseArgs({
  options: { lines: { type: 'string', default: '200000' }, runs: { type: 'string', default: '5' } },
})
const lineCount = positive('--lines', values.lines)
const runs = positive('--runs', values.runs)
/** Lines that aho-corasick-node is given, for it is slow. */
const otherLines = 2000
const other: NodePackage = createRequire(import.meta.url)('aho-corasick-node')

console.log(`${lineCount} lines of ${lineLength} characters, ${runs} runs, Node ${process.version}; CPU seconds`)
for (const count of [10, 1000, 100_000]) show(realistic(count))
show(overlapping())

function show({ name, words, lines }: Case): void {
  const few = lines.slice(0, otherLines)
  const ours = measureOurs(words, lines, false)
  const folded = measureOurs(words, lines, true)
  const theirs = measureOther(words, few)
  console.log(`\n${name}`)
  print('feedoo', ours, lines.length)
  print('feedoo, ignore case', folded, lines.length)
  print('aho-corasick-node', theirs, few.length)
}

function print(name: string, row: Row, lines: number): void {
  const longest = Number.isNaN(row.longestStepMs) ? '' : ` in steps of at most ${row.longestStepMs.toFixed(1)} ms`
  const found = `found ${row.found} in ${lines} lines${row.missed !== 0 ? `, MISSED ${row.missed}` : ''}`
  console.log(
    `  ${name.padEnd(20)} ${Math.round(row.linesPerSecond).toLocaleString('en')} lines/s; ` +
      `built in ${row.buildSeconds.toFixed(3)} s${longest}; ${row.memoryMB.toFixed(2)} MB; ${found}`,
  )
}

function measureOurs(words: readonly string[], lines: readonly string[], ignoreCase: boolean): Row {
  const before = process.cpuUsage()
  const steps = buildMatcherInSteps(words, { ignoreCase })
  let longestStepMs = 0
  let matcher = buildMatcher([], {})
  for (let done = false; !done; ) {
    const start = performance.now()
    const step = steps.next()
    longestStepMs = Math.max(longestStepMs, performance.now() - start)
    if (step.done) matcher = step.value
    done = step.done === true
  }
  const buildSeconds = secondsSince(before)
  let found = 0
  const linesPerSecond = median(
    Array.from({ length: runs }, () => {
      // As a tail gives them: slices of a longer text, not looked at before.
      const fresh = lines.join('\n').split('\n')
      found = 0
      const start = process.cpuUsage()
      for (const line of fresh) found += matcher.find(line).length
      return fresh.length / secondsSince(start)
    }),
  )
  // Against the definition, on as many lines as can be waited for.
  const some = lines.slice(0, Math.ceil(5_000_000 / words.length))
  const missed = some.reduce((sum, line) => sum + misses(words, line, matcher.find(line), ignoreCase), 0)
  return { buildSeconds, longestStepMs, memoryMB: matcher.bytes / 1e6, linesPerSecond, found, missed }
}

/** Words of the line, by the definition, less those that were found. */
function misses(words: readonly string[], line: string, found: readonly number[], ignoreCase: boolean): number {
  const text = ignoreCase ? line.toLowerCase() : line
  const all = words.reduce((sum, word) => sum + (text.includes(ignoreCase ? word.toLowerCase() : word) ? 1 : 0), 0)
  return all - found.length
}

function measureOther(words: readonly string[], lines: readonly string[]): Row {
  const ours = buildMatcher(words, {})
  const before = process.cpuUsage()
  const builder = other.builder()
  for (const word of words) builder.add(word)
  const matcher = builder.build()
  const buildSeconds = secondsSince(before)
  const bytes = Object.values(matcher.data).reduce((sum, array) => sum + array.byteLength, 0)
  let found = 0
  let missed = 0
  const start = process.cpuUsage()
  const matches = lines.map((line) => matcher.match(line))
  const linesPerSecond = lines.length / secondsSince(start)
  for (const [index, line] of lines.entries()) {
    const set = new Set(matches[index])
    found += set.size
    for (const word of ours.find(line)) if (!set.has(words[word] ?? '')) missed++
  }
  return { buildSeconds, longestStepMs: Number.NaN, memoryMB: bytes / 1e6, linesPerSecond, found, missed }
}

function realistic(count: number): Case {
  const words = wordList(count)
  const random = seeded(count + 1)
  const lines = Array.from({ length: lineCount }, () => lineWith(random, words))
  return { name: `${words.length} words`, words, lines }
}

/** Words that begin in each other: fragments of a few letters. */
function overlapping(): Case {
  const random = seeded(7)
  const text = (length: number): string => Array.from({ length }, () => pick(random, ['a', 'b', 'c', 'd'])).join('')
  const words = [...new Set(['abcx', 'bc', 'cd', ...Array.from({ length: 100 }, () => text(int(random, 4, 9)))])]
  const lines = Array.from({ length: Math.ceil(lineCount / 10) }, () => text(lineLength))
  return { name: `${words.length} words that overlap, abcx, bc and cd among them`, words, lines }
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`${option} takes a whole number above 0, not ${text}`)
}
