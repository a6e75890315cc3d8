// `feedoo test`: does every rule alert when it should, and only then?
import { writeFile } from 'node:fs/promises'
import { didYouMean } from '../core/config/nearest.ts'
import type { Config } from '../core/config/types.ts'
import { FeedooError } from '../core/errors.ts'
import { fileReason } from '../core/file-reason.ts'
import { isRule } from '../core/lab/lab.ts'
import { runTest, type TestResult } from '../core/lab/run-test.ts'
import type { Registry } from '../core/registry.ts'
import type { Write } from './actions.ts'
import { load } from './load.ts'
import { junit } from './test-junit.ts'
import { colors, type Paint, plain, testLines } from './test-report.ts'

export interface TestOptions {
  file: string
  /** Where to write JUnit XML. */
  junit?: string | undefined
  /** Only the tests of this pipeline. */
  pipeline?: string | undefined
}

/** Exit code 0 when every test passes, also when there is none; 1 when one fails; 2 for a wrong configuration. */
export async function testCommand(options: TestOptions, write: Write, writeError: Write): Promise<number> {
  const { config, registry } = await load(options.file, 'nothing was tested', { warn: false })
  if (config === undefined) return 2
  const names = config.pipelines.map(({ name }) => name)
  const { pipeline: only } = options
  if (only !== undefined && !names.includes(only)) {
    const hint = didYouMean(only, names) ?? `there are ${names.join(', ')}`
    writeError(`feedoo: ${options.file} has no pipeline ${only}, ${hint}\n`)
    return 2
  }
  const isWanted = (pipeline: string) => only === undefined || pipeline === only
  const paint = process.stdout.isTTY === true && process.env.NO_COLOR === undefined ? colors : plain
  const began = performance.now()
  const results: TestResult[] = []
  for (const test of config.tests.filter(({ pipeline }) => isWanted(pipeline))) {
    const pipeline = config.pipelines.find(({ name }) => name === test.pipeline)
    if (pipeline === undefined) continue
    const result = await runTest(test, pipeline, registry)
    write(testLines(result, paint))
    results.push(result)
  }
  write(summary(options.file, results, performance.now() - began, paint))
  write(untestedRules(config, registry, results, isWanted))
  if (options.junit !== undefined) await writeReport(options.junit, junit(options.file, results))
  return results.every(({ passed }) => passed) ? 0 : 1
}

function summary(file: string, results: readonly TestResult[], milliseconds: number, paint: Paint): string {
  if (results.length === 0) return `${file}: no tests\n`
  const failed = results.filter(({ passed }) => !passed).length
  const passed = `${results.length - failed} passed`
  const tests = results.length === 1 ? '1 test' : `${results.length} tests`
  const outcome = failed === 0 ? paint.green(passed) : `${passed}, ${paint.red(`${failed} failed`)}`
  return `${file}: ${tests}, ${outcome} in ${milliseconds.toFixed(0)} ms\n`
}

/** The rules that no passing test has made alert. */
function untestedRules(
  config: Config,
  registry: Registry,
  results: readonly TestResult[],
  isWanted: (pipeline: string) => boolean,
): string {
  const untested = config.pipelines
    .filter(({ name }) => isWanted(name))
    .flatMap(({ name, actions }) =>
      actions.flatMap((action, place) => {
        if (!isRule(registry.get(action.name))) return []
        const tested = results.some(({ test, rules }) => test.pipeline === name && rules.has(place))
        return tested ? [] : `  ${name}: ${action.label} (${action.at})\n`
      }),
    )
  return untested.length === 0 ? '' : `rules that no test has made alert:\n${untested.join('')}`
}

async function writeReport(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (cause) {
    throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot write ${path}: ${fileReason(cause, 'file')}`, { cause })
  }
}
