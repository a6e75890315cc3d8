// Checks a map of the configuration against its zod spec, and reports what does not fit at its place.
import type { z } from 'zod'
import { type EventRecord, isPlainObject, setOwn } from '../event.ts'
import { isOctalLike, numberHint, readBoolean, resolvePlain } from './core-schema.ts'
import { explain, type Issue, type Mistake, type Subject } from './explain.ts'
import type { Reporter } from './reporter.ts'
import { markSecrets } from './secrets.ts'
import type { Place } from './source.ts'
import { eachScalar, keyAt, type MapTree, type Path, type ScalarTree, toValue, treeAt } from './tree.ts'

/**
 * The values as written, with the spellings understood that only the spec can tell (`yes` where a boolean is
 * wanted); undefined when there was an error. `owner` is where a missing key is reported.
 */
export function validate(
  written: MapTree,
  subject: Subject,
  owner: Place,
  reporter: Reporter,
): EventRecord | undefined {
  const tree = markSecrets(written)
  const raw = toValue(tree)
  if (!isPlainObject(raw)) return undefined
  const issues = settle(subject.schema, raw, tree)
  const octals = checkOctals(subject.schema, raw, tree, reporter)
  for (const mistake of explain(issues, tree, subject)) {
    reporter.error(placeOf(mistake, tree, owner), mistake.message, mistake.hint)
  }
  return issues.length === 0 && octals ? raw : undefined
}

/** Where the caret of a mistake, or of a warning, stands. */
export function placeOf(mistake: Pick<Mistake, 'path' | 'on' | 'index'>, tree: MapTree, owner: Place): Place {
  if (mistake.on === 'subject') return owner
  if (mistake.on === 'key') return keyAt(tree, mistake.path) ?? owner
  const value = treeAt(tree, mistake.path)
  if (value?.kind === 'scalar' && mistake.index !== undefined) return value.placeOf(mistake.index)
  return value?.at ?? keyAt(tree, mistake.path) ?? owner
}

/** Parses again and again, with understood spellings put right in `raw`, until nothing more changes. */
function settle(schema: z.ZodObject, raw: EventRecord, tree: MapTree): readonly Issue[] {
  const done = new Set<string>()
  for (;;) {
    const result = schema.safeParse(raw)
    if (result.success) return []
    let changed = false
    for (const { issue, path } of result.error.issues.flatMap((issue) => leaves(issue, []))) {
      const scalar = treeAt(tree, path)
      const key = JSON.stringify(path)
      if (scalar?.kind !== 'scalar' || done.has(key)) continue
      const value = understand(issue, scalar)
      if (value === undefined) continue
      done.add(key)
      changed = setAt(raw, path, value) || changed
    }
    if (!changed) return result.error.issues
  }
}

/** What a scalar means to a parameter that did not take it as it is, or undefined. */
function understand(issue: Issue, scalar: ScalarTree): unknown {
  if (issue.code === 'invalid_type') {
    switch (issue.expected) {
      case 'boolean':
        return asBoolean(scalar)
      case 'number':
      case 'int':
        return asNumber(scalar)
      case 'string':
        return scalar.interpolated && !scalar.broken ? scalar.text : undefined
      default:
        return undefined
    }
  }
  if (issue.code !== 'invalid_value') return undefined
  const readings = [asBoolean(scalar), asNumber(scalar), scalar.interpolated ? scalar.text : undefined]
  return readings.find((value) => value !== undefined && issue.values.some((known) => known === value))
}

function asBoolean(scalar: ScalarTree): boolean | undefined {
  if (typeof scalar.value !== 'string') return undefined
  const value = readBoolean(scalar.value)
  return scalar.interpolated || !/^(?:true|false)$/i.test(scalar.value) ? value : undefined
}

function asNumber(scalar: ScalarTree): number | undefined {
  if (!scalar.interpolated || typeof scalar.value !== 'string' || isOctalLike(scalar.value)) return undefined
  const value = resolvePlain(scalar.value)
  return typeof value === 'number' ? value : undefined
}

/**
 * Looks at numbers such as `012`, which YAML 1.1 and 1.2 read differently: an error where a number is wanted, a
 * warning where anything may stand. Returns whether all is well.
 */
function checkOctals(schema: z.ZodObject, raw: EventRecord, tree: MapTree, reporter: Reporter): boolean {
  let well = true
  eachScalar(tree, (scalar, path) => {
    if (!scalar.plain || typeof scalar.value !== 'number' || !isOctalLike(scalar.text)) return
    const refuses = (value: unknown) => {
      setAt(raw, path, value)
      const { error } = schema.safeParse(raw)
      return error?.issues
        .flatMap((issue) => leaves(issue, []))
        .some((leaf) => leaf.path.join('\0') === path.join('\0'))
    }
    const refusesText = refuses(scalar.text)
    const refusesNumber = refuses(scalar.value)
    if (refusesText && !refusesNumber) {
      const message = `${scalar.secret ? 'this number' : scalar.text} is octal to YAML 1.1 and decimal to YAML 1.2`
      reporter.error(scalar.at, message, scalar.secret ? 'leave out the leading 0' : numberHint(scalar.text))
      well = false
    } else if (!refusesText && !refusesNumber) {
      const text = scalar.secret ? 'this' : scalar.text
      const number = scalar.secret ? 'a number' : `the number ${scalar.value}`
      const hint = scalar.secret ? 'to keep it as text, put it in quotes' : `to keep it as text, write "${text}"`
      reporter.warn(scalar.at, `${text} is read as ${number}`, hint)
    }
  })
  return well
}

/** Issues behind all branches of unions, with their whole paths. */
function leaves(issue: Issue, base: Path): { issue: Issue; path: Path }[] {
  const path = [...base, ...issue.path]
  if (issue.code !== 'invalid_union') return [{ issue, path }]
  return issue.errors.flatMap((branch) => branch.flatMap((inner) => leaves(inner, path)))
}

function setAt(raw: EventRecord, path: Path, value: unknown): boolean {
  let parent: unknown = raw
  for (const key of path.slice(0, -1)) {
    if (Array.isArray(parent)) parent = parent[Number(key)]
    else if (isPlainObject(parent)) parent = Object.hasOwn(parent, String(key)) ? parent[String(key)] : undefined
  }
  const last = path.at(-1)
  if (last === undefined) return false
  if (Array.isArray(parent)) parent[Number(last)] = value
  else if (isPlainObject(parent)) setOwn(parent, String(last), value)
  else return false
  return true
}
