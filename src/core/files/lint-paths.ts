// What `feedoo check` says of the files an input is to read: whether there are any right now.
import { type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileReason } from '../file-reason.ts'
import type { Search } from './walk.ts'

/** Folder entries that are looked at: a check must not walk through a whole disk. */
const maxEntries = 20_000

/** The warning, if there is one. `mayBeEmpty`: that nothing matches is no reason for one, as files are taken away. */
export function lintPaths({ root, deep, matches }: Search, { mayBeEmpty = false } = {}): string | undefined {
  const folders = [root]
  let left = maxEntries
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = listFolder(folder)
    if (typeof entries === 'string') {
      if (folder === root) return `nothing can be read in ${root} now: ${entries}`
      continue
    }
    for (const entry of entries) {
      const path = join(folder, entry.name)
      const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && linksToFolder(path))
      if (!isFolder && matches(path)) return undefined
      if (isFolder && deep) folders.push(path)
      if (--left === 0) return undefined
    }
  }
  return mayBeEmpty ? undefined : 'no file matches now'
}

function listFolder(folder: string): Dirent[] | string {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    return fileReason(error, 'folder')
  }
}

function linksToFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    // One that leads nowhere, or round in a circle: it is not read either.
    return false
  }
}
