// A real rbldnsd on loopback, and a stand-in for a resolver before it that counts questions and can be told what to do with them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const binary = ['/usr/sbin/rbldnsd', 'rbldnsd'].find((path) => {
  try {
    execFileSync(path, ['-h'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})

/** Whether Debian's package is installed. */
export const hasRbldnsd = binary !== undefined

export interface Zone {
  /** Addresses and networks that are listed, one an entry: `192.0.2.0/24`, `2001:db8::1`. */
  listed: readonly string[]
  /** What the zone answers. */
  answer?: string
}

/** Starts rbldnsd with these zones by domain, until the test is over. Returns its port. */
export async function startRbldnsd(zones: Readonly<Record<string, Zone>>): Promise<number> {
  if (binary === undefined) throw new Error('rbldnsd is not installed')
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-rbldnsd-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  // rbldnsd gives up root before it reads its zones.
  await chmod(folder, 0o755)
  const specs: string[] = []
  for (const [domain, { listed, answer = '127.0.0.2' }] of Object.entries(zones)) {
    for (const [type, holds] of Object.entries({ ip4set: isV4, ip6trie: isV6 })) {
      const file = `${domain}.${type}`
      const lines = [
        '$SOA 300 ns.test. hostmaster.test. 0 600 300 86400 300',
        `:${answer}:listed`,
        ...listed.filter(holds),
      ]
      await writeFile(join(folder, file), `${lines.join('\n')}\n`)
      specs.push(`${domain}:${type}:${file}`)
    }
  }
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  for (;;) {
    const port = await freeUdpPort()
    const child = spawn(binary, ['-n', '-c', '0', '-b', `127.0.0.1/${port}`, '-w', folder, ...user, ...specs])
    onTestFinished(() => stop(child))
    if (await started(child)) return port
  }
}

function isV4(network: string): boolean {
  return !network.includes(':')
}

function isV6(network: string): boolean {
  return network.includes(':')
}

/** False when somebody else has taken the port meanwhile. */
async function started(child: ChildProcess): Promise<boolean> {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      child.emit('said')
    })
  }
  const ended = once(child, 'close').then(() => false)
  for (;;) {
    if (/ started \(/.test(said)) return true
    const goesOn = await Promise.race([once(child, 'said').then(() => true), ended])
    if (goesOn) continue
    if (/in use/.test(said)) return false
    throw new Error(`rbldnsd ended; it said:\n${said}`)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill()
  await once(child, 'close')
}

async function freeUdpPort(): Promise<number> {
  const socket = await bound()
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

/** What becomes of a question. */
export type Fate =
  /** Asked of the server behind, or there is no such name where there is none. */
  | 'pass'
  /** No answer comes. */
  | 'silent'
  /** Bytes that are no DNS message. */
  | 'garbage'
  /** A code of DNS: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  | { code: number }
  /** IPv4 addresses; none says that the name exists without. */
  | { addresses: readonly string[] }

export class NameServer {
  /** Names in the order in which they were asked for. */
  readonly asked: string[] = []
  /** Questions that have no answer yet, at most so far. */
  mostOpen = 0
  /** Says what becomes of a question; 'pass' for all by default. */
  fate: (name: string) => Fate | Promise<Fate> = () => 'pass'
  readonly #socket: Socket
  readonly #behind: number | undefined
  #open = 0

  private constructor(socket: Socket, behind: number | undefined) {
    this.#socket = socket
    this.#behind = behind
    socket.on('message', (message, peer) => void this.#take(message, peer))
  }

  /** Listens until the test is over, in front of the server on port `behind` of loopback. */
  static async start(behind?: number): Promise<NameServer> {
    const socket = await bound()
    const server = new NameServer(socket, behind)
    onTestFinished(() => void socket.close())
    return server
  }

  /** For `servers`. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  /** How many questions there were for names below a domain. */
  count(domain: string): number {
    return this.asked.filter((name) => name.endsWith(`.${domain}`)).length
  }

  async #take(message: Buffer, peer: RemoteInfo): Promise<void> {
    const { name, end } = questionOf(message)
    this.asked.push(name)
    this.mostOpen = Math.max(this.mostOpen, ++this.#open)
    const answer = await this.#answer(message, end, await this.fate(name))
    this.#open--
    if (answer !== undefined) this.#socket.send(answer, peer.port, peer.address, () => {})
  }

  async #answer(message: Buffer, end: number, fate: Fate): Promise<Buffer | undefined> {
    if (fate === 'silent') return undefined
    if (fate === 'garbage') return Buffer.from('this is no answer')
    if (fate !== 'pass') return answerTo(message, end, fate)
    return this.#behind === undefined ? answerTo(message, end, { code: 3 }) : relay(message, this.#behind)
  }
}

async function relay(message: Buffer, port: number): Promise<Buffer> {
  const socket = await bound()
  socket.send(message, port, '127.0.0.1')
  const [answer] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return answer
}

/** The name of the question, in small letters, and where it ends. */
function questionOf(message: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), end: at + 5 }
}

/** An answer by RFC 1035, section 4. */
function answerTo(message: Buffer, end: number, fate: { code: number } | { addresses: readonly string[] }): Buffer {
  const addresses = 'addresses' in fate ? fate.addresses : []
  const header = Buffer.from(message.subarray(0, 12))
  // A response to a recursive question, with recursion available, and its code.
  header.writeUInt16BE(0x8180 | ('code' in fate ? fate.code : 0), 2)
  header.writeUInt16BE(addresses.length, 6)
  header.writeUInt32BE(0, 8)
  const records = addresses.map((address) => {
    const fixed = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]
    return Buffer.from([...fixed, ...address.split('.').map(Number)])
  })
  return Buffer.concat([header, message.subarray(12, end), ...records])
}
