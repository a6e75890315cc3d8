import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import type { Answer } from '../../../src/core/forward/answers.ts'
import { IncomingConnection } from '../../../src/core/forward/incoming-connection.ts'
import { Intake } from '../../../src/core/forward/intake.ts'
import { eventually, request } from '../../helpers/forward-input.ts'

const answers: Answer[] = []

/** Keeps the answers as events do that are not safe for long. */
class Keeping extends Intake {
  override add(...args: Parameters<Intake['add']>): ReturnType<Intake['add']> {
    if (args[2] !== undefined) answers.push(args[2])
    return super.add(...args)
  }
}

it('a connection that is gone holds no answers, though its events are not safe', async () => {
  const intake = new Keeping({
    run: { emit: () => new Promise<void>(() => {}), positions: new Map() },
    maxOpen: 1000,
    maxOpenBytes: 1_000_000,
    tagPrefix: '',
    dedupeWindow: 10,
    dedupeTotal: 100,
    now: () => 0,
    tally: { note() {}, close() {} },
    onFull() {},
    onRoom() {},
  })
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const at = server.address()
  const sender = connect({ port: typeof at === 'object' && at !== null ? at.port : 0, host: '127.0.0.1' })
  const [socket]: Socket[] = await once(server, 'connection')
  if (socket === undefined) throw new Error('no connection')
  new IncomingConnection(socket, 'peer', {
    limits: {
      maxFrame: 1000,
      forward: { maxTag: 100, maxDepth: 10, maxInflatedBytes: 1000, maxRatio: 10 },
      handshakeTimeout: 1000,
      idleTimeout: 1000,
      frameTimeout: 1000,
    },
    security: undefined,
    intake,
    readingTime: () => 0,
    refused() {},
    held() {},
  })
  // The second waits for the first, which is the same.
  sender.write(Buffer.concat([request('app', [1], 'a'), request('app', [1], 'a')]))
  await eventually(() => expect(answers.map(({ size }) => size > 0)).toEqual([true, true]))
  const closed = new Promise((resolve) => socket.on('close', resolve))
  sender.resetAndDestroy()
  await closed
  expect(answers.map(({ size }) => size)).toEqual([0, 0])
})
