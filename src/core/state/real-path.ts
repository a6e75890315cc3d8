// The one name of a state file, and whether its folder will do.
import { chownSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { systemCode } from '../errors.ts'
import { makeFolders } from '../make-folders.ts'
import type { Owner } from './file-lock.ts'

const folderMode = 0o750

/** The whole path of a file without links; makes its folders, which go to `owner`. */
export function realPath(path: string, owner?: Owner): string {
  const whole = resolve(path)
  const made = makeFolders(dirname(whole), folderMode)
  if (owner !== undefined) for (const folder of made) chownSync(folder, owner.uid, owner.gid)
  try {
    return realpathSync(whole)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    return join(realpathSync(dirname(whole)), basename(whole))
  }
}

/** Whether `owner` may make files in a folder, as far as its mode says. */
export function isWritableBy(folder: string, { uid, gid }: Owner): boolean {
  const { mode, uid: user, gid: group } = statSync(folder)
  if (uid === 0) return true
  const bits = user === uid ? mode >> 6 : group === gid ? mode >> 3 : mode
  return (bits & 0o3) === 0o3
}
