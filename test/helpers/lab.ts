// What the tests of `feedoo test` and `feedoo replay` share: configurations with rules that do what the test says.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { actions } from '../../src/actions/index.ts'
import { type ActionSpec, defineAction } from '../../src/core/action.ts'
import { formatDiagnostic } from '../../src/core/config/diagnostic.ts'
import { loadConfig } from '../../src/core/config/load.ts'
import type { Config, PipelineConfig } from '../../src/core/config/types.ts'
import type { Event } from '../../src/core/event.ts'
import { Registry } from '../../src/core/registry.ts'
import { scratchFolder } from './daemon.ts'

/** Alerts on each event that has a field `bad`, with that value, and every `every` seconds by the clock. */
export const filterProbe = defineAction({
  kind: 'filter',
  name: 'filter_probe',
  summary: 'A rule of the tests.',
  params: z.strictObject({
    match: z.string().default('*'),
    tag: z.string().default('alert'),
    alert: z.record(z.string(), z.unknown()).default({}),
    time: z.enum(['event', 'arrival']).default('event'),
    every: z.number().optional(),
  }),
  examples: [{ title: 'None', yaml: '', out: [] }],
  create({ tag, every }, { label, pipeline, time }) {
    let number = 0
    const alertAt = (timestamp: number, fields: Record<string, unknown>, cause?: unknown): Event => ({
      tag,
      timestamp,
      record: { rule: label, ...fields },
      metadata: { id: `id-${number++}`, rule: label, pipeline, ...(cause === undefined ? {} : { cause }) },
    })
    const look = (event: Event) =>
      'bad' in event.record
        ? alertAt(time.timeOf(event), { bad: event.record.bad, now: time.now }, structuredClone(event.record))
        : undefined
    if (every === undefined) {
      return {
        apply(event, emit) {
          const alert = look(event)
          emit(event)
          if (alert !== undefined) emit(alert)
        },
      }
    }
    let due = time.now + every
    return {
      get due() {
        return due
      },
      apply(event, emit) {
        const alert = look(event)
        emit(event)
        if (alert !== undefined) emit(alert)
      },
      tick(now, emit) {
        due = now + every
        emit(alertAt(now, { tick: true }))
      },
    }
  },
})

/** An input and an output that must never be made, and a filter that cannot be opened. */
export const untouchable: ActionSpec[] = [
  defineAction({
    kind: 'input',
    name: 'input_untouchable',
    summary: 'An input of the tests.',
    params: z.strictObject({ tag: z.string() }),
    examples: [{ title: 'None', yaml: '', out: [] }],
    create: () => {
      throw new Error('an input was made')
    },
  }),
  defineAction({
    kind: 'filter',
    name: 'filter_locked',
    summary: 'A filter of the tests that cannot be opened.',
    params: z.strictObject({}),
    examples: [{ title: 'None', yaml: '', out: [] }],
    create: () => ({
      open: async () => {
        throw new Error('it is locked')
      },
      apply: (event, emit) => emit(event),
    }),
  }),
  defineAction({
    kind: 'output',
    name: 'output_untouchable',
    summary: 'An output of the tests.',
    params: z.strictObject({ match: z.string().default('*') }),
    examples: [{ title: 'None', yaml: '', out: [] }],
    create: () => {
      throw new Error('an output was made')
    },
  }),
]

export const labRegistry = new Registry([...actions, filterProbe, ...untouchable])

/** Loads a configuration text. Throws with its diagnostics when it is wrong. */
export async function labConfig(yaml: string): Promise<Config> {
  const file = join(await scratchFolder(), 'lab.yaml')
  await writeFile(file, yaml)
  const { config, diagnostics } = await loadConfig(file, { env: {}, loadRegistry: async () => labRegistry })
  if (config === undefined) throw new Error(diagnostics.map((one) => formatDiagnostic(one)).join('\n'))
  return config
}

/** The one pipeline of a configuration: `middle` between an input with the tag `in` and an output that takes `alert*`. */
export function around(middle: string, more = ''): string {
  return `pipelines:
  p:
    - { name: input_untouchable, tag: in }
${middle.replace(/^/gm, '    ')}
    - { name: output_untouchable, match: "alert*" }
${more}`
}

export function onlyPipeline({ pipelines: [pipeline] }: Config): PipelineConfig {
  if (pipeline === undefined) throw new Error('there is no pipeline')
  return pipeline
}
