// Receives events from Fluent Bit, Fluentd, Docker and feedoo over the forward protocol.
import { hostname } from 'node:os'
import { z } from 'zod'
import { defineAction, type Lint } from '../../core/action.ts'
import { ForwardServer } from '../../core/forward/forward-server.ts'
import { isLoopback } from '../../core/loopback.ts'
import { lintPemFiles } from '../../core/net/pem-files.ts'
import { inputStateParam } from '../../core/params.ts'

const MiB = 1024 * 1024

const user = z.strictObject({
  username: z.string().min(1).describe('The name of the user.'),
  password: z.string().min(1).describe('The password of the user.'),
})

const file = z.string().min(1)
const seconds = z.number().min(0.01).max(86_400)

const params = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default('localhost')
      .describe(
        'The address or name to listen on. `localhost` is 127.0.0.1 and ::1; `0.0.0.0` takes agents of the whole network over IPv4, `::` over IPv6, too.',
      ),
    port: z.int().min(0).max(65_535).default(24224).describe('The port. 0 takes a free one, which the log names.'),
    unix_path: file
      .optional()
      .describe(
        'Listens on a Unix socket at this path instead of `host` and `port`. One that is left over is replaced.',
      ),
    unix_perm: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'three octal digits in quotes, such as "660"')
      .default('660')
      .describe(
        'Who may connect to the Unix socket, as octal file permissions. Connecting takes the permission to write.',
      ),
    heartbeat: z
      .boolean()
      .default(true)
      .describe(
        'Answers the heartbeats that senders send over UDP, on the same port: at most 100 a second to one address, none to ports below 1024 or to the same port number.',
      ),
    tls_enable: z.boolean().default(false).describe('Takes connections with TLS 1.2 or newer only.'),
    crt_file: file
      .optional()
      .describe('The certificate of this server in PEM form, intermediate ones behind it. Read again when it changes.'),
    key_file: file.optional().describe('The private key of the certificate in PEM form, without a passphrase.'),
    ca_file: file
      .optional()
      .describe('Authorities in PEM form. A client then needs a certificate that one of them has signed (mutual TLS).'),
    shared_key: z
      .string()
      .min(1, 'an empty shared key protects nothing: leave it out, or set one')
      .optional()
      .describe('The secret that a sender has to know. Without it there is no handshake, and anyone may send.'),
    users: z
      .union([
        z.record(z.string().min(1), z.string().min(1)).refine((map) => Object.keys(map).length > 0, 'name a user'),
        z.array(user).min(1),
      ])
      .optional()
      .describe(
        'Users, of which a sender has to be one, besides knowing `shared_key`: a map of name to password, or a list of `username` and `password`.',
      ),
    server_hostname: z
      .string()
      .min(1)
      .optional()
      .describe('What this server calls itself in the handshake. Without it, the name of the machine.'),
    tag_prefix: z
      .string()
      .max(1024)
      .regex(/^[^\p{Cc}]*$/u, 'a tag holds no control characters')
      .default('')
      .describe('Put before the tag of every event as it stands, so that `fb.` makes `fb.app` of `app`.'),
    buffer_size: z
      .int()
      .min(1)
      .max(16 * MiB)
      .default(64 * 1024)
      .describe(
        'Bytes of a connection that are read ahead while the pipeline takes no more. The rest waits with the sender.',
      ),
    queue_size: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(50_000)
      .describe(
        'Events taken and not yet safe in their outputs, of all connections together, at which reading stops. It goes on when half of them are safe.',
      ),
    queue_bytes: z
      .int()
      .min(1)
      .max(65_536 * MiB)
      .default(64 * MiB)
      .describe('The same for the bytes, after decompression, of the requests that these events came in.'),
    dedupe_window: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(10_000)
      .describe(
        'Chunk ids that are remembered of each sender, with their tag; a sender is a hostname in the handshake, else an address. A chunk that is among them is acknowledged and not taken again. 0 remembers none. Fluent Bit makes the id from the content. Such an id is forgotten when the sender goes on, on the same connection, after its acknowledgement; until then, the same content sent once more on purpose (on a second connection, or by another agent under the same hostname or address) counts as the same chunk. A chunk sent again under another hostname or address is taken twice.',
      ),
    dedupe_total: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(200_000)
      .describe(
        'Chunk ids that are remembered of all senders together. Beyond that, the senders with the most of them lose their oldest, which is counted as `dedupe_full`. 200,000 take up to 50 MB.',
      ),
    max_frame: z
      .int()
      .min(1024)
      .max(1024 * MiB)
      .default(16 * MiB)
      .describe('The largest request in bytes.'),
    max_held: z
      .int()
      .min(1024)
      .max(65_536 * MiB)
      .default(256 * MiB)
      .describe(
        'Bytes of requests that are not complete, of all connections together. Beyond it, the connection with most of them is closed.',
      ),
    max_decompressed: z
      .int()
      .min(1024)
      .max(1024 * MiB)
      .default(64 * MiB)
      .describe('The largest size in bytes of the entries of one request after decompression.'),
    max_ratio: z
      .number()
      .min(1)
      .max(100_000)
      .default(200)
      .describe('How many times its size compressed data may become, beyond the first MiB.'),
    max_depth: z
      .int()
      .min(4)
      .max(1000)
      .default(64)
      .describe('Levels of lists and maps in one request, its own two or three among them.'),
    max_tag: z.int().min(1).max(1024).default(1024).describe('The longest tag in bytes, without `tag_prefix`.'),
    max_connections: z
      .int()
      .min(1)
      .max(100_000)
      .default(1024)
      .describe('Connections at a time. More are closed at once.'),
    max_connections_per_address: z
      .int()
      .min(1)
      .max(100_000)
      .default(128)
      .describe(
        'Connections at a time from one address; of IPv6, from one network of 64 bits. It does not hold for a Unix socket.',
      ),
    handshake_timeout: seconds
      .default(10)
      .describe('Seconds for the handshake of TLS, and again for that of the shared key.'),
    idle_timeout: seconds
      .default(300)
      .describe('Seconds after which a connection is closed on which nothing was sent and nothing is awaited.'),
    frame_timeout: seconds
      .default(60)
      .describe('Seconds from the first byte of a request to its last. Time in which reading stops does not count.'),
    db_path: inputStateParam,
  })
  .superRefine((it, context) => {
    const mistake = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    if (it.users !== undefined && it.shared_key === undefined) {
      mistake('users', 'they protect nothing without `shared_key`: set one')
    }
    if (it.tls_enable && it.unix_path !== undefined) mistake('tls_enable', 'there is no TLS on a Unix socket')
    if (it.tls_enable && it.crt_file === undefined) mistake('tls_enable', '`tls_enable` needs `crt_file`')
    if (it.tls_enable && it.key_file === undefined) mistake('tls_enable', '`tls_enable` needs `key_file`')
    for (const key of ['crt_file', 'key_file', 'ca_file'] as const) {
      if (it[key] !== undefined && !it.tls_enable) mistake(key, `\`${key}\` needs \`tls_enable: true\``)
    }
    const names = Array.isArray(it.users) ? it.users.map(({ username }) => username) : []
    for (const [i, name] of names.entries()) {
      if (names.indexOf(name) === i) continue
      const message = 'this user is named a second time'
      context.addIssue({ code: 'custom', path: ['users', i, 'username'], message })
    }
  })

export const inputForward = defineAction({
  kind: 'input',
  name: 'input_forward',
  summary: 'Receives events from Fluent Bit, Fluentd, Docker and feedoo over the forward protocol.',
  details: `All forms of the protocol are taken: single messages, lists, packed and compressed (gzip, zstd) entries, and
Fluentd's JSON dialect. Tag, time and record are the sender's; Fluent Bit's metadata goes with the event. Its metrics and
traces are no events: they are acknowledged, and passed over.

A request is checked as a whole before any of its events is taken. A sender that asks for acknowledgements
(\`require_ack_response\`) gets each one when the events are safe in every output, not before; a chunk that it sends again
is not taken twice. When the pipeline does not keep up, reading stops, and the senders hold their data back.

A connection that breaks the protocol or passes a limit is closed, with a line in the log: the first of each kind at
once, then how many more every 10 seconds. Other connections go on.

The port is open to everyone who reaches it unless \`shared_key\` or \`ca_file\` is set. \`shared_key\` alone proves who
sends, and hides nothing: on a network that others share, use it with \`tls_enable\`.`,
  params,
  examples: [
    {
      title: 'From programs of this machine, over a Unix socket',
      yaml: '- name: input_forward\n  unix_path: "{dir}/forward.sock"\n  unix_perm: "600"\n',
      out: [],
    },
    {
      title: 'From senders that know a secret and are a known user, on a free port',
      yaml: '- name: input_forward\n  host: 127.0.0.1\n  port: 0\n  shared_key: a long secret\n  users:\n    web-1: the password of web-1\n  tag_prefix: fb.\n',
      out: [],
    },
  ],
  lint(it): readonly Lint[] {
    const mistakes = it.tls_enable ? lintPemFiles({ cert: it.crt_file, key: it.key_file, ca: it.ca_file }) : []
    if (it.unix_path !== undefined || isLoopback(it.host)) return mistakes
    if (it.shared_key !== undefined || it.ca_file !== undefined) return mistakes
    return [
      ...mistakes,
      {
        path: ['host'],
        message: `everyone who reaches port ${it.port} may send events: set shared_key, or ca_file with tls_enable`,
      },
    ]
  },
  create(it, { clock, log, count }) {
    const { shared_key: sharedKey, users, crt_file: cert, key_file: key, ca_file: ca } = it
    const server = new ForwardServer({
      where:
        it.unix_path === undefined
          ? { host: it.host, port: it.port, heartbeat: it.heartbeat }
          : { path: it.unix_path, mode: Number.parseInt(it.unix_perm, 8) },
      readAhead: it.buffer_size,
      tls: cert === undefined || key === undefined ? undefined : { cert, key, ...(ca === undefined ? {} : { ca }) },
      security:
        sharedKey === undefined
          ? undefined
          : {
              sharedKey,
              hostname: it.server_hostname ?? hostname(),
              ...(users === undefined ? {} : { users: usersOf(users) }),
            },
      limits: {
        maxFrame: it.max_frame,
        forward: {
          maxTag: it.max_tag,
          maxDepth: it.max_depth,
          maxInflatedBytes: it.max_decompressed,
          maxRatio: it.max_ratio,
        },
        handshakeTimeout: it.handshake_timeout * 1000,
        idleTimeout: it.idle_timeout * 1000,
        frameTimeout: it.frame_timeout * 1000,
      },
      maxConnections: it.max_connections,
      maxConnectionsPerAddress: it.max_connections_per_address,
      maxHeldBytes: it.max_held,
      intake: {
        maxOpen: it.queue_size,
        maxOpenBytes: it.queue_bytes,
        tagPrefix: it.tag_prefix,
        dedupeWindow: it.dedupe_window,
        dedupeTotal: it.dedupe_total,
      },
      clock,
      log,
      count,
    })
    return {
      open: () => server.open(),
      run: (run) => server.run(run),
      async close() {
        server.close()
      },
    }
  },
})

/** Passwords by name. */
function usersOf(users: Record<string, string> | readonly z.output<typeof user>[]): Map<string, string> {
  if (Array.isArray(users)) return new Map(users.map(({ username, password }) => [username, password]))
  return new Map(Object.entries(users))
}
