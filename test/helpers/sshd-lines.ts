// Lines of sshd as rsyslog writes them, made from a seed: logins that work, stray failures, and attacks from some addresses.
import { int, pick, seeded } from '../../bench/random.ts'

/** Lines a second. */
const rate = 5
/** 2026-11-18T00:00:00Z. */
const start = 1_794_960_000
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const users = ['root', 'admin', 'deploy', 'ubuntu', 'git', 'alice', 'bob', 'postgres', 'oracle', 'test']

/** Blocks of some thousand lines, each ended by a newline. */
export function* sshdBlocks(lines: number): Generator<string> {
  const random = seeded(22)
  const block = 5000
  const attackers = Array.from({ length: 300 }, () => `203.0.${int(random, 0, 255)}.${int(random, 1, 254)}`)
  for (let from = 0; from < lines; from += block) {
    let text = ''
    for (let i = from; i < Math.min(lines, from + block); i++) {
      // An attack lasts two minutes; then it is another's turn.
      const attacker = attackers[Math.floor(i / (120 * rate)) % attackers.length] ?? ''
      const isAttack = random() < 0.2
      const address = isAttack ? attacker : `198.51.${int(random, 0, 255)}.${int(random, 1, 254)}`
      const peer = `${address} port ${int(random, 1024, 65_535)}`
      text += `${syslogTime(start + i / rate)} web-${int(random, 1, 9)} sshd[${int(random, 800, 32_000)}]: `
      text += `${message(isAttack, random(), pick(random, users), peer)}\n`
    }
    yield text
  }
}

function message(isAttack: boolean, dice: number, user: string, peer: string): string {
  if (isAttack) return `Failed password for ${dice < 0.5 ? 'invalid user ' : ''}${user} from ${peer} ssh2`
  if (dice < 0.1) return `Failed password for ${user} from ${peer} ssh2`
  if (dice < 0.4)
    return `Accepted publickey for ${user} from ${peer} ssh2: ED25519 SHA256:dGhpcyBpcyBub3QgYSBrZXkgYXQgYWxs`
  if (dice < 0.7) return `Connection closed by authenticating user ${user} ${peer} [preauth]`
  return `pam_unix(sshd:session): session opened for user ${user}(uid=1000) by (uid=0)`
}

function syslogTime(seconds: number): string {
  const date = new Date(seconds * 1000)
  return `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${date.toISOString().slice(11, 19)}`
}
