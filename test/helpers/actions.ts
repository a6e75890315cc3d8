// Small actions for tests of the engine: each does one thing that a test wants to see.
import { z } from 'zod'
import {
  type ActionContext,
  type ActionSpec,
  defineAction,
  type Example,
  type Filter,
  type Input,
  type Output,
} from '../../src/core/action.ts'
import { matchParam, outputParams } from '../../src/core/params.ts'

const examples: [Example] = [{ title: 'none', yaml: '', out: [] }]
const summary = 'For tests.'

/** A filter that is called `filter_<name>`. */
export function filter(name: string, create: (context: ActionContext) => Filter): ActionSpec {
  const params = z.strictObject({ match: matchParam, time: z.enum(['event', 'arrival']).default('event') })
  return defineAction({
    kind: 'filter',
    name: `filter_${name}`,
    summary,
    params,
    examples,
    create: (_, context) => create(context),
  })
}

/** An output that is called `output_<name>`, with the engine's own parameters. */
export function output(name: string, made: Output): ActionSpec {
  const params = z.strictObject({ ...outputParams })
  return defineAction({ kind: 'output', name: `output_${name}`, summary, params, examples, create: () => made })
}

/** An input that is called `input_<name>`. */
export function input(name: string, made: Input): ActionSpec {
  return defineAction({
    kind: 'input',
    name: `input_${name}`,
    summary,
    params: z.strictObject({}),
    examples,
    create: () => made,
  })
}
