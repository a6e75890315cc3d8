// Turns what zod says of parameters into sentences a person can act on.
import { z } from 'zod'
import { numberHint } from './core-schema.ts'
import { quotesForgotten } from './interpolate.ts'
import { didYouMean, nearest } from './nearest.ts'
import { isSecretKey } from './secrets.ts'
import { type MapTree, type Path, type Tree, treeAt } from './tree.ts'

export type Issue = z.core.$ZodIssue

export interface Mistake {
  path: Path
  /** What the caret points at: the key or the value at `path`, or the name of the thing that lacks a key. */
  on: 'key' | 'value' | 'subject'
  /** Offset in the value's text. */
  index?: number
  message: string
  hint?: string | undefined
}

/** Whose parameters they are. */
export interface Subject {
  /** `output_stdout`, or nothing for the top level of the file. */
  name?: string
  schema: z.ZodObject
  /** A better hint for an unknown parameter than the list of those there are; `near` when one of them is near. */
  hintUnknown?(key: string, near: boolean): string | undefined
}

/** Characters of a value that are shown in a message. */
const shownLength = 40

/** The mistakes that the issues tell of; those that follow from a mistake that is already reported are left out. */
export function explain(issues: readonly Issue[], tree: MapTree, subject: Subject): Mistake[] {
  const flat = issues.flatMap((issue) => pickBranch(issue, [], tree))
  const unknown = flat.flatMap(({ issue, path }) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ path, key })) : [],
  )
  const mistakes: Mistake[] = unknown.map(({ path, key }) => unknownKey(path, key, subject))
  for (const { issue, path, types } of flat) {
    if (issue.code === 'unrecognized_keys') continue
    const value = treeAt(tree, path)
    if (value === undefined) {
      const parent = treeAt(tree, path.slice(0, -1))
      const key = String(path.at(-1))
      // `kyes` for `keys` is one mistake, not an unknown key and a missing one.
      const misspelt = unknown.some(
        (other) => samePath(other.path, path.slice(0, -1)) && nearest(other.key, [key]) !== undefined,
      )
      if (!misspelt && !(parent?.kind === 'map' && parent.incomplete)) mistakes.push(missing(path, subject))
    } else if (!(value.kind === 'scalar' && value.broken)) {
      mistakes.push(explainValue(issue, path, value, types, subject))
    }
  }
  return mistakes
}

/** An issue behind unions, with its whole path; `types` are what the branches of a union want, when none fits. */
interface Flat {
  issue: Issue
  path: Path
  types?: readonly string[]
}

/** Of a union, only the branch that fits the value best is of interest. */
function pickBranch(issue: Issue, base: Path, tree: Tree): Flat[] {
  const path = [...base, ...issue.path]
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ issue, path }]
  const fitting = issue.errors.filter((branch) => !branch.some(isWrongType))
  if (fitting.length === 0)
    return [{ issue, path, types: [...new Set(issue.errors.flatMap((branch) => wantedTypes(branch)))] }]
  const best = fitting.reduce((a, b) => (b.length < a.length ? b : a))
  return best.flatMap((inner) => pickBranch(inner, path, tree))
}

function isWrongType(issue: Issue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union') return issue.errors.every((branch) => branch.some(isWrongType))
  return issue.code === 'invalid_type' || issue.code === 'invalid_value'
}

function wantedTypes(issues: readonly Issue[]): string[] {
  return issues.flatMap((issue) => {
    if (issue.path.length > 0) return []
    if (issue.code === 'invalid_type') return [typeName(issue.expected)]
    if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value))
    return issue.code === 'invalid_union' ? issue.errors.flatMap(wantedTypes) : []
  })
}

function unknownKey(path: Path, key: string, subject: Subject): Mistake {
  const keys = knownKeys(subject.schema, path)
  const near = didYouMean(key, keys)
  const where =
    path.length > 0
      ? `key "${key}" in ${quoted(path)}`
      : subject.name === undefined
        ? `key "${key}"`
        : `parameter "${key}" of ${subject.name}`
  const list = keys.length > 0 ? `there are ${keys.join(', ')}` : 'there are none here'
  const other = path.length === 0 ? subject.hintUnknown?.(key, near !== undefined) : undefined
  return { path: [...path, key], on: 'key', message: `unknown ${where}`, hint: other ?? near ?? list }
}

function missing(path: Path, subject: Subject): Mistake {
  const owner = path.slice(0, -1)
  const name = owner.length > 0 ? quoted(owner) : (subject.name ?? 'the configuration')
  const description = describedBy(subject.schema, path)
  return {
    path: owner,
    on: owner.length > 0 ? 'key' : 'subject',
    message: `${name} needs ${quoted(path.slice(-1))}`,
    hint: description === undefined ? undefined : `${String(path.at(-1))}: ${description}`,
  }
}

function explainValue(
  issue: Issue,
  path: Path,
  value: Tree,
  types: readonly string[] | undefined,
  subject: Subject,
): Mistake {
  const name = quoted(path)
  const mistake = (message: string, hint?: string): Mistake => ({ path, on: 'value', message, hint })
  const wants = (type: string) => {
    const nothing = value.kind === 'scalar' && value.value === null && value.text === ''
    return mistake(
      `${name} wants ${type}${nothing ? ' and has no value' : `, not ${describe(value)}`}`,
      typeHint(type, value, path),
    )
  }
  switch (issue.code) {
    case 'invalid_type':
      return wants(typeName(issue.expected, subject, path))
    case 'invalid_union':
      return wants(types === undefined || types.length === 0 ? 'another value' : anyOf(types))
    case 'invalid_value': {
      const known = issue.values.map(String)
      const near = value.kind === 'scalar' && !value.secret ? didYouMean(value.text, known) : undefined
      return { ...wants(anyOf(issue.values.map((known) => JSON.stringify(known)))), hint: near }
    }
    case 'too_small':
    case 'too_big':
      return mistake(`${name} ${bound(issue, value)}`)
    case 'not_multiple_of':
      return mistake(`${name} has to be a multiple of ${issue.divisor}, not ${describe(value)}`)
    case 'invalid_key': {
      const inner = issue.issues[0]
      const reason = inner === undefined ? issue.message : explainKey(inner, String(path.at(-1)))
      return { path, on: 'key', message: `the key "${String(path.at(-1))}" of ${quoted(path.slice(0, -1))} ${reason}` }
    }
    case 'invalid_format':
      return mistake(
        issue.message.startsWith('Invalid ') && issue.pattern !== undefined
          ? `${name} has to match ${issue.pattern}, which ${describe(value)} does not`
          : `${name}: ${issue.message}`,
      )
    case 'custom': {
      const index: unknown = issue.params?.index
      const hint: unknown = issue.params?.hint
      const base = mistake(`${name}: ${issue.message}`, typeof hint === 'string' ? hint : undefined)
      return typeof index === 'number' ? { ...base, index } : base
    }
    default:
      return mistake(`${name}: ${issue.message}`)
  }
}

function explainKey(issue: Issue, key: string): string {
  if (issue.code === 'too_small') return key === '' ? 'must not be empty' : 'is too short'
  if (issue.code === 'too_big') return 'is too long'
  return `is not allowed: ${issue.message}`
}

type Bound = Extract<Issue, { code: 'too_small' | 'too_big' }>

function bound(issue: Bound, value: Tree): string {
  const small = issue.code === 'too_small'
  const limit = Number(small ? issue.minimum : issue.maximum)
  if (issue.origin === 'string' || issue.origin === 'array' || issue.origin === 'object' || issue.origin === 'map') {
    if (small && limit === 1) return 'must not be empty'
    const unit = issue.origin === 'string' ? 'characters' : 'items'
    return `must have at ${small ? 'least' : 'most'} ${limit} ${unit}`
  }
  const open = issue.inclusive === false
  const limitText = small ? (open ? 'greater than' : 'at least') : open ? 'less than' : 'at most'
  return `must be ${limitText} ${limit}, not ${describe(value)}`
}

function typeHint(type: string, value: Tree, path: Path): string | undefined {
  if (value.kind === 'scalar' && value.secret && !value.interpolated && type.includes('text')) return 'put it in quotes'
  if (isSecret(path)) return undefined
  if (value.kind === 'map')
    return quotesForgotten(value) ?? (type === 'a list' ? 'begin each item with "- "' : undefined)
  if (value.kind === 'list' || value.secret) return undefined
  const { text } = value
  if (value.value === null) return 'give it a value, or remove the key'
  if (type.includes('number') && typeof value.value === 'string') return numberHint(text)
  if (type === 'true or false') return 'write true or false, without quotes'
  if (type.includes('text') && typeof value.value !== 'string') return `put it in quotes: "${text}"`
  return type === 'a list' ? `write a list: [${shorten(text)}]` : undefined
}

function isSecret(path: Path): boolean {
  return path.some((key) => typeof key === 'string' && isSecretKey(key))
}

/** A value in a sentence; never a secret, or one from the environment. */
function describe(tree: Tree): string {
  if (tree.kind !== 'scalar') return `a ${tree.kind}`
  if (tree.secret && tree.interpolated) return 'what the environment gives'
  if (tree.secret)
    return tree.value === null ? 'null' : typeof tree.value === 'string' ? 'another text' : `a ${typeof tree.value}`
  if (typeof tree.value === 'string') return `the text "${shorten(tree.value)}"`
  if (tree.value === null) return 'null'
  return typeof tree.value === 'number' ? `the number ${tree.text}` : tree.text
}

function shorten(text: string): string {
  const chars = Array.from(text)
  return chars.length > shownLength ? `${chars.slice(0, shownLength).join('')}...` : text
}

function typeName(expected: string, subject?: Subject, path: Path = []): string {
  switch (expected) {
    case 'string':
      return 'text'
    case 'number':
      // To zod a text is no number before it is no whole one.
      return subject && schemasAt(subject.schema, path).some(({ type }) => type === 'integer')
        ? 'a whole number'
        : 'a number'
    case 'int':
      return 'a whole number'
    case 'boolean':
      return 'true or false'
    case 'array':
    case 'tuple':
      return 'a list'
    case 'object':
    case 'record':
      return 'a map'
    default:
      return expected
  }
}

function anyOf(types: readonly string[]): string {
  return types.length > 1 ? `${types.slice(0, -1).join(', ')} or ${types.at(-1)}` : (types[0] ?? '')
}

/** A path in a sentence: `keys.a`, `match[1]`. */
function quoted(path: Path): string {
  const text = path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`))
  return `\`${text.join('')}\``
}

function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i])
}

/** The keys that a map at `path` may have. */
function knownKeys(schema: z.ZodObject, path: Path): string[] {
  return [...new Set(schemasAt(schema, path).flatMap((at) => Object.keys(at.properties ?? {})))]
}

function describedBy(schema: z.ZodObject, path: Path): string | undefined {
  return schemasAt(schema, path).find((at) => at.description !== undefined)?.description
}

type JsonSchema = z.core.JSONSchema.BaseSchema

/** Every JSON Schema that may stand for the value at `path`: zod has no public way to walk its own. */
function schemasAt(schema: z.ZodObject, path: Path): JsonSchema[] {
  let level: JsonSchema[] = [z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })]
  for (const key of path) {
    level = level.flatMap(branches).flatMap((at) => {
      const step = typeof key === 'number' ? at.items : (at.properties?.[String(key)] ?? at.additionalProperties)
      return [step].flat().filter(isSchema)
    })
  }
  return level.flatMap(branches)
}

function branches(schema: JsonSchema): JsonSchema[] {
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].filter(isSchema)
  return [schema, ...inner.flatMap(branches)]
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null
}
