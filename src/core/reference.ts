// What the documentation knows of an action, read from its spec: the page, the terminal and `--json` all show this.
import { z } from 'zod'
import type { ActionSpec, Example, ExampleEvent } from './action.ts'
import { stringifyJson } from './json.ts'
import { asSchema, limitsOf, type Schema, typeInWords } from './type-words.ts'

export interface Reference {
  kind: ActionSpec['kind']
  name: string
  summary: string
  /** Markdown. */
  details?: string
  parameters: Parameter[]
  examples: readonly Example[]
}

export interface Parameter {
  /** With the way to it for a nested one: `tls.cert`, `keys.*.name`, `rules[].name`. */
  name: string
  /** For people: `whole number, at least 1`. */
  type: string
  /** Unit and meaning, in Markdown. Empty when the spec says nothing. */
  description: string
  required: boolean
  default?: unknown
  /** Allowed values, when they are a fixed set. */
  values?: unknown[]
  minimum?: number
  maximum?: number
}

export function referenceOf({ kind, name, summary, details, params, examples }: ActionSpec): Reference {
  return {
    kind,
    name,
    summary,
    ...(details === undefined ? {} : { details }),
    parameters: parametersOf(params),
    examples,
  }
}

/** The parameters of an object, nested ones behind the one that holds them. */
export function parametersOf(params: z.ZodType): Parameter[] {
  return propertiesOf(inputSchema(params), '')
}

/** The JSON Schema of what a person writes: defaults may be left out, transformations are not yet done. */
export function inputSchema(params: z.ZodType): Schema {
  return z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' })
}

function propertiesOf(schema: Schema, prefix: string): Parameter[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const property = asSchema(value)
    const name = prefix + key
    return [parameterOf(name, property, required.has(key)), ...nestedIn(property, name)]
  })
}

function parameterOf(name: string, schema: Schema, required: boolean): Parameter {
  const { minimum, maximum } = limitsOf(schema)
  return {
    name,
    type: typeInWords(schema),
    description: schema.description ?? '',
    required,
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...(schema.enum === undefined ? {} : { values: schema.enum }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  }
}

/** The parameters inside a parameter: of a map, of a map's values, of a list's items, of each alternative. */
function nestedIn(value: Schema | boolean | undefined, name: string): Parameter[] {
  if (typeof value !== 'object') return []
  const inside = [
    ...propertiesOf(value, `${name}.`),
    ...(Array.isArray(value.items) ? [] : nestedIn(value.items, `${name}[]`)),
    ...nestedIn(value.additionalProperties, `${name}.*`),
    ...(value.anyOf ?? value.oneOf ?? []).flatMap((alternative) => nestedIn(alternative, name)),
  ]
  // Two alternatives may share parameters: once is enough for a reader.
  return inside.filter(({ name: own }, index) => inside.findIndex((other) => other.name === own) === index)
}

/** An event of an example on one line, as output_stdout prints it; without a time when it is the moment of the run. */
export function exampleLine({ tag, timestamp, record }: ExampleEvent): string {
  return `${tag}${timestamp === undefined ? '' : `[${timestamp}]`}: ${stringifyJson(record)}`
}

/** The answers that an example gets from the DNS, a name a line. */
export function dnsLines(dns: NonNullable<Example['dns']>): string {
  return Object.entries(dns)
    .map(([name, addresses]) => `${name}: ${addresses.join(', ')}`)
    .join('\n')
}
