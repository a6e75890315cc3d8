// The results of `feedoo test` as JUnit XML, which CI systems show.
import type { TestResult } from '../core/lab/run-test.ts'
import { failureLines, plain } from './test-report.ts'

/** The XML of a file's tests. */
export function junit(file: string, results: readonly TestResult[]): string {
  const failures = results.filter(({ passed, error }) => !passed && error === undefined).length
  const errors = results.filter(({ error }) => error !== undefined).length
  const time = seconds(results.reduce((sum, { milliseconds }) => sum + milliseconds, 0))
  const counts = `tests="${results.length}" failures="${failures}" errors="${errors}" time="${time}"`
  const cases = results.map(testCase).join('')
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts}>\n  <testsuite name="${xmlText(file)}" ${counts}>\n${cases}  </testsuite>\n</testsuites>\n`
}

function testCase(result: TestResult): string {
  const { test, error, passed, notes, milliseconds } = result
  const lines = failureLines(result, plain)
  const kind = error === undefined ? 'failure' : 'error'
  const failed = passed
    ? ''
    : `      <${kind} message="${xmlText(lines[0] ?? '')}">${xmlText([test.at, ...lines].join('\n'))}</${kind}>\n`
  const out = notes.length === 0 ? '' : `      <system-out>${xmlText(notes.join('\n'))}</system-out>\n`
  const attributes = `classname="${xmlText(test.pipeline)}" name="${xmlText(test.name)}" time="${seconds(milliseconds)}"`
  return `    <testcase ${attributes}>\n${failed}${out}    </testcase>\n`
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3)
}

/** Text for an element or an attribute. What XML 1.0 cannot hold is written out as `\u0000`. */
function xmlText(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|\p{Cs}/gu, (char) => {
        return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
      })
      // An attribute would turn them into spaces.
      .replace(/[\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`)
  )
}
