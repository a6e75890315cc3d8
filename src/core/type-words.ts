// JSON Schema in words: "whole number, at least 1", "glob, or list of globs". A schema's `title` is its name in words.
import type { z } from 'zod'

/** The part of JSON Schema (draft 2020-12) that zod writes and we read. */
export type Schema = z.core.JSONSchema.BaseSchema

/** The type of one value, for people. Values that are written literally stand in backquotes. */
export function typeInWords(schema: Schema): string {
  return wordsOf(schema, false)
}

function wordsOf(schema: Schema, many: boolean): string {
  const plural = (word: string) => (many ? `${word}s` : word)
  if (schema.title !== undefined) return plural(schema.title)
  if (schema.enum !== undefined) return literals(schema.enum)
  if (schema.const !== undefined) return literals([schema.const])
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) return eitherOf(alternatives.map((one) => wordsOf(asSchema(one), many)))
  if (Array.isArray(schema.type)) return eitherOf(schema.type.map((type) => wordsOf({ ...schema, type }, many)))
  switch (schema.type) {
    case 'string':
      return plural('text') + lengthOf(schema.minLength, schema.maxLength, 'character')
    case 'integer':
      return plural('whole number') + rangeOf(schema)
    case 'number':
      return plural('number') + rangeOf(schema)
    case 'boolean':
      return '`true` or `false`'
    case 'null':
      return '`null`'
    case 'array':
      return listOf(schema, plural('list'))
    case 'object':
      return mapOf(schema, plural('map'))
    default:
      return many ? 'values' : 'any value'
  }
}

function listOf(schema: Schema, list: string): string {
  if (schema.prefixItems !== undefined) {
    return `${list} of ${schema.prefixItems.map((item) => wordsOf(asSchema(item), false)).join(' and ')}`
  }
  if (Array.isArray(schema.items)) return list
  return `${list} of ${wordsOf(asSchema(schema.items), true)}${lengthOf(schema.minItems, schema.maxItems, 'entry')}`
}

function mapOf(schema: Schema, map: string): string {
  const values = schema.additionalProperties
  if (typeof values !== 'object' || Object.keys(values).length === 0) return map
  const keys = asSchema(schema.propertyNames).title
  return `${map} of ${keys === undefined ? 'name' : keys} to ${wordsOf(values, false)}`
}

function rangeOf(schema: Schema): string {
  const { minimum, maximum } = limitsOf(schema)
  const { exclusiveMinimum, exclusiveMaximum } = schema
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`
  const limits = [
    minimum === undefined ? '' : `at least ${minimum}`,
    exclusiveMinimum === undefined ? '' : `more than ${exclusiveMinimum}`,
    maximum === undefined ? '' : `at most ${maximum}`,
    exclusiveMaximum === undefined ? '' : `less than ${exclusiveMaximum}`,
  ].filter((limit) => limit !== '')
  return limits.map((limit) => `, ${limit}`).join('')
}

/** That something must not be empty goes without saying. */
function lengthOf(minimum: number | undefined, maximum: number | undefined, unit: 'character' | 'entry'): string {
  const units = (count: number) =>
    `${count} ${count === 1 ? unit : { character: 'characters', entry: 'entries' }[unit]}`
  if (minimum !== undefined && minimum === maximum) return ` of ${units(minimum)}`
  const least = minimum === undefined || minimum < 2 ? '' : `, at least ${units(minimum)}`
  return maximum === undefined ? least : `${least}, at most ${units(maximum)}`
}

function eitherOf(words: readonly string[]): string {
  return [...new Set(words)].join(', or ')
}

function literals(values: readonly unknown[]): string {
  return values.map((value) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``).join(' or ')
}

/** Limits a person would be told: zod gives every whole number the range of safe integers. */
export function limitsOf({ minimum, maximum }: Schema): { minimum?: number; maximum?: number } {
  return {
    ...(minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? {} : { minimum }),
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }),
  }
}

/** JSON Schema writes "anything" as true and "nothing" as false. */
export function asSchema(schema: Schema | boolean | undefined): Schema {
  return typeof schema === 'object' ? schema : {}
}
