// The JSON Schema of the whole YAML, for editors: made from the same specs that validate it.
import { z } from 'zod'
import type { ActionSpec } from '../action.ts'
import type { Registry } from '../registry.ts'
import { actionKeys, topLevel } from './top-level.ts'

type Schema = z.core.JSONSchema.BaseSchema

/** A text into which a variable or something from the environment is put: it may become any value. */
const interpolated: Schema = { type: 'string', pattern: '\\$\\{.*\\}|\\{[^{}]+\\}' }
/** `yes` and its like, which YAML 1.2 reads as text, and the configuration as a boolean. */
const spelledBoolean: Schema = { type: 'string', pattern: '^(?:[yY][eE][sS]|[nN][oO]|[oO][nN]|[oO][fF][fF])$' }

const interpolatedRef: Schema = { $ref: '#/$defs/interpolated' }

/** JSON Schema, draft 2020-12, of a configuration file, or an included one, that may use the actions of `registry`. */
export function configSchema(registry: Registry): object {
  const specs = registry.all()
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'feedoo configuration',
    if: { type: 'array' },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { $ref: '#/$defs/pipeline' },
    else: { $ref: '#/$defs/configuration' },
    $defs: {
      interpolated,
      configuration: configuration(),
      pipeline: pipeline(specs),
      action: action(specs),
      ...Object.fromEntries(specs.map((spec) => [spec.name, parameters(spec)])),
    },
  }
}

function configuration(): Schema {
  const { variables, ...rest } = propertiesOf(topLevel)
  const properties = mapValues(rest, loosen)
  const { pipelines } = rest
  return {
    type: 'object',
    properties: {
      ...properties,
      pipelines: {
        ...(pipelines?.description === undefined ? {} : { description: pipelines.description }),
        anyOf: [
          {
            type: 'object',
            propertyNames: { type: 'string', minLength: 1 },
            additionalProperties: { anyOf: [{ $ref: '#/$defs/pipeline' }, interpolatedRef] },
          },
          interpolatedRef,
        ],
      },
      // Anything may stand in a variable.
      ...(variables === undefined ? {} : { variables }),
    },
    additionalProperties: false,
    anyOf: [
      { type: 'object', properties: { include: true }, required: ['include'] },
      {
        type: 'object',
        properties: { pipelines: { if: { type: 'object' }, ...thenSchema({ type: 'object', minProperties: 1 }) } },
        required: ['pipelines'],
      },
    ],
  }
}

function pipeline(specs: readonly ActionSpec[]): Schema {
  const inputs = specs.filter(({ kind }) => kind === 'input').map(({ name }) => name)
  const isInput: Schema = {
    type: 'object',
    properties: { name: { anyOf: [{ enum: inputs }, interpolatedRef] } },
    required: ['name'],
  }
  return {
    type: 'array',
    description: 'The actions of a pipeline, at least one of them an input.',
    minItems: 1,
    items: { anyOf: [{ $ref: '#/$defs/action' }, interpolatedRef] },
    contains: { anyOf: [isInput, interpolatedRef] },
  }
}

function action(specs: readonly ActionSpec[]): Schema {
  const names = specs.map(({ name }) => name)
  const { name } = propertiesOf(actionKeys)
  return {
    type: 'object',
    properties: { name: { description: name?.description ?? '', anyOf: [{ enum: names }, interpolatedRef] } },
    required: ['name'],
    allOf: specs.map((spec) => ({
      if: { type: 'object', properties: { name: { const: spec.name } }, required: ['name'] },
      ...thenSchema({ $ref: `#/$defs/${spec.name}` }),
    })),
  }
}

function parameters(spec: ActionSpec): Schema {
  const schema = toJsonSchema(spec.params)
  const { label } = propertiesOf(actionKeys)
  return {
    ...schema,
    description: spec.summary,
    properties: {
      name: { const: spec.name, description: spec.summary },
      ...(label === undefined ? {} : { label: loosen(label) }),
      ...mapValues(propertiesOf(spec.params), loosen),
    },
    required: ['name', ...(schema.required ?? [])],
    additionalProperties: false,
  }
}

/** What may stand in the place of a value: also a text that becomes it, and the spellings that are understood. */
function loosen(schema: Schema): Schema {
  if (takesAnyText(schema)) return schema
  const { description, default: byDefault, anyOf, ...inner } = loosenInside(schema)
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf:
      anyOf !== undefined && Object.keys(inner).length === 0
        ? [...anyOf, interpolatedRef]
        : [
            anyOf === undefined ? inner : { ...inner, anyOf },
            ...(inner.type === 'boolean' ? [spelledBoolean] : []),
            interpolatedRef,
          ],
  }
}

function takesAnyText(schema: Schema): boolean {
  if (schema.anyOf?.some(takesAnyText)) return false
  const rules = Object.keys(schema).filter(
    (key) => !['description', 'default', 'title', 'examples', 'minLength'].includes(key),
  )
  return rules.length === 0 || (rules.length === 1 && schema.type === 'string')
}

/** The values inside a schema, loosened. */
function loosenInside(schema: Schema): Schema {
  const { anyOf, oneOf, ...rest } = schema
  const result: Schema = { ...rest }
  if (rest.properties !== undefined) result.properties = mapValues(rest.properties, loosenAny)
  if (isSchema(rest.additionalProperties)) result.additionalProperties = loosen(rest.additionalProperties)
  if (isSchema(rest.items)) result.items = loosen(rest.items)
  if (rest.prefixItems !== undefined) result.prefixItems = rest.prefixItems.map(loosenAny)
  if (rest.allOf !== undefined) result.allOf = rest.allOf.map(loosenInside)
  // A text to be replaced may fit several branches, which `oneOf` would refuse.
  const branches = [...(anyOf ?? []), ...(oneOf ?? [])].map(loosenInside)
  if (branches.length > 0) {
    const booleans = branches.some(({ type }) => type === 'boolean')
    result.anyOf = [...branches, ...(booleans ? [spelledBoolean] : [])]
  }
  return result
}

type AnySchema = Schema | boolean

function loosenAny(schema: AnySchema): AnySchema {
  return isSchema(schema) ? loosen(schema) : schema
}

function toJsonSchema(schema: z.ZodObject): Schema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input', unrepresentable: 'any' })
  return rest
}

function propertiesOf(schema: z.ZodObject): Record<string, Schema> {
  const entries = Object.entries(toJsonSchema(schema).properties ?? {})
  return Object.fromEntries(entries.flatMap(([key, value]) => (isSchema(value) ? [[key, value]] : [])))
}

function thenSchema(schema: Schema): Schema {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  return { then: schema }
}

function mapValues<From, To>(map: Record<string, From>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]))
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null
}
