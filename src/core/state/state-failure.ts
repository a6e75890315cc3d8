// What to say, and whether to try again, when a state file cannot be opened or written.
import { FeedooError, messageOf, systemCode } from '../errors.ts'
import { fileReason } from '../file-reason.ts'

const passing = /^(?:SQLITE_(?:FULL|BUSY|LOCKED|IOERR)|ENOSPC|EDQUOT|EIO|EAGAIN)/

/** STATE_UNAVAILABLE, retriable for what may pass: a full disk, one that is away, a lock. */
export function unavailable(what: 'open' | 'write', path: string, cause: unknown, file = 'state file'): FeedooError {
  const code = systemCode(cause) ?? ''
  const retriable = passing.test(code) || (cause instanceof FeedooError && cause.retriable)
  const reason = reasonOf(code, cause)
  return new FeedooError('STATE_UNAVAILABLE', `cannot ${what} the ${file} ${path}: ${reason}`, { cause, retriable })
}

function reasonOf(code: string, cause: unknown): string {
  if (code.startsWith('SQLITE_FULL') || code === 'ENOSPC') return 'the disk is full'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'another process locks it'
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY')) {
    return `${messageOf(cause)} (its folder must be writable too)`
  }
  return code.startsWith('SQLITE_') ? `${messageOf(cause)} (${code})` : fileReason(cause)
}
