// A configuration as a tree of values that know where they stand. Aliases and merge keys are already followed.
import { type EventRecord, setOwn } from '../event.ts'
import type { ScalarValue } from './core-schema.ts'
import type { Place } from './source.ts'

export type Tree = ScalarTree | ListTree | MapTree

export interface ScalarTree {
  readonly kind: 'scalar'
  /** Where a mistake of the value as a whole is shown: its text, or the alias or variable that brought it here. */
  readonly at: Place
  readonly value: ScalarValue
  /** The value as text: what is written, without quotes. */
  readonly text: string
  readonly plain: boolean
  /** Something was put in for a `{variable}` or a `${NAME}`. */
  readonly interpolated: boolean
  /** It is a secret by its key, or came from the environment and may be one: it is never shown. */
  readonly secret: boolean
  /** What should stand here is not known, which is reported already: nothing that follows from it is. */
  readonly broken: boolean
  /** Where the character at `index` of `text` stands. */
  placeOf(index: number): Place
}

export interface ListTree {
  readonly kind: 'list'
  readonly at: Place
  readonly items: readonly Tree[]
}

export interface MapTree {
  readonly kind: 'map'
  readonly at: Place
  readonly entries: ReadonlyMap<string, Entry>
  /** A map to merge into it is not known, which is reported already. */
  readonly incomplete: boolean
}

export interface Entry {
  readonly key: Place
  readonly value: Tree
}

export type Path = readonly PropertyKey[]

export function toValue(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value
  if (tree.kind === 'list') return tree.items.map(toValue)
  const record: EventRecord = {}
  for (const [key, { value }] of tree.entries) setOwn(record, key, toValue(value))
  return record
}

/** The tree at a path, or undefined where there is none. */
export function treeAt(tree: Tree, path: Path): Tree | undefined {
  let current: Tree | undefined = tree
  for (const key of path) {
    if (current?.kind === 'map') current = current.entries.get(String(key))?.value
    else if (current?.kind === 'list') current = current.items[Number(key)]
    else return undefined
  }
  return current
}

/** The place of the key (or, in a list, of the item) at the end of a path, or undefined where there is none. */
export function keyAt(tree: Tree, path: Path): Place | undefined {
  const parent = treeAt(tree, path.slice(0, -1))
  const key = path.at(-1)
  if (parent?.kind === 'map') return parent.entries.get(String(key))?.key
  return parent?.kind === 'list' ? parent.items[Number(key)]?.at : undefined
}

/** A map without some of its keys. */
export function without(tree: MapTree, ...keys: readonly string[]): MapTree {
  const entries = new Map(tree.entries)
  for (const key of keys) entries.delete(key)
  return { ...tree, entries }
}

export function textOf(tree: Tree | undefined): string | undefined {
  return tree?.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : undefined
}

/** A copy with other scalars. */
export function mapScalars(tree: Tree, change: (scalar: ScalarTree) => ScalarTree): Tree {
  if (tree.kind === 'scalar') return change(tree)
  if (tree.kind === 'list') return { ...tree, items: tree.items.map((item) => mapScalars(item, change)) }
  const entries = new Map<string, Entry>()
  for (const [key, { key: at, value }] of tree.entries) entries.set(key, { key: at, value: mapScalars(value, change) })
  return { ...tree, entries }
}

/** Calls `visit` with every scalar and its path. */
export function eachScalar(tree: Tree, visit: (scalar: ScalarTree, path: Path) => void, path: Path = []): void {
  if (tree.kind === 'scalar') {
    visit(tree, path)
  } else if (tree.kind === 'list') {
    for (const [index, item] of tree.items.entries()) eachScalar(item, visit, [...path, index])
  } else {
    for (const [key, { value }] of tree.entries) eachScalar(value, visit, [...path, key])
  }
}
