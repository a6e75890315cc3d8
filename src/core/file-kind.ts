// What stands at a path, without an error when there is nothing.
import { stat } from 'node:fs/promises'

/** Links are followed. Undefined when there is nothing, when a link leads nowhere, and for what may not be looked at. */
export async function fileKind(path: string): Promise<'file' | 'folder' | 'other' | undefined> {
  try {
    const stats = await stat(path)
    return stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other'
  } catch {
    // Whoever reads it says why it cannot be read.
    return undefined
  }
}
