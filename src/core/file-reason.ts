// Says in words why a file or a folder cannot be read.
import { messageOf, systemCode } from './errors.ts'

/** The rest of "cannot read PATH: ...". */
export function fileReason(error: unknown, what: 'file' | 'folder' = 'file'): string {
  switch (systemCode(error)) {
    case 'ENOENT':
      return `there is no such ${what}`
    case 'ENOTDIR':
      return what === 'folder' ? 'it is not a folder' : 'a folder of its path is a file'
    case 'EISDIR':
      return 'it is a folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EMFILE':
      return 'too many files are open in this process'
    case 'ENFILE':
      return 'too many files are open on this machine'
    case 'ELOOP':
      return 'its links lead round in a circle'
    case 'EIO':
      return 'the disk reports an error'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'it is not UTF-8 text'
    default:
      return messageOf(error)
  }
}
