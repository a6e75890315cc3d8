// Finds and reads the files under `include:`: one pipeline each.
import path from 'node:path'
import { globMistake } from '../tag.ts'
import type { Interpolator } from './interpolate.ts'
import { parseYaml } from './parse.ts'
import { expandGlob } from './path-glob.ts'
import { readSource } from './read-source.ts'
import type { Reporter } from './reporter.ts'
import { type Place, placeText } from './source.ts'
import { type ScalarTree, type Tree, textOf } from './tree.ts'

/** A pipeline as found in the main file or an included one. */
export interface FoundPipeline {
  name: string
  /** Where a mistake of the pipeline as a whole is shown. */
  at: Place
  actions: Tree
}

export interface Included {
  pipelines: FoundPipeline[]
  files: string[]
}

/** `before` are the pipelines of the main file: an included one must not take their names. */
export async function readIncludes(
  items: readonly Tree[],
  mainFile: string,
  interpolator: Interpolator,
  before: readonly FoundPipeline[],
  reporter: Reporter,
): Promise<Included> {
  const pipelines: FoundPipeline[] = []
  const files: string[] = []
  const taken = new Map(before.map(({ name, at }) => [name, placeText(at)]))
  for (const item of items) {
    const glob = textOf(item)
    if (item.kind !== 'scalar' || glob === undefined || glob === '') continue
    for (const file of await matches(item, glob, mainFile, reporter)) {
      if (files.includes(file)) continue
      files.push(file)
      const actions = await readPipeline(file, item.at, interpolator, reporter)
      if (actions === undefined) continue
      const { name } = path.parse(file)
      const first = taken.get(name)
      if (first !== undefined) {
        reporter.error(
          item.at,
          `${file} makes a second pipeline "${name}"; the first is ${first}`,
          'rename one of them',
        )
        continue
      }
      taken.set(name, placeText(actions.at))
      pipelines.push({ name, at: actions.at, actions })
    }
  }
  return { pipelines, files }
}

async function matches(item: ScalarTree, glob: string, mainFile: string, reporter: Reporter): Promise<string[]> {
  const mistake = globMistake(glob)
  if (mistake !== undefined) {
    reporter.error(item.placeOf(mistake.index), mistake.message)
    return []
  }
  const folder = path.dirname(mainFile)
  const found = await expandGlob(glob, folder)
  const files = found.filter((file) => path.resolve(file) !== path.resolve(mainFile))
  if (files.length === 0) {
    const hint = path.isAbsolute(glob) ? undefined : `looked in ${path.resolve(folder)}, the folder of this file`
    reporter.error(item.at, `no file matches "${item.secret ? '...' : glob}"`, hint)
  }
  return files
}

async function readPipeline(
  file: string,
  item: Place,
  interpolator: Interpolator,
  reporter: Reporter,
): Promise<Tree | undefined> {
  const read = await readSource(file)
  if ('reason' in read) {
    reporter.error(item, `cannot read ${file}: ${read.reason}`)
    return undefined
  }
  const tree = parseYaml(read.source, reporter)
  if (tree === undefined) return undefined
  const actions = interpolator.interpolate(tree)
  if (actions.kind === 'list' && actions.items.length > 0) return actions
  if (actions.kind === 'scalar' && actions.broken) return undefined
  const start = { ...actions.at, end: actions.at.start + 1 }
  const hint =
    actions.kind === 'map' && actions.entries.has('pipelines')
      ? 'only the main file has `pipelines:`; an included one is the list of actions itself'
      : 'write `- name: <action>` for each'
  reporter.error(start, 'an included file is a list of actions', hint)
  return undefined
}
