// Reads a configuration file, and says in a sentence why it cannot be read.
import { readFile } from 'node:fs/promises'
import { systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'
import { createSource, type Source } from './source.ts'

/** A configuration file is written by hand; a larger one is something else. */
const maxFileSize = 16 * 1024 * 1024

/** `missing`: there is no such file. */
export type ReadResult = { source: Source } | { reason: string; missing?: boolean }

export async function readSource(file: string): Promise<ReadResult> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > maxFileSize) return { reason: `is larger than ${maxFileSize} bytes` }
    // Drops a byte order mark.
    return { source: createSource(file, new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch (error) {
    return { reason: fileReason(error), missing: systemCode(error) === 'ENOENT' }
  }
}
