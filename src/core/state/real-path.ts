// The one name of a state file.
import { chownSync, realpathSync } from 'node:fs'
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
