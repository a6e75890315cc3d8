// Which files a glob names: `*`, `?` and `[..]` within a name, `**` for any number of folders. Node 20 has no fs.glob.
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileKind } from '../file-kind.ts'
import { compileMatch, type TagMatcher } from '../tag.ts'

/** Folders deep that `**` looks. */
const maxDepth = 32

/**
 * The paths that match, sorted. Those of a relative pattern begin with `folder`. A name that begins with a dot is
 * matched only by a pattern that does; `**` does not follow links. Folders that cannot be read match nothing.
 */
export async function expandGlob(pattern: string, folder: string): Promise<string[]> {
  const absolute = path.isAbsolute(pattern)
  const segments = pattern.split('/').filter((segment) => segment !== '' && segment !== '.')
  const found = new Set<string>()
  await walk(absolute ? '/' : folder, segments, found, 0)
  return [...found].sort()
}

async function walk(folder: string, segments: readonly string[], found: Set<string>, depth: number): Promise<void> {
  const [segment, ...rest] = segments
  if (segment === undefined) {
    found.add(folder)
    return
  }
  if (segment === '**') return walkDeep(folder, rest, found, depth)
  if (!/[*?[]/.test(segment)) {
    const next = path.join(folder, segment)
    if (rest.length > 0 || (await fileKind(next)) !== undefined) await walk(next, rest, found, depth)
    return
  }
  const matches = nameMatcher(segment)
  for (const entry of await entriesOf(folder)) {
    if (!matches(entry.name)) continue
    const next = path.join(folder, entry.name)
    // A pattern means files; folders only on the way to them.
    if (rest.length > 0 || (await fileKind(next)) !== 'folder') await walk(next, rest, found, depth)
  }
}

async function walkDeep(folder: string, rest: readonly string[], found: Set<string>, depth: number): Promise<void> {
  // `**` at the end takes every file below.
  await walk(folder, rest.length > 0 ? rest : ['*'], found, depth)
  if (depth >= maxDepth) return
  for (const entry of await entriesOf(folder)) {
    if (entry.isDirectory() && !entry.name.startsWith('.')) {
      await walkDeep(path.join(folder, entry.name), rest, found, depth + 1)
    }
  }
}

function nameMatcher(segment: string): TagMatcher {
  const matches = compileMatch(segment)
  return segment.startsWith('.') ? matches : (name) => !name.startsWith('.') && matches(name)
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch {
    return []
  }
}
