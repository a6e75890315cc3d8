// Sends events on by the forward protocol: to another feedoo, to Fluent Bit, to Fluentd.
import { randomBytes } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { hostname as ownHostname } from 'node:os'
import { z } from 'zod'
import { defineAction, type Lint } from '../../core/action.ts'
import { FeedooError } from '../../core/errors.ts'
import { clientTls } from '../../core/net/client-tls.ts'
import { connectForward, type ForwardTarget } from '../../core/net/forward-connection.ts'
import { createFrameCutter } from '../../core/net/forward-frames.ts'
import { createSender } from '../../core/net/forward-sender.ts'
import { ForwardTargets } from '../../core/net/forward-targets.ts'
import { lintPemFiles, type PemPaths, readPemFiles } from '../../core/net/pem-files.ts'
import { outputParams } from '../../core/params.ts'

const port = z.int().min(1).max(65_535)
const hostText = z
  .string()
  .refine((text) => parseHost(text) !== undefined, 'this is no host and no host:port')
  .meta({ title: 'host or host:port' })
const file = z.string().min(1)
const seconds = (max: number) => z.number().min(0.01).max(max)

/** Not the name of the machine alone: a receiver on it may bear that, and one with our own name is refused. */
const defaultHostname = `${ownHostname()}-${randomBytes(4).toString('hex')}`

const params = z
  .strictObject({
    ...outputParams,
    host: hostText.optional().describe('The receiver, by name or address; 127.0.0.1 when nothing else is given.'),
    hosts: z
      .array(
        z.union([
          hostText,
          z.strictObject({
            host: z.string().min(1).describe('Name or address.'),
            port: port.optional().describe('TCP port; that of `port` when it is left out.'),
          }),
        ]),
      )
      .min(1)
      .max(100)
      .optional()
      .describe(
        'Receivers instead of `host`, the preferred one first: each is there for when those before it fail. An IPv6 address with a port is written `[::1]:24224`.',
      ),
    port: port.default(24_224).describe('TCP port of the receivers.'),
    unix_path: z.string().min(1).optional().describe('Path of a Unix socket, instead of a host.'),
    tls_enable: z.boolean().default(false).describe('Encrypts the connection with TLS 1.2 or later.'),
    tls_verify: z
      .boolean()
      .default(true)
      .describe('Refuses a receiver whose certificate no trusted authority has signed, or that has another name.'),
    ca_file: file.optional().describe("PEM file of the authorities to trust, instead of the system's."),
    crt_file: file.optional().describe('PEM file of our certificate, for receivers that ask for one.'),
    key_file: file.optional().describe('PEM file of the key of `crt_file`.'),
    server_name: z
      .string()
      .min(1)
      .optional()
      .describe("The name that the receiver's certificate must have, where it is not that of the host."),
    shared_key: z
      .string()
      .min(1)
      .optional()
      .describe('The secret that both sides prove to know. Keep it in an environment variable.'),
    username: z.string().min(1).optional().describe('The user, for receivers that ask for one.'),
    password: z.string().min(1).optional().describe('The password of `username`.'),
    hostname: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe(
        'What we call ourselves to a receiver with a shared key, which must have another name. Without it, the name of the machine with a suffix drawn at each start.',
      ),
    mode: z
      .enum(['packed', 'forward', 'gzip'])
      .default('packed')
      .describe(
        'How entries are sent: `packed` as one value that receivers can pass on unread (as Fluentd sends), `forward` as a list (as Fluent Bit sends), `gzip` as packed and compressed.',
      ),
    metadata: z
      .boolean()
      .default(true)
      .describe(
        "Sends an event's metadata with it, if there is any. Fluent Bit 2.1 and later understand that, Fluentd does not: switch it off.",
      ),
    require_ack: z
      .boolean()
      .default(true)
      .describe(
        'Waits until the receiver acknowledges each frame. Without it, events count as written when the kernel has taken them.',
      ),
    ack_timeout: seconds(86_400)
      .default(190)
      .describe(
        'Seconds without any acknowledgement after which the connection is given up and what is left is sent again. The default is that of Fluentd.',
      ),
    connect_timeout: seconds(3600).default(10).describe('Seconds for connecting, TLS and the handshake together.'),
    send_timeout: seconds(86_400)
      .default(60)
      .describe('Seconds in which the receiver takes no frame off the line, after which the connection is given up.'),
    keepalive: z.boolean().default(true).describe('Keeps the connection for the next batch.'),
    keepalive_idle: seconds(86_400)
      .default(30)
      .describe('Seconds without events after which the connection is closed.'),
    recover_wait: seconds(86_400)
      .default(10)
      .describe('Seconds after which a host that has failed is looked at again.'),
    heartbeat: z
      .enum(['none', 'udp'])
      .default('none')
      .describe(
        '`udp`: asks hosts that have failed by UDP, on the same port, and returns to them as soon as they answer.',
      ),
    heartbeat_interval: seconds(3600).default(1).describe('Seconds between two heartbeats.'),
    chunk_size: z
      .int()
      .min(1)
      .max(15 * 1024 * 1024)
      .default(1024 * 1024)
      .describe('Bytes of events in one frame, before compression. A larger event goes alone.'),
    max_event_size: z
      .int()
      .min(1)
      .max(15 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .describe(
        'Bytes of the largest event that is sent; a larger one goes to the dead letters. Fluent Bit takes frames of 6 MB, feedoo of 16 MiB.',
      ),
    max_in_flight: z
      .int()
      .min(1)
      .max(1000)
      .default(16)
      .describe('Frames that are sent before the first of them is acknowledged.'),
  })
  .superRefine((value, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const { host, hosts, unix_path, tls_enable, username, password, shared_key, crt_file, key_file } = value
    if (hosts !== undefined && host !== undefined) refuse('hosts', 'host and hosts: give one of them')
    if (unix_path !== undefined && (host ?? hosts) !== undefined) {
      refuse('unix_path', 'a Unix socket stands instead of a host: give one of them')
    }
    if ((crt_file === undefined) !== (key_file === undefined)) {
      refuse(crt_file === undefined ? 'key_file' : 'crt_file', 'crt_file and key_file go together')
    }
    for (const name of ['ca_file', 'crt_file', 'server_name'] as const) {
      if (value[name] !== undefined && !tls_enable) refuse(name, `${name} needs tls_enable: true`)
    }
    if ((username === undefined) !== (password === undefined)) {
      refuse(username === undefined ? 'password' : 'username', 'username and password go together')
    }
    if (username !== undefined && shared_key === undefined) {
      refuse('username', 'a user is asked for in the handshake only: it needs shared_key')
    }
  })

export const outputForward = defineAction({
  kind: 'output',
  name: 'output_forward',
  summary: 'Sends events on by the forward protocol, acknowledged, to feedoo, Fluent Bit or Fluentd.',
  details: `Tag, time (to the nanosecond that Unix seconds as a double can tell), record and metadata arrive as they are. The events
of one tag arrive in their order; those of different tags are grouped by tag, batch by batch.

A frame bears an id. When an acknowledgement is missing, because the connection broke or \`ack_timeout\` is over, the same
frame is sent again with the same id, so that a receiver that knows the id (\`input_forward\` does) takes it once. Frames
that were acknowledged are not sent again. With several \`hosts\`, a frame that the first one took without saying so goes
to the next one as well.

When a host fails, the next one is tried at once; when all have failed, the events wait and the engine tries again. The
first host is looked at again after \`recover_wait\` seconds while events go on to the other, and is returned to when it
takes a connection.

An event that no receiver takes goes to the dead letters alone: a tag that is too long or has control characters, an
integer beyond 64 bits, more than 56 levels, more bytes than \`max_event_size\`. Certificates are read for each connection:
a renewed one needs no restart.`,
  params,
  examples: [
    {
      title: 'Alerts go on to a central feedoo, or to the one that stands in for it',
      yaml: `- name: output_forward
  match: alert.*
  hosts: [central.example.com, "standby.example.com:24225"]
  tls_enable: true
  shared_key: \${SHARED_KEY:-a long secret}
`,
      in: [{ tag: 'web', timestamp: 1600000000, record: { log: 'no alert: it is not sent' } }],
      out: [{ tag: 'web', timestamp: 1600000000, record: { log: 'no alert: it is not sent' } }],
    },
  ],
  lint(it): readonly Lint[] {
    if (!it.tls_enable) return []
    const mistakes = lintPemFiles(pemPathsOf(it))
    if (it.tls_verify) return mistakes
    return [
      ...mistakes,
      { path: ['tls_verify'], message: 'whoever stands on the way can pass for the receiver: set ca_file instead' },
    ]
  },
  create(params, { clock, log, deadLetter }) {
    const { shared_key, username, password, keepalive, heartbeat } = params
    const tlsFiles = {
      ...pemPathsOf(params),
      verify: params.tls_verify,
      serverName: params.server_name,
    }
    const settings = {
      timeout: params.connect_timeout * 1000,
      ...(params.tls_enable ? { tls: () => clientTls(tlsFiles) } : {}),
      ...(shared_key === undefined
        ? {}
        : {
            security: {
              sharedKey: shared_key,
              hostname: params.hostname ?? defaultHostname,
              ...(username === undefined ? {} : { username }),
              ...(password === undefined ? {} : { password }),
            },
          }),
    }
    const targets = new ForwardTargets(targetsOf(params), {
      connect: (target, signal) => connectForward(target, settings, signal),
      recoverWait: params.recover_wait,
      heartbeat: heartbeat === 'udp' ? params.heartbeat_interval : undefined,
      idle: keepalive ? params.keepalive_idle : 0,
      clock,
      log,
    })
    const cut = createFrameCutter({
      mode: params.mode,
      chunkSize: params.chunk_size,
      maxEventSize: params.max_event_size,
      requireAck: params.require_ack,
      metadata: params.metadata,
      refuse: (event, reason) => deadLetter(event, new FeedooError('RECORD_UNWRITABLE', reason)),
    })
    const write = createSender(targets, {
      cut,
      requireAck: params.require_ack,
      ackTimeout: params.ack_timeout * 1000,
      sendTimeout: params.send_timeout * 1000,
      maxInFlight: params.max_in_flight,
    })
    return {
      async open() {
        // Again: the files may have changed since the configuration was checked.
        if (params.tls_enable) readPemFiles(tlsFiles)
      },
      write,
      async close() {
        targets.close()
      },
    }
  },
})

function pemPathsOf({ ca_file, crt_file, key_file }: z.output<typeof params>): PemPaths {
  return { ca: ca_file, cert: crt_file, key: key_file }
}

function targetsOf({ host, hosts, port, unix_path }: z.output<typeof params>): ForwardTarget[] {
  if (unix_path !== undefined) return [{ name: unix_path, path: unix_path }]
  return (hosts ?? [host ?? '127.0.0.1']).map((entry) => {
    const place = typeof entry === 'string' ? parseHost(entry) : entry
    const target = { host: place?.host ?? '', port: place?.port ?? port }
    return { ...target, name: `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}` }
  })
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address; undefined for anything else. */
function parseHost(text: string): { host: string; port?: number } | undefined {
  const match = /^(?:\[([\da-f:.%]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/i.exec(text)
  if (match === null) return isIPv6(text) ? { host: text } : undefined
  const host = match[1] ?? match[2] ?? ''
  if (match[3] === undefined) return { host }
  const port = Number(match[3])
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}
