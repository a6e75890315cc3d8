// Why a socket could not be opened, as a sentence that says what to do.
import { FeedooError, messageOf, systemCode } from '../errors.ts'

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something listens there already; stop it, or choose another one',
  EACCES:
    'no permission; a port below 1024 needs root (see `privileges`), a Unix socket a folder that can be written to',
  EPERM: 'no permission',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no machine has that name',
  EAI_AGAIN: 'the name cannot be looked up now',
  ENOENT: 'there is no such folder',
  ENAMETOOLONG: 'the path is too long for a Unix socket (about 100 bytes)',
}

/** `where` is an address and port, or a path. */
export function listenError(where: string, cause: unknown): FeedooError {
  const reason = reasons[systemCode(cause) ?? ''] ?? messageOf(cause)
  return new FeedooError('LISTEN_FAILED', `cannot listen on ${where}: ${reason}`, { cause })
}
