// Checks the list of actions that is one pipeline.
import type { ActionSpec } from '../action.ts'
import { noStateParam, outputParams } from '../params.ts'
import type { Registry } from '../registry.ts'
import { didYouMean, nearest } from './nearest.ts'
import type { Reporter } from './reporter.ts'
import { placeText } from './source.ts'
import { actionKeys } from './top-level.ts'
import { type MapTree, type Tree, textOf, without } from './tree.ts'
import type { ActionConfig } from './types.ts'
import { placeOf, validate } from './validate.ts'

/** An action that has been looked at; `config` only when it has no mistake. */
export interface CheckedAction {
  tree: MapTree
  spec: ActionSpec | undefined
  config: ActionConfig | undefined
}

export interface ActionScope {
  registry: Registry
  /** A plugin could not be loaded: an unknown action may be its own. */
  pluginFailed: boolean
  reporter: Reporter
}

export function checkAction(tree: Tree, scope: ActionScope): CheckedAction | undefined {
  const { reporter, registry } = scope
  if (tree.kind !== 'map') {
    const text = textOf(tree)
    const hint = text !== undefined && registry.get(text) !== undefined ? `write \`- name: ${text}\`` : undefined
    if (!(tree.kind === 'scalar' && tree.broken)) {
      reporter.error(tree.at, 'an action is a map with a `name` and its parameters', hint)
    }
    return undefined
  }
  const spec = findSpec(tree, scope)
  const label = checkLabel(tree, reporter)
  if (spec === undefined) return { tree, spec, config: undefined }
  const params = without(tree, 'name', 'label')
  const owner = tree.entries.get('name')?.value.at ?? tree.at
  const subject = {
    name: spec.name,
    schema: spec.params,
    hintUnknown: (key: string, near: boolean) => wrongKind(key, spec, near),
  }
  const raw = validate(params, subject, owner, reporter)
  if (raw === undefined || label === undefined) return { tree, spec, config: undefined }
  let isGood = true
  for (const { path, message, index, severity } of spec.lint(raw)) {
    const place = placeOf(
      { path, on: path.length === 0 ? 'subject' : 'value', ...(index === undefined ? {} : { index }) },
      params,
      owner,
    )
    if (severity === 'error') {
      reporter.error(place, message)
      isGood = false
    } else reporter.warn(place, message)
  }
  if (!isGood) return { tree, spec, config: undefined }
  return {
    tree,
    spec,
    config: {
      name: spec.name,
      label: label === '' ? spec.name : label,
      params: withoutUselessState(raw, tree, spec, reporter),
      at: placeText(tree.at),
    },
  }
}

/** The parameters without the `db_path` of an action that would keep nothing there. */
function withoutUselessState(
  raw: Record<string, unknown>,
  tree: MapTree,
  { name, kind, params }: ActionSpec,
  reporter: Reporter,
): Record<string, unknown> {
  const entry = tree.entries.get('db_path')
  if (entry === undefined || params.shape.db_path !== noStateParam) return raw
  const { db_path: _, ...rest } = raw
  const hint = kind === 'output' ? 'what an output has to remember is kept in `state_dir`' : 'leave it out'
  reporter.warn(entry.key, `${name} keeps nothing in a file of its own: this \`db_path\` has no effect`, hint)
  return rest
}

function findSpec(tree: MapTree, { registry, pluginFailed, reporter }: ActionScope): ActionSpec | undefined {
  const entry = tree.entries.get('name')
  if (entry === undefined) {
    if (tree.incomplete) return undefined
    const slip = [...tree.entries].find(([key]) => nearest(key, ['name']) !== undefined)
    if (slip !== undefined) reporter.error(slip[1].key, `unknown key "${slip[0]}" of an action`, 'did you mean "name"?')
    else reporter.error(tree.at, 'an action needs a `name`', 'add `name: <action>`, such as `name: output_stdout`')
    return undefined
  }
  const { value } = entry
  if (value.kind === 'scalar' && value.broken) return undefined
  const name = textOf(value)
  if (name === undefined) {
    reporter.error(value.at, '`name` wants text: the name of an action')
    return undefined
  }
  const spec = registry.get(name)
  if (spec === undefined && !pluginFailed) {
    const kinds = registry.names().filter((known) => known.startsWith(`${name.split('_', 1)[0]}_`))
    const list = kinds.length > 0 ? kinds : registry.names()
    reporter.error(
      value.at,
      `unknown action "${name}"`,
      didYouMean(name, registry.names()) ?? `there are ${list.join(', ')}`,
    )
  }
  return spec
}

/** The label; '' when there is none, undefined after a mistake. */
function checkLabel(tree: MapTree, reporter: Reporter): string | undefined {
  const entry = tree.entries.get('label')
  if (entry === undefined) return ''
  const only: MapTree = { ...tree, entries: new Map([['label', entry]]) }
  const raw = validate(only, { schema: actionKeys.pick({ label: true }) }, entry.key, reporter)
  return typeof raw?.label === 'string' ? raw.label : undefined
}

const outputKeys = Object.keys(outputParams).filter((key) => key !== 'match')

/** What belongs to another kind of action is no misspelling of something here. */
function wrongKind(key: string, spec: ActionSpec, near: boolean): string | undefined {
  const meant = near ? key : (nearest(key, ['match', 'tag', ...outputKeys]) ?? key)
  if (Object.hasOwn(spec.params.shape, meant)) return undefined
  if (meant === 'match' && spec.kind === 'input') {
    return `an input takes no events, so it has no match${Object.hasOwn(spec.params.shape, 'tag') ? '; it gives its own a `tag`' : ''}`
  }
  if (meant === 'tag') return 'only inputs give events a `tag`; this one takes them by `match`'
  return outputKeys.includes(meant) ? `only outputs have ${meant}` : undefined
}
