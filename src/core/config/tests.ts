// The `tests:` of a configuration file: events to send through a pipeline, and the alerts that they must give.
import { z } from 'zod'
import { tagParam } from '../params.ts'
import type { Registry } from '../registry.ts'
import { createDateReader } from '../time/parse-date.ts'
import { utc } from '../time/zone.ts'
import { didYouMean } from './nearest.ts'
import type { Reporter } from './reporter.ts'
import { type Place, placeText } from './source.ts'
import { keyAt, type Tree, treeAt } from './tree.ts'
import type { PipelineConfig, TestConfig, TestStep } from './types.ts'

/** Unix seconds of 2026-01-01T00:00:00Z: when a test begins that does not say. */
const defaultStart = 1_767_225_600
/** Seconds, some thirty years: a longer time in a test is a slip. */
const longest = 1_000_000_000

const seconds = z.number().min(0).max(longest)
const record = z.record(z.string(), z.unknown())

const step = z
  .strictObject({
    log: z
      .string()
      .optional()
      .describe('A line of a log: the record is `{"log": line}`, as input_file makes it. Instead of `record`.'),
    record: record
      .optional()
      .describe('The record of the event. In its texts, and in `log`, `{time:FORMAT}` is the time of the event (UTC).'),
    tag: tagParam.optional().describe('The tag of the event, if not the one of the test.'),
    at: seconds
      .optional()
      .describe(
        'When the event arrives, in seconds from the start of the test; also its timestamp. Without it and `after`, at the time of the step before. One before the time that was reached is a late event.',
      ),
    after: seconds.optional().describe('When the event arrives, in seconds from the step before.'),
    repeat: z.int().min(1).max(1_000_000).optional().describe('Sends the event so many times.'),
    every: seconds.optional().describe('Seconds from one repetition to the next; 0 when not given.'),
    advance: seconds
      .optional()
      .describe('Instead of an event: so many seconds pass in which nothing comes. It stands alone.'),
  })
  .superRefine((step, context) => {
    // What follows from a misspelt key is not another mistake.
    if (context.issues.length > 0) return
    const fail = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const [second] = Object.keys(step).filter((key) => key !== 'advance')
    if (step.advance !== undefined) {
      if (second !== undefined) fail([second], 'this belongs to an event, and `advance` stands alone')
    } else if (step.log === undefined && step.record === undefined) {
      fail([], 'this step needs `log` or `record`, for an event, or `advance`')
    }
    if (step.log !== undefined && step.record !== undefined) fail(['log'], 'give `log` or `record`, not both')
    if (step.at !== undefined && step.after !== undefined) fail(['after'], 'give `at` or `after`, not both')
    if (step.every !== undefined && step.repeat === undefined) fail(['every'], 'this needs `repeat` beside it')
  })

const alert = z.strictObject({
  tag: z.string().min(1).optional().describe('The tag that the alert must have.'),
  at: z
    .number()
    .min(-longest)
    .max(longest)
    .optional()
    .describe('The timestamp that it must have, in seconds from the start of the test.'),
  record: record
    .optional()
    .describe('Fields that its record must have, with these values; so also in maps inside. It may have others.'),
  cause: record.optional().describe('Fields that the record of its cause must have, for a rule with `attach`.'),
})

const test = z
  .strictObject({
    name: z.string().min(1).describe('What the test shows, in a sentence.'),
    pipeline: z.string().min(1).optional().describe('Which pipeline it is about; needed when there are several.'),
    start: z
      .union([z.number(), z.string()])
      .optional()
      .superRefine((value, context) => {
        if (value === undefined || !Number.isNaN(readTime(value))) return
        context.addIssue({
          code: 'custom',
          message: 'this is not a date',
          params: { hint: 'write 2026-11-20 23:41:00' },
        })
      })
      .describe('When the test begins, as a date (UTC when it names no zone) or Unix seconds; if not 2026-01-01.'),
    tag: tagParam
      .optional()
      .describe('The tag of events that name none. Without it, the tag of the inputs, if they have only one.'),
    dns: z
      .record(z.string(), z.array(z.string()))
      .optional()
      .describe('Addresses by name, for actions that ask the DNS. Any other name does not exist.'),
    events: z
      .array(step)
      .min(1)
      .describe('What happens, step by step: each is an event, or an `advance` of the clock.'),
    alerts: z
      .array(alert)
      .min(1)
      .optional()
      .describe('The alerts that must come, all of them, in this order. Resolved ones are among them.'),
    none: z.literal(true).optional().describe('No alert must come.'),
  })
  .superRefine(({ alerts, none }, context) => {
    if (context.issues.length > 0) return
    const fail = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (alerts === undefined && none === undefined) fail([], 'this test says neither `alerts:` nor `none: true`')
    if (alerts !== undefined && none !== undefined) fail(['none'], 'there are `alerts` beside it')
  })

export const testsParam = z
  .array(test)
  .default([])
  .describe('Tests of the rules, which `feedoo test` runs: events that are sent in, and alerts that must come out.')

type WrittenTest = z.output<typeof test>
type WrittenStep = z.output<typeof step>

/** Makes tests of what is written, and reports what does not fit the pipelines. `tree` is what `written` was read from. */
export function buildTests(
  written: readonly WrittenTest[],
  tree: Tree | undefined,
  pipelines: readonly PipelineConfig[],
  registry: Registry,
  reporter: Reporter,
): TestConfig[] {
  if (tree?.kind !== 'list') return []
  return written.flatMap((one, index) => {
    const at = (path: (string | number)[]): Place =>
      treeAt(tree, [index, ...path])?.at ?? keyAt(tree, [index, ...path]) ?? tree.at
    const pipeline = pipelineOf(one, pipelines, at, reporter)
    if (pipeline === undefined) return []
    const tags = inputTags(pipeline, registry)
    const tag = one.tag ?? (tags.length === 1 ? tags[0] : undefined)
    const bare = one.events.findIndex((step) => step.advance === undefined && step.tag === undefined)
    if (tag === undefined && bare !== -1) {
      const which = tags.length === 0 ? 'no tag' : `the tags ${tags.join(', ')}`
      const why = `the inputs of the pipeline "${pipeline.name}" give ${which}`
      reporter.error(at(['events', bare]), 'this event needs a `tag`', `${why}; name one here, or for the whole test`)
      return []
    }
    return {
      name: one.name,
      pipeline: pipeline.name,
      start: one.start === undefined ? defaultStart : readTime(one.start),
      dns: one.dns ?? {},
      steps: one.events.map((step) => buildStep(step, tag ?? '')),
      alerts: one.alerts ?? [],
      at: placeText(at([])),
    }
  })
}

function pipelineOf(
  { pipeline }: WrittenTest,
  pipelines: readonly PipelineConfig[],
  at: (path: string[]) => Place,
  reporter: Reporter,
): PipelineConfig | undefined {
  const names = pipelines.map(({ name }) => name)
  const list = `there are ${names.join(', ')}`
  if (pipeline === undefined) {
    if (pipelines.length > 1) reporter.error(at([]), 'this test needs a `pipeline`', list)
    return pipelines.length > 1 ? undefined : pipelines[0]
  }
  const found = pipelines.find(({ name }) => name === pipeline)
  if (found === undefined && names.length > 0) {
    reporter.error(at(['pipeline']), `there is no pipeline "${pipeline}"`, didYouMean(pipeline, names) ?? list)
  }
  return found
}

/** The tags that the inputs say they give, each once. */
export function inputTags({ actions }: PipelineConfig, registry: Registry): string[] {
  const tags = actions.flatMap(({ name, params: { tag } }) =>
    registry.get(name)?.kind === 'input' && typeof tag === 'string' ? tag : [],
  )
  return [...new Set(tags)]
}

function buildStep(written: WrittenStep, testTag: string): TestStep {
  const { advance, log, record, tag, at, after, repeat = 1, every = 0 } = written
  if (advance !== undefined) return { kind: 'advance', seconds: advance }
  return {
    kind: 'event',
    tag: tag ?? testTag,
    record: record ?? { log },
    repeat,
    every,
    ...(at === undefined ? {} : { at }),
    ...(after === undefined ? {} : { after }),
  }
}

/** Unix seconds; NaN for what is no date. */
function readTime(value: string | number): number {
  return createDateReader({ zone: utc, now: () => defaultStart })(value)
}
