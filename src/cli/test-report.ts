// What `feedoo test` shows: a line a test, and of one that failed, what was expected and what came.
import { visible } from '../core/config/diagnostic.ts'
import type { ExpectedAlert } from '../core/config/types.ts'
import type { Event } from '../core/event.ts'
import { stringifyJson } from '../core/json.ts'
import { type Finding, round } from '../core/lab/compare.ts'
import type { TestResult } from '../core/lab/run-test.ts'

/** Alerts that are shown of one test. */
const maxFindings = 20
/** Characters of a record on a line. */
const maxRecord = 400

export interface Paint {
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  dim(text: string): string
}

const identity = (text: string) => text
const sgr = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
export const plain: Paint = { red: identity, green: identity, yellow: identity, dim: identity }
export const colors: Paint = { red: sgr(31), green: sgr(32), yellow: sgr(33), dim: sgr(2) }

/** The lines of one test, each with its end. */
export function testLines(result: TestResult, paint: Paint): string {
  const { test, passed, notes } = result
  const head = passed ? paint.green('ok  ') : paint.red('FAIL')
  const lines = [`${head}  ${visible(`${test.pipeline}: ${test.name}`)}`]
  if (!passed) lines.push(paint.dim(`      ${visible(test.at)}`), ...failureLines(result, paint).map(indented))
  lines.push(...notes.map((note) => indented(paint.yellow(`note: ${visible(note)}`))))
  return `${lines.join('\n')}\n`
}

/** What went wrong, a line each. */
export function failureLines({ test, findings, error }: TestResult, paint: Paint): string[] {
  if (error !== undefined) return [paint.red(visible(error))]
  const came = findings.filter(({ kind }) => kind !== 'missing').length
  const counts = `expected ${count(test.alerts.length)}, got ${came === 0 ? 'none' : came}`
  const shown = findings.slice(0, maxFindings).flatMap((finding, i) => findingLines(finding, i, test.start, paint))
  const more = findings.length - maxFindings
  return [counts, ...shown, ...(more > 0 ? [`and ${more} more`] : [])]
}

function count(alerts: number): string {
  if (alerts === 0) return 'no alert'
  return alerts === 1 ? '1 alert' : `${alerts} alerts`
}

function findingLines(finding: Finding, index: number, start: number, paint: Paint): string[] {
  const number = `${index + 1}.`
  switch (finding.kind) {
    case 'same':
      return [paint.dim(`  ${number} as expected`)]
    case 'missing':
      return [paint.red(`- ${number} missing: ${expectedText(finding.expected)}`)]
    case 'unexpected':
      return [paint.green(`+ ${number} not expected: ${actualText(finding.actual, start)}`)]
    case 'differs':
      return [
        `  ${number} differs: ${actualText(finding.actual, start)}`,
        ...finding.differences.flatMap(({ path, expected, actual }) => [
          paint.red(`-      ${visible(path)}: ${json(expected)}`),
          paint.green(`+      ${visible(path)}: ${actual === undefined ? '(absent)' : json(actual)}`),
        ]),
      ]
  }
}

function expectedText({ tag, at, record, cause }: ExpectedAlert): string {
  const parts = [tag, at === undefined ? undefined : `at ${at}`, record === undefined ? undefined : json(record)]
  if (cause !== undefined) parts.push(`cause ${json(cause)}`)
  const text = parts.filter((part) => part !== undefined).join(' ')
  return visible(text === '' ? 'any alert' : text)
}

function actualText({ tag, timestamp, record }: Event, start: number): string {
  return visible(`${tag} at ${round(timestamp - start)} ${json(record)}`)
}

function json(value: unknown): string {
  const text = stringifyJson(value)
  return visible(text.length > maxRecord ? `${text.slice(0, maxRecord)}...` : text)
}

function indented(line: string): string {
  return `      ${line}`
}
