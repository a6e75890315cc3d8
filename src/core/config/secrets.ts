// Keeps secrets out of what is printed about a configuration: their values are not shown, by the names of their keys.
import { nearest } from './nearest.ts'
import { type Entry, type MapTree, mapScalars, type Tree } from './tree.ts'

/** Keys below which nothing is shown, in any action and at the top level. */
export const secretKeys = ['shared_key', 'password', 'users', 'token']

/** True for a key of a secret, and for one that is probably meant to be; `user` and `key` are words of their own. */
export function isSecretKey(key: string): boolean {
  return secretKeys.includes(key) || (key.length > 4 && nearest(key, secretKeys) !== undefined)
}

/** The tree with the values of secrets marked as such. */
export function markSecrets(tree: MapTree): MapTree {
  const entries = new Map<string, Entry>()
  for (const [key, { key: at, value }] of tree.entries) {
    const marked = isSecretKey(key) ? mapScalars(value, (scalar) => ({ ...scalar, secret: true })) : below(value)
    entries.set(key, { key: at, value: marked })
  }
  return { ...tree, entries }
}

function below(tree: Tree): Tree {
  if (tree.kind === 'map') return markSecrets(tree)
  return tree.kind === 'list' ? { ...tree, items: tree.items.map(below) } : tree
}

/**
 * A line of a source (from 1) with `***` in the place of secrets, and as long as it was up to its last one. It looks at
 * the text, as a file that is no YAML has nothing else: what stands behind a key of a secret, and what stands below it.
 */
export function maskedLine(text: string, line: number): string {
  const lines = text.split(/\r?\n/, line)
  const own = lines[line - 1] ?? ''
  if (isBelowSecret(lines.slice(0, -1), own)) return own.replace(behindKey, mask)
  for (const { index, 0: whole, 1: key = '' } of own.matchAll(anyKey)) {
    const from = index + whole.length
    if (isSecretKey(key)) return own.slice(0, from) + mask(own.slice(from))
  }
  return own
}

/** Looks upwards for what the line belongs to: lines that are indented less. */
function isBelowSecret(above: readonly string[], own: string): boolean {
  let indent = indentOf(own)
  for (const line of above.toReversed()) {
    if (indent === 0) return false
    const its = indentOf(line)
    if (line.trim() === '' || its >= indent) continue
    indent = its
    const keys = Array.from(line.matchAll(anyKey), ([, key = '']) => key)
    if (isSecretKey(keys.at(-1) ?? '')) return true
  }
  return false
}

/** Where its first key or text begins, behind the dashes of lists. */
function indentOf(line: string): number {
  return /^[ \t]*(?:- +)*/.exec(line)?.[0].length ?? 0
}

/** Everything to the end of the line: where a value ends, in braces and quotes, is not for a text to tell. */
function mask(value: string): string {
  return value.trim() === '' ? value : '***'
}

const anyKey = /(?<![\w-])["']?([\w-]+)["']?\s*:(?:\s+|$)/g
/** Of `key: value` the value, else all that is behind the indentation. */
const behindKey = /(?<=^\s*(?:- +)*(?:["']?[\w.-]+["']?\s*:\s+)?)(?!\s|- |["']?[\w.-]+["']?\s*:(?:\s|$)).*$/
