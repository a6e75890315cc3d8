// Giving up root, once sockets are bound: the group first, then the user, and no supplementary groups.
import { userInfo } from 'node:os'
import { FeedooError, messageOf } from './errors.ts'

/**
 * Makes the process, all its threads and everything it writes from now on belong to `user` and `group`. Does nothing
 * when the process is that user already. Throws PRIVILEGES_FAILED when it may not, or when they do not exist.
 */
export function dropPrivileges({ user, group }: { user: string; group: string }): void {
  if (!process.setgroups || !process.setgid || !process.setuid || !process.getuid) {
    throw new FeedooError('PRIVILEGES_FAILED', 'privileges: this system has no users to change to')
  }
  if (process.getuid() !== 0) {
    if (isCurrent(user)) return
    throw new FeedooError(
      'PRIVILEGES_FAILED',
      `privileges: only root can become ${user}; start feedoo as root, or as ${user}, or remove privileges`,
    )
  }
  try {
    process.setgroups([])
    process.setgid(group)
    process.setuid(user)
  } catch (cause) {
    throw new FeedooError('PRIVILEGES_FAILED', `privileges: cannot become ${user}:${group}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

function isCurrent(user: string): boolean {
  return userInfo().username === user
}
