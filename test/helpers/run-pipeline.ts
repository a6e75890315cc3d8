// Runs a pipeline of real actions in this thread, and hands back what came out at its end.
import { actions } from '../../src/actions/index.ts'
import type { ActionSpec } from '../../src/core/action.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { ActionConfig } from '../../src/core/config/types.ts'
import type { Event } from '../../src/core/event.ts'
import { createLogger } from '../../src/core/log.ts'
import { Pipeline, type PipelineOptions } from '../../src/core/pipeline.ts'
import { Registry } from '../../src/core/registry.ts'

export const silent = createLogger({ verbosity: 0, pretty: false })
silent.level = 'silent'

export interface Run {
  pipeline: Pipeline
  /** What came out behind the last action, so far. */
  out: Event[]
}

/** An action as in the YAML: `{ name, ...parameters }`. */
export type ActionMap = { name: string; label?: string } & Record<string, unknown>

export function actionConfig({ name, label, ...params }: ActionMap): ActionConfig {
  return { name, label: label ?? name, params, at: 'test' }
}

export function makePipeline(
  list: readonly ActionMap[],
  options: Partial<PipelineOptions> & { extra?: readonly ActionSpec[]; clock?: Clock } = {},
): Run {
  const { extra = [], ...rest } = options
  const out: Event[] = []
  const pipeline = new Pipeline(
    { name: 'test', actions: list.map(actionConfig) },
    {
      registry: new Registry([...actions, ...extra]),
      clock: systemClock,
      log: silent,
      sink: (event) => out.push(event),
      ...rest,
    },
  )
  return { pipeline, out }
}

/** Sends events through a list of actions that has no input of its own, and returns what comes out. */
export async function send(
  list: readonly ActionMap[],
  events: readonly Event[],
  options: Partial<PipelineOptions> = {},
): Promise<Event[]> {
  const { pipeline, out } = makePipeline(list, options)
  await pipeline.open()
  await pipeline.inject(events)
  await pipeline.run(new AbortController().signal)
  return out
}
