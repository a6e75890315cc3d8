// Runs input_forward in a real pipeline on a free port, and talks to it over real sockets.
import { once } from 'node:events'
import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { decodeMulti } from '@msgpack/msgpack'
import { onTestFinished, vi } from 'vitest'
import type { ActionSpec, Json, Output } from '../../src/core/action.ts'
import type { Event } from '../../src/core/event.ts'
import { actionKey, type Positions } from '../../src/core/positions.ts'
import { encodeForward } from '../../src/protocol/forward-writer.ts'
import { output } from './actions.ts'
import { recordingLog } from './recording-log.ts'
import { type ActionMap, actionConfig, makePipeline } from './run-pipeline.ts'

export interface ForwardInput {
  port: number
  /** The events that came out of the input, so far. */
  out: Event[]
  /** Log lines. */
  lines: Record<string, unknown>[]
  /** What was committed as the input's positions. */
  saved: Map<string, Json>
  /** Ends the pipeline as SIGTERM does. */
  stop(): Promise<void>
  /** How many times a kind of refusal was counted, by the log. */
  refusals(kind: string): number
}

export interface ForwardInputOptions {
  /** An output behind the input. */
  output?: Output
  /** More actions behind the input. */
  actions?: ActionMap[]
  extra?: ActionSpec[]
  positions?: ReadonlyMap<string, Json>
  /** Does not keep what comes out. */
  forget?: boolean
  /** Called when the port is open and nothing runs yet. */
  beforeRun?: (port: number) => Promise<void>
}

export async function receive(
  params: Record<string, unknown> = {},
  options: ForwardInputOptions = {},
): Promise<ForwardInput> {
  const { lines, log } = recordingLog()
  const saved = new Map<string, Json>(options.positions)
  const place = params.unix_path === undefined ? { host: '127.0.0.1', port: 0 } : {}
  const input = { name: 'input_forward', ...place, ...params }
  const positions: Positions = new Map([[actionKey([actionConfig(input)], 0), saved]])
  const { pipeline, out } = makePipeline(
    [
      input,
      ...(options.actions ?? []),
      ...(options.output === undefined ? [] : [{ name: 'output_test', buffer_size: 10, retry_delay: 0.001 }]),
    ],
    {
      extra: [...(options.extra ?? []), ...(options.output === undefined ? [] : [output('test', options.output)])],
      log,
      ...(options.forget === true ? { sink: () => {} } : {}),
      positions,
      savePositions: (_, changes) => {
        for (const [key, value] of changes) {
          if (value === null) saved.delete(key)
          else saved.set(key, value)
        }
      },
    },
  )
  await pipeline.open()
  const port = Number(lines.find(({ msg }) => msg === 'listens')?.port ?? 0)
  await options.beforeRun?.(port)
  const controller = new AbortController()
  const giveUp = new AbortController()
  const ended = pipeline.run(controller.signal, giveUp.signal)
  ended.catch(() => {})
  onTestFinished(async () => {
    controller.abort()
    giveUp.abort()
    await ended.catch(() => {})
  })
  return {
    port,
    out,
    lines,
    saved,
    stop() {
      controller.abort()
      return ended
    },
    refusals: (kind) => Math.max(0, ...lines.filter((line) => line.kind === kind).map(({ total }) => Number(total))),
  }
}

export interface Client {
  socket: Socket
  /** Every chunk that came in, as it came. */
  chunks: Buffer[]
  /** All values that came in. */
  values(): unknown[]
  /** Ids of the acknowledgements that came in. */
  acks(): unknown[]
  /** Comes back when the other side has closed the connection, or broken it off. */
  closed: Promise<unknown>
}

export async function client(to: number | NetConnectOpts): Promise<Client> {
  const socket = connectTcp(typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to)
  const made = wrap(socket)
  await Promise.race([once(socket, 'connect'), made.closed])
  return made
}

export async function tlsClient(port: number, options: ConnectionOptions): Promise<Client> {
  const socket = connectTls({ port, host: '127.0.0.1', checkServerIdentity: () => undefined, ...options })
  const made = wrap(socket)
  await Promise.race([once(socket, 'secureConnect').catch(() => {}), made.closed])
  return made
}

function wrap(socket: Socket): Client {
  const chunks: Buffer[] = []
  const closed = new Promise((resolve) => {
    socket.on('end', () => resolve('end'))
    socket.on('close', () => resolve('close'))
  })
  socket.on('error', () => {})
  socket.on('data', (chunk) => chunks.push(chunk))
  onTestFinished(() => void socket.destroy())
  const values = () => [...decodeMulti(Buffer.concat(chunks))]
  return {
    socket,
    chunks,
    values,
    acks: () => values().map((value) => (value as { ack?: unknown }).ack),
    closed,
  }
}

/** Waits, with many looks, until `check` does not throw. */
export const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })

/** A request for events whose records are `{n}`. */
export function request(tag: string, numbers: readonly number[], chunk?: string): Buffer {
  const events = numbers.map((n) => ({ timestamp: 1000 + n, record: { n } }))
  return encodeForward(tag, events, 'forward', chunk)
}

/** The `n` of each event. */
export function numbersOf(events: readonly { record: Record<string, unknown> }[]): unknown[] {
  return events.map(({ record }) => record.n)
}

/** Comes back when the loop has gone round so often that whatever was ready has happened. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
}
