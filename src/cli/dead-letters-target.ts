// Where a dead letter enters its pipeline again, and the input that sends it there.
import { z } from 'zod'
import type { ActionSpec, Input } from '../core/action.ts'
import type { ActionConfig, Config, PipelineConfig } from '../core/config/types.ts'
import type { Event } from '../core/event.ts'
import { Registry } from '../core/registry.ts'
import { compileMatch } from '../core/tag.ts'
import type { Letter, Line } from './dead-letters-file.ts'

/** Letters that are sent in one go, and so are safe together. */
const batchSize = 500
const inputName = 'input_dead_letters'

export interface Target {
  /** Tells it from other targets. */
  name: string
  pipeline: PipelineConfig
  /** Of the action that could not handle the letter. */
  place: number
  /** What its event goes through: the input that sends letters stands in front of that action. */
  actions: ActionConfig[]
}

/** Where a letter enters, or why it cannot. */
export function targetOf(letter: Letter, config: Config, registry: Registry): Target | string {
  const { event, action: label, nth } = letter
  if (event === undefined) return 'only the beginning of the record was kept'
  const pipeline = config.pipelines.find(({ name }) => name === letter.pipeline)
  if (pipeline === undefined) return `there is no pipeline ${letter.pipeline}`
  const { actions } = pipeline
  const place = actions.findIndex((one, at) => one.label === label && placesBefore(actions, at) === nth - 1)
  const action = actions[place]
  if (action === undefined) return `${pipeline.name} has no action ${label}${nth === 1 ? '' : ` number ${nth}`}`
  const kind = registry.get(action.name)?.kind
  const { match } = action.params
  if (kind !== 'input' && !takes(match, event)) return `${label} of ${pipeline.name} does not take the tag ${event.tag}`
  const name = JSON.stringify([pipeline.name, place])
  return { name, pipeline, place, actions: actionsFor(actions, place, registry) }
}

function placesBefore(actions: readonly ActionConfig[], place: number): number {
  return actions.slice(0, place).filter(({ label }) => label === actions[place]?.label).length
}

function takes(match: unknown, { tag }: Event): boolean {
  const isText = (value: unknown) => typeof value === 'string'
  if (isText(match)) return compileMatch(match as string)(tag)
  return Array.isArray(match) && match.every(isText) ? compileMatch(match as string[])(tag) : true
}

/**
 * An event that an output refused has long gone on to the actions behind it: it enters that output alone. Actions in front
 * are there for the names in the state, which count those of one label; events pass none of them.
 */
function actionsFor(actions: readonly ActionConfig[], place: number, registry: Registry): ActionConfig[] {
  const kindOf = ({ name }: ActionConfig) => registry.get(name)?.kind
  const sender: ActionConfig = { name: inputName, label: inputName, params: {}, at: '' }
  const target = actions[place]
  const isInput = (action: ActionConfig) => kindOf(action) === 'input'
  if (target === undefined) return []
  if (kindOf(target) === 'output') {
    const same = actions.slice(0, place).filter(({ name, label }) => name === target.name && label === target.label)
    return [...same, sender, target]
  }
  const [before, behind] = [actions.slice(0, place), actions.slice(place)]
  return [...before.filter((one) => !isInput(one)), sender, ...behind.filter((one) => !isInput(one))]
}

/** An input that sends letters; `safe` is told up to which byte of the file they are. */
export function lettersInput(
  lines: Iterable<Line>,
  safe: (end: number) => void,
): { with(registry: Registry): Registry } {
  const input: Input = {
    async run({ emit, signal }) {
      let batch: Event[] = []
      let end = 0
      const send = async () => {
        if (batch.length > 0) await emit(batch, undefined, true)
        batch = []
        safe(end)
      }
      for (const { letter, end: next } of lines) {
        if (signal.aborted) return
        if (letter?.event === undefined) continue
        batch.push(letter.event)
        end = next
        if (batch.length >= batchSize) await send()
      }
      await send()
    },
  }
  const spec: ActionSpec = {
    kind: 'input',
    name: inputName,
    summary: 'Sends dead letters.',
    params: z.strictObject({}),
    examples: [],
    lint: () => [],
    build: () => ({ kind: 'input', action: input, params: {} }),
  }
  return { with: (registry) => new Registry([...registry.all(), spec]) }
}
