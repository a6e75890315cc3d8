// The parameters by which input_rethinkdb and output_rethinkdb reach a server.
import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import type { Lint } from '../action.ts'
import type { Clock } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import { clientTls } from '../net/client-tls.ts'
import { lintPemFiles, type PemPaths } from '../net/pem-files.ts'
import { RethinkFailure } from './failure.ts'
import { RethinkPool } from './pool.ts'
import { namePattern } from './tables.ts'

/** Milliseconds before the first further try to connect; it doubles, with jitter, up to the longest. */
const firstDelay = 100
const longestDelay = 5000
/** Seconds that an input tries to log in before all pipelines start. */
const loginTime = 1

const file = z.string().min(1)
const seconds = z.number().min(0.01).max(86_400)
const databaseName = z.string().regex(namePattern, 'a database is named by 1 to 127 letters, digits, `_` and `-`')

export const connectionParams = {
  ip: z.string().min(1).default('127.0.0.1').describe('The server, by name or address.'),
  port: z.int().min(1).max(65_535).default(28_015).describe("TCP port of the server's drivers."),
  database: databaseName.optional().describe('The database; `test` when nothing else is given.'),
  database_name: databaseName.optional().describe('Another name of `database`.'),
  user: z.string().min(1).default('admin').describe('The user.'),
  password: z.string().default('').describe('The password of `user`. Keep it in an environment variable.'),
  tls_enable: z.boolean().default(false).describe('Encrypts the connection with TLS 1.2 or later.'),
  tls_verify: z
    .boolean()
    .default(true)
    .describe('Refuses a server whose certificate no trusted authority has signed, or that has another name.'),
  ca_file: file.optional().describe("PEM file of the authorities to trust, instead of the system's."),
  crt_file: file.optional().describe('PEM file of our certificate, for servers that ask for one.'),
  key_file: file.optional().describe('PEM file of the key of `crt_file`.'),
  server_name: z
    .string()
    .min(1)
    .optional()
    .describe("The name that the server's certificate must have, where it is not that of `ip`."),
  wait_connection: z
    .number()
    .min(0)
    .max(86_400)
    .default(30)
    .describe(
      'Seconds in which the server may come up at start, before anything is said about it; feedoo goes on trying. An output keeps all pipelines from starting so long, an input does not.',
    ),
  connect_timeout: seconds.default(10).describe('Seconds for connecting, TLS and the handshake together.'),
  query_timeout: seconds
    .default(60)
    .describe('Seconds for one query, after which its connection is given up and it is tried again.'),
  connections: z.int().min(1).max(64).default(2).describe('Connections to the server at most.'),
} as const

export type ConnectionParams = z.output<z.ZodObject<typeof connectionParams>>

/** The mistakes that no single parameter shows. `refuse` takes the parameter and what is wrong with it. */
export function checkConnection(it: ConnectionParams, refuse: (parameter: string, message: string) => void): void {
  if (it.database !== undefined && it.database_name !== undefined) {
    refuse('database_name', 'database and database_name are the same: give one of them')
  }
  if ((it.crt_file === undefined) !== (it.key_file === undefined)) {
    refuse(it.crt_file === undefined ? 'key_file' : 'crt_file', 'crt_file and key_file go together')
  }
  for (const name of ['ca_file', 'crt_file', 'server_name'] as const) {
    if (it[name] !== undefined && !it.tls_enable) refuse(name, `${name} needs tls_enable: true`)
  }
}

export function lintConnection(it: ConnectionParams): Lint[] {
  if (!it.tls_enable) return []
  const mistakes = lintPemFiles(pemPathsOf(it))
  if (it.tls_verify) return mistakes
  const message = 'whoever stands on the way can pass for the server: set ca_file instead'
  return [...mistakes, { path: ['tls_verify'], message }]
}

export function databaseOf(it: ConnectionParams): string {
  return it.database ?? it.database_name ?? 'test'
}

export function createPool(it: ConnectionParams, codes: { away: ErrorCode; refused: ErrorCode }): RethinkPool {
  const { ip, port, user, password, connections, connect_timeout, query_timeout } = it
  const tls = (): ConnectionOptions =>
    clientTls({ ...pemPathsOf(it), verify: it.tls_verify, serverName: it.server_name })
  return new RethinkPool({
    host: ip,
    port,
    user,
    password,
    tls: it.tls_enable ? tls : undefined,
    connections,
    connectTimeout: connect_timeout,
    queryTimeout: query_timeout,
    codes,
  })
}

/**
 * Refuses what waiting would not help, as far as that shows within a moment: throws a RethinkFailure when the server does
 * not let us in.
 */
export async function tryLogin(pool: RethinkPool, clock: Clock, signal?: AbortSignal): Promise<void> {
  const tried = new AbortController()
  const ends = signal === undefined ? tried.signal : AbortSignal.any([signal, tried.signal])
  try {
    await unless(pool.connect(), clock.sleep(loginTime, ends))
  } catch (error) {
    if (!isAway(error)) throw error
  } finally {
    tried.abort()
  }
}

/**
 * Waits for the server to come up, `seconds` at most, or until `signal` aborts. Who has not got it then goes on trying.
 * Throws a RethinkFailure at once when it does not let us in: time would not help.
 */
export async function waitForServer(
  pool: RethinkPool,
  seconds: number,
  clock: Clock,
  log: Logger,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const end = clock.now() + seconds
  for (let delay = firstDelay; ; delay = Math.min(delay * 2, longestDelay)) {
    try {
      return await unless(pool.connect(), stopped)
    } catch (error) {
      if (!isAway(error)) throw error
      const left = end - clock.now()
      if (left <= 0) {
        log.warn({ code: error.code }, `${error.message}; trying again until it works`)
        return
      }
      await clock.sleep(Math.min(left, (delay * (0.5 + Math.random() / 2)) / 1000), signal)
      if (signal.aborted) return
    }
  }
}

/** Comes back when the connection is there, or the end of the wait for it, which goes on behind. */
async function unless(connected: Promise<void>, ended: Promise<void>): Promise<void> {
  await Promise.race([connected, ended])
}

function isAway(error: unknown): error is RethinkFailure {
  return error instanceof RethinkFailure && error.kind === 'away'
}

function pemPathsOf({ ca_file, crt_file, key_file }: ConnectionParams): PemPaths {
  return { ca: ca_file, cert: crt_file, key: key_file }
}
