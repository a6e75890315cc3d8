// Several receivers: fail-over, and the way back.
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../src/core/clock.ts'
import { type ForwardOutput, forwardOutput, numbered } from '../../helpers/forward-output.ts'
import { answerHeartbeats, ForwardReceiver, freePort } from '../../helpers/forward-receiver.ts'

const hostsOf = (...ports: number[]) => ports.map((port) => `127.0.0.1:${port}`)

/** Writes one event at a time until the receiver has one. */
async function writeUntil(output: ForwardOutput, receiver: ForwardReceiver): Promise<number> {
  let count = 0
  while (receiver.arrivals.length === 0) {
    await output.write(numbered(1))
    count++
    // Connecting goes on in the background.
    await new Promise(setImmediate)
  }
  return count
}

describe('fail-over', () => {
  it('goes to the next host in the same write, says so once, and stays there', async () => {
    const [dead, standby] = [await freePort(), await ForwardReceiver.start()]
    const output = await forwardOutput({ hosts: hostsOf(dead, standby.port), recover_wait: 1000 })
    for (let i = 0; i < 3; i++) await output.write(numbered(2))
    expect(standby.taken).toHaveLength(6)
    expect(standby.connections).toBe(1)
    expect(output.lines).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'sending to another host',
        host: `127.0.0.1:${standby.port}`,
        failed: { [`127.0.0.1:${dead}`]: `connect ECONNREFUSED 127.0.0.1:${dead}` },
      }),
    ])
  })

  it.each<[string, Record<string, unknown>]>([
    ['closes the connection instead of an acknowledgement', {}],
    ['never answers', { ack_timeout: 0.05 }],
  ])('takes what a host has not acknowledged, when it %s, and only that', async (_, params) => {
    const first = await ForwardReceiver.start()
    first.take = ({ socket, ack }) => {
      if (first.arrivals.length <= 2) ack()
      else if (params.ack_timeout === undefined) socket.destroy()
    }
    const second = await ForwardReceiver.start()
    const hosts = hostsOf(first.port, second.port)
    const output = await forwardOutput({ hosts, chunk_size: 1, max_in_flight: 1, ...params })
    await output.write(numbered(5))
    expect(first.taken).toEqual(numbered(3))
    expect(second.taken).toEqual(numbered(5).slice(2))
    expect(second.arrivals[0]?.chunk).toBe(first.arrivals[2]?.chunk)
  })

  it('passes over a host that refuses the shared key', async () => {
    const first = await ForwardReceiver.start({ security: { sharedKey: 'other', hostname: 'first' } })
    const second = await ForwardReceiver.start({ security: { sharedKey: 'key', hostname: 'second' } })
    const output = await forwardOutput({ hosts: hostsOf(first.port, second.port), shared_key: 'key' })
    await output.write(numbered(1))
    expect(second.taken).toHaveLength(1)
  })

  it('names every host when none takes events, and tries them all again', async () => {
    const [one, two] = [await freePort(), await freePort()]
    const output = await forwardOutput({ hosts: hostsOf(one, two) })
    const batch = numbered(1)
    await expect(output.write(batch)).rejects.toThrow(
      `cannot send to 127.0.0.1:${one}: connect ECONNREFUSED 127.0.0.1:${one}; 127.0.0.1:${two}: connect ECONNREFUSED`,
    )
    const receiver = await ForwardReceiver.start({ listen: two })
    await output.write(batch)
    expect(receiver.taken).toEqual(batch)
  })
})

describe('the way back', () => {
  it('leads to the first host when recover_wait is over and it takes connections', async () => {
    const clock = new VirtualClock(1000)
    const port = await freePort()
    const standby = await ForwardReceiver.start()
    const output = await forwardOutput({ hosts: hostsOf(port, standby.port), recover_wait: 10 }, clock)
    await output.write(numbered(1))
    const first = await ForwardReceiver.start({ listen: port })
    clock.advance(9.9)
    for (let i = 0; i < 20; i++) {
      await output.write(numbered(1))
      await new Promise(setImmediate)
    }
    expect(first.connections).toBe(0)
    clock.advance(0.1)
    await writeUntil(output, first)
    await standby.until(() => standby.sockets.size === 0)
    expect(output.lines.map(({ level, msg, host }) => [level, msg, host])).toEqual([
      ['warn', 'sending to another host', `127.0.0.1:${standby.port}`],
      ['info', 'sending to the first host again', `127.0.0.1:${port}`],
    ])
  })

  it('does not hold up events when the first host is still away', async () => {
    const clock = new VirtualClock(1000)
    // It takes connections and never shakes hands.
    const mute = await ForwardReceiver.start()
    const security = { sharedKey: 'key', hostname: 'standby' }
    const standby = await ForwardReceiver.start({ security })
    const port = await freePort()
    const hosts = hostsOf(port, standby.port)
    const output = await forwardOutput({ hosts, shared_key: 'key', recover_wait: 10, connect_timeout: 600 }, clock)
    await output.write(numbered(1))
    await mute.stop()
    const stuck = await ForwardReceiver.start({ listen: port })
    clock.advance(10)
    for (let i = 0; i < 50; i++) await output.write(numbered(1))
    await stuck.until(() => true)
    expect(standby.taken).toHaveLength(51)
    expect(stuck.connections).toBeLessThanOrEqual(1)
  })

  it('leads to the first host as soon as it answers a heartbeat', async () => {
    const port = await freePort()
    const standby = await ForwardReceiver.start()
    const hosts = hostsOf(port, standby.port)
    const settings = { heartbeat: 'udp', heartbeat_interval: 0.02, recover_wait: 86_400 }
    const output = await forwardOutput({ hosts, ...settings })
    await output.write(numbered(1))
    const first = await ForwardReceiver.start({ listen: port })
    for (let i = 0; i < 20; i++) await output.write(numbered(1))
    expect(first.connections).toBe(0)
    const seen = await answerHeartbeats(port)
    await writeUntil(output, first)
    expect(seen.count).toBeGreaterThan(0)
  })
})
