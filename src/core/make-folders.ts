// Makes a folder with those above it. `mkdirSync` with `recursive` spins for ever in Node 20 where the system says ENOENT
// although the folder above is there, as it does below /proc.
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemCode } from './errors.ts'

/**
 * Makes what is missing of a path. Returns the folders it made, the deepest first; none when the folder was there.
 * Throws what the system throws; ENOTDIR when a file stands in the way.
 */
export function makeFolders(path: string, mode = 0o777): string[] {
  const missing: string[] = []
  for (let at = path; !isFolder(at); at = dirname(at)) {
    missing.push(at)
    // The working directory itself is gone.
    if (at === dirname(at)) break
  }
  const made: string[] = []
  for (const folder of missing.reverse()) if (makeFolder(folder, mode)) made.unshift(folder)
  return made
}

/** False when another process was faster. */
function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, mode)
    return true
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' || !isFolder(path)) throw error
    return false
  }
}

/** Throws for what is there and no folder. */
function isFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || stats.isDirectory()) return stats !== undefined
  throw Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`), { code: 'ENOTDIR' })
}
