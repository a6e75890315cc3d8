// Reads a configuration with all it includes, and reports every mistake at once. Nothing else is touched.
import path from 'node:path'
import type { Registry } from '../registry.ts'
import { type ActionScope, checkAction } from './actions.ts'
import { type Diagnostic, diagnosticOfFile } from './diagnostic.ts'
import { type FoundPipeline, readIncludes } from './include.ts'
import { type Environment, Interpolator } from './interpolate.ts'
import { parseYaml } from './parse.ts'
import { type LoadedPlugins, loadPlugins } from './plugins.ts'
import { readSource } from './read-source.ts'
import { warnOfLostEvents } from './removals.ts'
import { Reporter } from './reporter.ts'
import { warnOfUnreachable } from './routes.ts'
import type { Place } from './source.ts'
import { buildTests } from './tests.ts'
import { type TopLevel, topLevel } from './top-level.ts'
import { type MapTree, type Tree, treeAt, without } from './tree.ts'
import type { Config, PipelineConfig, StatesConfig, TestConfig } from './types.ts'
import { validate } from './validate.ts'

export interface LoadOptions {
  env: Environment
  /** All actions: the built-in ones and those of the plugins. Rejects when a plugin cannot be loaded. */
  loadRegistry(pluginUrls: string[]): Promise<Registry>
}

export interface LoadedConfig {
  /** Undefined when any of the diagnostics is an error. */
  config: Config | undefined
  /** Sorted by file, line and column. */
  diagnostics: Diagnostic[]
  registry: Registry
}

const starter = 'write `pipelines:` and below it a name with a list of actions; `feedoo init` writes an example'

export async function loadConfig(file: string, options: LoadOptions): Promise<LoadedConfig> {
  const reporter = new Reporter()
  const read = await readSource(file)
  if ('reason' in read) {
    const registry = await options.loadRegistry([])
    const hint = read.missing ? 'give one with `-c FILE`, or write one with `feedoo init`' : undefined
    return {
      config: undefined,
      diagnostics: [diagnosticOfFile(file, `cannot read this file: ${read.reason}`, hint)],
      registry,
    }
  }
  const parsed = parseYaml(read.source, reporter)
  const root = parsed === undefined ? undefined : asMap(parsed, file, reporter)
  if (root === undefined) {
    return { config: undefined, diagnostics: reporter.list([file]), registry: await options.loadRegistry([]) }
  }
  const { plugins, pipelines, files, top, tests: testsTree } = await readRest(root, file, options, reporter)
  const builtIn = new Set((await options.loadRegistry([])).names())
  const scope: ActionScope = { registry: plugins.registry, pluginFailed: plugins.failed, reporter }
  const keepsRejected = top === undefined || top.dead_letters !== undefined
  const checked = pipelines.map((pipeline) =>
    checkPipeline(pipeline, scope, (name) => builtIn.has(name), keepsRejected),
  )
  const tests = buildTests(top?.tests ?? [], testsTree, checked, plugins.registry, reporter)
  const config = reporter.failed || top === undefined ? undefined : build(file, top, checked, plugins, tests)
  return { config, diagnostics: reporter.list([file, ...files]), registry: plugins.registry }
}

/** The file as a map. A bare list of actions, as in an included file, is one pipeline named after the file. */
function asMap(tree: Tree, file: string, reporter: Reporter): MapTree | undefined {
  if (tree.kind === 'map') return tree
  if (tree.kind === 'list') {
    const pipelines = mapOf(path.parse(file).name, tree.at, tree)
    return mapOf('pipelines', tree.at, pipelines)
  }
  if (tree.value === null) reporter.error({ ...tree.at, start: 0, end: 0 }, 'this file is empty', starter)
  else if (!tree.broken) reporter.error(tree.at, 'a configuration is a map', starter)
  return undefined
}

function mapOf(key: string, at: Place, value: Tree): MapTree {
  return { kind: 'map', at, entries: new Map([[key, { key: at, value }]]), incomplete: false }
}

interface Rest {
  /** The top level with defaults applied; undefined when it has mistakes. */
  top: TopLevel | undefined
  plugins: LoadedPlugins
  pipelines: FoundPipeline[]
  /** The included files, in order. */
  files: string[]
  tests: Tree | undefined
}

/** Everything around the actions themselves. */
async function readRest(root: MapTree, file: string, options: LoadOptions, reporter: Reporter): Promise<Rest> {
  const variables = root.entries.get('variables')?.value
  const interpolator = new Interpolator(variables?.kind === 'map' ? variables : undefined, options.env, reporter)
  interpolator.resolveVariables()
  // Variables hold anything, and were looked at above.
  const tree = interpolator.interpolate(without(root, 'variables'))
  if (tree.kind !== 'map') throw new Error('a map stays a map')
  const whole = opaquePipelines(variables === undefined ? tree : withEntry(tree, root, 'variables'))
  const start = { ...root.at, end: root.at.start + 1 }
  const raw = validate(whole, { schema: topLevel, hintUnknown }, start, reporter)
  const plugins = await loadPlugins(itemsAt(tree, 'plugins'), file, options.loadRegistry, reporter)
  const pipelines = pipelinesOf(tree)
  const included = await readIncludes(itemsAt(tree, 'include'), file, interpolator, pipelines, reporter)
  pipelines.push(...included.pipelines)
  if (!tree.entries.has('pipelines') && !tree.entries.has('include') && !tree.incomplete) {
    reporter.error(start, 'there are no pipelines', starter)
  } else if (isEmptyMap(treeAt(tree, ['pipelines'])) && !tree.entries.has('include')) {
    reporter.error(tree.entries.get('pipelines')?.key ?? start, 'there are no pipelines', starter)
  }
  const top = raw === undefined ? undefined : topLevel.parse(raw)
  return { top, plugins, pipelines, files: included.files, tests: treeAt(tree, ['tests']) }
}

function isEmptyMap(tree: Tree | undefined): boolean {
  return tree?.kind === 'map' && tree.entries.size === 0 && !tree.incomplete
}

function withEntry(tree: MapTree, from: MapTree, key: string): MapTree {
  const entry = from.entries.get(key)
  return entry === undefined ? tree : { ...tree, entries: new Map([...tree.entries, [key, entry]]) }
}

/** The actions are checked on their own. */
function opaquePipelines(tree: MapTree): MapTree {
  const pipelines = tree.entries.get('pipelines')
  if (pipelines?.value.kind !== 'map') return tree
  const entries = new Map(pipelines.value.entries)
  for (const [name, { key, value }] of entries) {
    if (value.kind !== 'list') continue
    const items = value.items.map(({ at }): MapTree => ({ kind: 'map', at, entries: new Map(), incomplete: false }))
    entries.set(name, { key, value: { ...value, items } })
  }
  const value: MapTree = { ...pipelines.value, entries }
  return { ...tree, entries: new Map([...tree.entries, ['pipelines', { key: pipelines.key, value }]]) }
}

function hintUnknown(key: string): string | undefined {
  if (key.startsWith('x-') || key.startsWith('.')) return 'put what is shared by anchors under `variables`'
  return key === 'name' ? 'an action stands in a list: `- name: ...`' : undefined
}

/** The items of a list, or a value that stands for a list of one. */
function itemsAt(tree: MapTree, key: string): readonly Tree[] {
  const value = treeAt(tree, [key])
  if (value === undefined || value.kind === 'map') return []
  return value.kind === 'list' ? value.items : [value]
}

function pipelinesOf(tree: MapTree): FoundPipeline[] {
  const pipelines = treeAt(tree, ['pipelines'])
  if (pipelines?.kind !== 'map') return []
  return [...pipelines.entries].map(([name, { key, value }]) => ({ name, at: key, actions: value }))
}

function checkPipeline(
  found: FoundPipeline,
  scope: ActionScope,
  builtIn: (name: string) => boolean,
  keepsRejected: boolean,
): PipelineConfig {
  const { name, at, actions } = found
  // What is no list, or an empty one, is reported with the top level, or with the included file.
  if (actions.kind !== 'list' || actions.items.length === 0) return { name, actions: [] }
  const checked = actions.items.map((action) => checkAction(action, scope))
  const known = checked.flatMap((action) => action ?? [])
  const unknown = known.length < checked.length || known.some(({ spec }) => spec === undefined)
  if (!unknown && !known.some(({ spec }) => spec?.kind === 'input')) {
    const message = `the pipeline "${name}" has no input, so that no event ever enters it`
    scope.reporter.error(at, message, 'begin it with an input, such as `- name: input_file`')
  } else if (!unknown) {
    warnOfUnreachable(known, builtIn, scope.reporter)
  }
  if (!keepsRejected) warnOfLostEvents(known, builtIn, scope.reporter)
  return { name, actions: known.flatMap(({ config }) => config ?? []) }
}

function build(
  file: string,
  top: TopLevel,
  pipelines: PipelineConfig[],
  plugins: LoadedPlugins,
  tests: TestConfig[],
): Config {
  const { states, privileges, fsync } = top
  const { dead_letters: deadLetters, state_dir: stateDir, shutdown_timeout: shutdownTimeout } = top
  return {
    file,
    pipelines,
    plugins: plugins.urls,
    fsync,
    shutdownTimeout,
    tests,
    ...(states === undefined ? {} : { states: statesConfig(states) }),
    ...(privileges === undefined ? {} : { privileges }),
    ...(deadLetters === undefined ? {} : { deadLetters }),
    ...(stateDir === undefined ? {} : { stateDir }),
  }
}

function statesConfig({ ip, port, token }: NonNullable<TopLevel['states']>): StatesConfig {
  return token === undefined ? { ip, port } : { ip, port, token }
}
