// Reads a configuration file, and says in a sentence why it cannot be read.
import { readFile } from 'node:fs/promises'
import { messageOf, systemCode } from '../errors.ts'
import { createSource, type Source } from './source.ts'

/** A configuration file is written by hand; a larger one is something else. */
const maxFileSize = 16 * 1024 * 1024

export type ReadResult = { source: Source } | { reason: string }

export async function readSource(file: string): Promise<ReadResult> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > maxFileSize) return { reason: `is larger than ${maxFileSize} bytes` }
    // Drops a byte order mark.
    return { source: createSource(file, new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch (error) {
    return { reason: reasonOf(error) }
  }
}

function reasonOf(error: unknown): string {
  switch (systemCode(error)) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EISDIR':
      return 'it is a folder'
    case 'EACCES':
      return 'permission denied'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'it is not UTF-8 text'
    default:
      return messageOf(error)
  }
}
