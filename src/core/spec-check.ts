// Checks at run time what the types of `defineAction` promise, for actions that others wrote in plain JavaScript.
import { z } from 'zod'
import { inputSchema, parametersOf } from './reference.ts'

const kinds: readonly unknown[] = ['input', 'parser', 'filter', 'output']

/** The first mistake in what a plugin exports as an action, as a sentence; undefined when there is none. */
export function specMistake(spec: object): string | undefined {
  const { kind, name, summary, params, examples, build }: Record<string, unknown> = { ...spec }
  if (typeof name !== 'string') return 'an action has no `name`'
  if (!kinds.includes(kind))
    return `${name}: \`kind\` must be input, parser, filter or output, not ${JSON.stringify(kind)}`
  if (!new RegExp(`^${String(kind)}_[a-z0-9_]+$`).test(name)) {
    return `${name}: the name of ${withArticle(kind)} must be \`${String(kind)}_\` and small letters, digits or underscores`
  }
  if (typeof build !== 'function') return `${name}: wrap the object in defineAction(...)`
  if (typeof summary !== 'string' || summary === '') return `${name}: it needs a \`summary\`, one sentence`
  if (!(params instanceof z.ZodObject)) return `${name}: \`params\` must be z.strictObject({...})`
  if (inputSchema(params).additionalProperties === undefined) {
    return `${name}: make \`params\` with z.strictObject({...}), so that a misspelt parameter is reported`
  }
  if (!Array.isArray(examples) || examples.length === 0) return `${name}: it needs at least one entry in \`examples\``
  const bare = parametersOf(params).find(({ description }) => description === '')
  return bare === undefined ? undefined : `${name}: the parameter \`${bare.name}\` needs .describe('...')`
}

function withArticle(kind: unknown): string {
  return kind === 'input' || kind === 'output' ? `an ${kind}` : `a ${String(kind)}`
}
