// Finds files below a folder. What cannot be read is told to the caller and passed over: it never ends the walk.
import type { BigIntStats, Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { fileKind } from '../file-kind.ts'
import { fileReason } from '../file-reason.ts'

export interface FileStat {
  /** `device:inode`. */
  key: string
  /** Bytes. */
  size: number
  /** Nanoseconds of the last change, as digits. */
  mtime: string
}

export interface Found {
  path: string
  stat: FileStat
}

/** Where files are looked for, and which are taken. */
export interface Search {
  /** Which absolute paths are taken. */
  matches(path: string): boolean
  /** The folder that is searched, and whether with its sub-folders. */
  root: string
  deep: boolean
}

export interface WalkOptions {
  /** Into sub-folders too. */
  deep: boolean
  /** Which paths are looked at. */
  wants(path: string): boolean
  /** Told of a folder or a file that cannot be looked at, and of what is wanted and neither. */
  problem(path: string, reason: string, kind: 'folder' | 'file' | 'other'): void
  signal: AbortSignal
}

/** Files that are looked at side by side. */
const parallel = 32

/** The regular files below `root` that are wanted. A folder reached by several links is read once. */
export async function walk(root: string, options: WalkOptions): Promise<Found[]> {
  const found: Found[] = []
  const seen = new Set<string>()
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    if (options.signal.aborted) return found
    const entries = await listFolder(folder, options)
    const wanted: string[] = []
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) {
        if (options.deep) folders.push(path)
      } else if (options.wants(path)) {
        wanted.push(path)
      } else if (options.deep && entry.isSymbolicLink() && (await fileKind(path)) === 'folder') {
        folders.push(path)
      }
    }
    for (let i = 0; i < wanted.length; i += parallel) {
      const looks = await Promise.all(wanted.slice(i, i + parallel).map((path) => look(path, options)))
      for (const item of looks) {
        if (item === undefined) continue
        if ('folder' in item) folders.push(item.folder)
        else found.push(item)
      }
    }
  }
  return found

  async function listFolder(folder: string, { problem }: WalkOptions): Promise<Dirent[]> {
    try {
      const key = fileStat(await stat(folder, { bigint: true })).key
      if (seen.has(key)) return []
      seen.add(key)
      return await readdir(folder, { withFileTypes: true })
    } catch (error) {
      // One that is gone since the folder above was listed is no longer there to be read.
      if (folder === root || systemCode(error) !== 'ENOENT') problem(folder, fileReason(error, 'folder'), 'folder')
      return []
    }
  }
}

export function fileStat(stats: BigIntStats): FileStat {
  return { key: `${stats.dev}:${stats.ino}`, size: Number(stats.size), mtime: String(stats.mtimeNs) }
}

async function look(path: string, options: WalkOptions): Promise<Found | { folder: string } | undefined> {
  try {
    const stats = await stat(path, { bigint: true })
    if (stats.isFile()) return { path, stat: fileStat(stats) }
    // A link to a folder.
    if (stats.isDirectory()) return options.deep ? { folder: path } : undefined
    options.problem(path, 'it is not a regular file', 'other')
  } catch (error) {
    // Gone since the folder was listed: the next walk will tell.
    if (systemCode(error) !== 'ENOENT') options.problem(path, fileReason(error), 'file')
  }
  return undefined
}
