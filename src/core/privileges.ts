// Giving up root, once sockets are bound: the group first, then the user, and no supplementary groups.
import { readFileSync } from 'node:fs'
import { FeedooError, messageOf } from './errors.ts'
import type { Owner } from './state/file-lock.ts'

/**
 * Makes the process, all its threads and everything it writes from now on belong to `user` and `group`. Does nothing
 * when the process is that user already. Throws PRIVILEGES_FAILED when it may not, or when they do not exist.
 */
export function dropPrivileges({ user, group }: { user: string; group: string }): void {
  if (!process.setgroups || !process.setgid || !process.setuid || !process.getuid) {
    throw new FeedooError('PRIVILEGES_FAILED', 'privileges: this system has no users to change to')
  }
  if (process.getuid() !== 0) {
    if (isCurrent(user, group)) return
    throw new FeedooError(
      'PRIVILEGES_FAILED',
      `privileges: only root can become ${user}:${group}; start feedoo as root, or as that user and group, or remove privileges`,
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

/**
 * Whom files are to belong to that the process makes before it gives up root; undefined when it is not root and so has
 * nothing to give. Throws PRIVILEGES_FAILED when they do not exist. Only before there are other threads.
 */
export function futureOwner({ user, group }: { user: string; group: string }): Owner | undefined {
  if (!process.seteuid || !process.setegid || !process.geteuid || !process.getegid) return undefined
  if (process.geteuid() !== 0) return undefined
  const root = process.getegid()
  try {
    // Node does not tell the number of a user; the system does, of one that the process is for a moment.
    process.setegid(group)
    const gid = process.getegid()
    process.setegid(root)
    process.seteuid(user)
    const uid = process.geteuid()
    process.seteuid(0)
    return { uid, gid }
  } catch (cause) {
    throw new FeedooError('PRIVILEGES_FAILED', `privileges: cannot become ${user}:${group}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

/** Whether the process has that user and group, by name or number, already. */
function isCurrent(user: string, group: string): boolean {
  return isId(user, '/etc/passwd', process.getuid?.()) && isId(group, '/etc/group', process.getgid?.())
}

function isId(name: string, file: string, id: number | undefined): boolean {
  if (name === String(id)) return true
  const entry = readFileSync(file, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
  return entry?.split(':')[2] === String(id)
}
