// docs/guide/fluent-bit.md, step by step: each block is run as it stands, but for its paths, ports and names.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FluentClient, type FluentClientOptions } from '@fluent-org/logger'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'
import { FluentBit, fluentBit } from '../helpers/fluent-bit.ts'
import { forwardOutput, numbered } from '../helpers/forward-output.ts'
import { freePort } from '../helpers/forward-receiver.ts'
import { hasOpenssl } from '../helpers/openssl.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs/guide/fluent-bit.md'), 'utf8')

/** The blocks that name a file behind their language. */
const blocks = new Map(
  Array.from(page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms), ([, file = '', text = '']): [string, string] => [
    file,
    text,
  ]),
)
const secrets = { FORWARD_KEY: 'what openssl rand makes', WEB_1_PASSWORD: 'a password' }
const lines = ['the first line', 'the second line']

interface Site {
  folder: string
  port: number
}

async function newSite(): Promise<Site> {
  const site = { folder: await scratchFolder(), port: await freePort() }
  for (const name of ['log/feedoo', 'log/app', 'lib', 'etc']) await mkdir(join(site.folder, name), { recursive: true })
  for (const name of ['auth.log', 'app.log', 'app/web.log']) {
    await writeFile(join(site.folder, 'log', name), lines.map((line) => `${line}\n`).join(''))
  }
  return site
}

/** A text of the page, or a file that it links to, for a site: the places of this machine instead of the example's. */
function placed(text: string, { folder, port }: Site): string {
  return text
    .replaceAll('/var/log/', `${folder}/log/`)
    .replaceAll('/var/lib/fluent-bit', `${folder}/lib`)
    .replaceAll(/\/etc\/(feedoo|fluent-bit)\//g, `${folder}/etc/`)
    .replaceAll('24224', String(port))
    .replaceAll('feedoo.example.com', 'localhost')
    .replaceAll('standby.example.com', '127.0.0.1:1')
}

function block(name: string, site: Site): string {
  const text = blocks.get(name)
  if (text === undefined) throw new Error(`the page has no block ${name}`)
  return placed(text, site)
}

async function write(name: string, text: string, { folder }: Site): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text)
  return file
}

/** Comes back when the daemon listens. */
async function feedoo(name: string, text: string, site: Site, env: NodeJS.ProcessEnv = secrets): Promise<Daemon> {
  const file = await write(name, text, site)
  const daemon = new Daemon(['run', '-c', file], { cwd: site.folder, env })
  await daemon.logged(/listens/)
  return daemon
}

/** Sends the lines as an agent would, and comes back when they are acknowledged. */
async function send(tag: string, { port }: Site, options: FluentClientOptions = {}): Promise<void> {
  const socket = { host: 'localhost', port, ...options.socket }
  const client = new FluentClient(tag, { ack: { ackTimeout: 20_000 }, ...options, socket })
  await Promise.all(lines.map((log) => client.emit({ log })))
  await client.disconnect()
}

function makeCertificates(site: Site): void {
  const folder = join(site.folder, 'etc')
  execFileSync('sh', ['-ec', block('certificates.sh', site)], { cwd: folder, stdio: 'pipe' })
}

/** The client's side of feedoo-tls.yaml. */
const secured = (ca: string): FluentClientOptions => ({
  security: {
    clientHostname: 'web-1',
    sharedKey: secrets.FORWARD_KEY,
    username: 'web-1',
    password: secrets.WEB_1_PASSWORD,
  },
  socket: { tls: { ca: readFileSync(ca), servername: 'localhost' } },
})

const logsOf = (texts: readonly string[]) => texts.map((line) => (JSON.parse(line) as { log: string }).log)
const archived = async ({ folder }: Site) => logsOf(await linesIn(join(folder, 'log/feedoo')))

it('has the blocks that this test knows, and no others', () => {
  expect([...blocks.keys()]).toEqual([
    'feedoo.yaml',
    'fluent-bit.yaml',
    'certificates.sh',
    'feedoo-tls.yaml',
    'fluent-bit-tls.yaml',
    'feedoo-relay.yaml',
  ])
})

it('what is acknowledged on one machine is in the archive', async () => {
  const site = await newSite()
  await feedoo('feedoo.yaml', block('feedoo.yaml', site), site)
  await send('app', site)
  expect(await archived(site)).toEqual(lines)
})

it('the example pipeline archives by the kind of log, and the agent of the example sends to it', async () => {
  const site = await newSite()
  const [ours, theirs] = ['etc/feedoo/pipelines/fluent-bit.yaml', 'etc/fluent-bit/fluent-bit.yaml']
  const env = { FORWARD_PORT: String(site.port), ARCHIVE_DIR: join(site.folder, 'log/feedoo') }
  await feedoo('feedoo.yaml', await readFile(join(root, ours), 'utf8'), site, env)
  const agent = parse(await readFile(join(root, theirs), 'utf8')) as {
    pipeline: { inputs: { tag: string }[]; outputs: { host: string; port: number }[] }
  }
  expect(agent.pipeline.outputs[0]).toMatchObject({ name: 'forward', host: '127.0.0.1', port: 24224 })
  for (const { tag } of agent.pipeline.inputs) await send(tag.replace('*', 'var.log.app.web.log'), site)
  expect(await archived(site)).toEqual([...lines, ...lines])
})

describe.skipIf(!hasOpenssl)('with certificates (needs openssl)', () => {
  it('what is acknowledged over TLS, with key and user, is in the archive, and nobody else gets in', async () => {
    const site = await newSite()
    makeCertificates(site)
    const daemon = await feedoo('feedoo.yaml', block('feedoo-tls.yaml', site), site)
    const ca = join(site.folder, 'etc/ca.crt')
    await send('app', site, secured(ca))
    expect(await archived(site)).toEqual(lines)

    const tls = { host: 'localhost', port: site.port, tls_enable: true, ca_file: ca }
    const output = await forwardOutput({ ...tls, shared_key: 'a guess' })
    await expect(output.write(numbered(1))).rejects.toThrow('shared_key mismatch')
    expect((await daemon.logged(/shared_key mismatch/)).level).toBe('warn')
    expect(await archived(site)).toEqual(lines)
  })

  it('alerts go through the relay to the central feedoo before the agent is answered, and others do not', async () => {
    const central = await newSite()
    makeCertificates(central)
    await feedoo('central.yaml', block('feedoo-tls.yaml', central), central)
    const relay = await newSite()
    const text = block('feedoo-relay.yaml', relay)
      .replace('hosts: [localhost,', `hosts: ["localhost:${central.port}",`)
      .replace(`${relay.folder}/etc/ca.crt`, `${central.folder}/etc/ca.crt`)
    await feedoo('relay.yaml', text, relay)
    await send('app', relay)
    expect(existsSync(join(central.folder, 'log/feedoo')) && (await archived(central))).toEqual([])
    await send('alert.login', relay)
    expect(await archived(central)).toEqual(lines)
  })
})

describe.skipIf(fluentBit === undefined || !hasOpenssl)('with a real agent (FLUENT_BIT, openssl)', () => {
  const agent = async (name: string, text: string, site: Site) => {
    const file = await write(name, placed(text, site), site)
    return new FluentBit(file, secrets)
  }

  it.each([
    ['feedoo.yaml', 'fluent-bit.yaml'],
    ['feedoo-tls.yaml', 'fluent-bit-tls.yaml'],
  ])('%s receives what %s sends', async (ours, theirs) => {
    const site = await newSite()
    makeCertificates(site)
    await feedoo(ours, block(ours, site), site)
    await agent(theirs, block(theirs, site), site)
    await expect.poll(() => archived(site).catch(() => []), { timeout: 20_000 }).toEqual(lines)
  })

  it('the files to copy fit together', async () => {
    const site = await newSite()
    const env = { FORWARD_PORT: String(site.port), ARCHIVE_DIR: join(site.folder, 'log/feedoo') }
    await feedoo('feedoo.yaml', await readFile(join(root, 'etc/feedoo/pipelines/fluent-bit.yaml'), 'utf8'), site, env)
    const theirs = await readFile(join(root, 'etc/fluent-bit/fluent-bit.yaml'), 'utf8')
    // A small build of Fluent Bit has no storage on disk.
    await agent('agent.yaml', theirs.replaceAll(/^ *storage\..*\n/gm, ''), site)
    await expect.poll(() => archived(site).catch(() => []), { timeout: 20_000 }).toEqual([...lines, ...lines])
  })
})
