import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { client, eventually, numbersOf, receive, request } from '../../helpers/forward-input.ts'
import { cut, list, recording, recordings } from '../../protocol/traffic.ts'

describe('input_forward takes', () => {
  it.each(recordings)('what Fluent Bit sends: %s', async (name) => {
    const input = await receive()
    const { socket } = await client(input.port)
    socket.end(recording(name))
    await eventually(() => expect(input.out).toHaveLength(40))
    expect(new Set(input.out.map(({ tag }) => tag)).has('app.auth')).toBe(name !== 'message-dynamic-tag')
    expect(input.refusals('cut')).toBe(0)
  })

  it('a frame in pieces of one byte', async () => {
    const input = await receive()
    const { socket } = await client(input.port)
    socket.setNoDelay(true)
    for (const piece of cut(request('app', [1, 2, 3]), 1)) {
      socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(() => expect(numbersOf(input.out)).toEqual([1, 2, 3]))
  })

  it('several requests in one segment, with keep-alives between them', async () => {
    const input = await receive()
    const { socket } = await client(input.port)
    const nil = Buffer.from([0xc0])
    socket.write(Buffer.concat([nil, request('a', [1]), nil, nil, request('b', [2, 3]), request('a', [4]), nil]))
    await eventually(() =>
      expect(input.out.map(({ tag, record }) => [tag, record.n])).toEqual([
        ['a', 1],
        ['b', 2],
        ['b', 3],
        ['a', 4],
      ]),
    )
  })

  it('the JSON dialect, and acknowledges in it', async () => {
    const input = await receive()
    const { socket, chunks } = await client(input.port)
    socket.write('["app", 1000, {"n": 1}]\n["app", [[1001, {"n": 2}]], {"chunk": "id"}]')
    await eventually(() => expect(Buffer.concat(chunks).toString()).toBe('{"ack":"id"}'))
    expect(input.out).toEqual([
      { tag: 'app', timestamp: 1000, record: { n: 1 } },
      { tag: 'app', timestamp: 1001, record: { n: 2 } },
    ])
  })

  it('events whose time is "now" as the time of arrival', async () => {
    const input = await receive()
    const { socket } = await client(input.port)
    const before = Date.now() / 1000
    socket.write(list('app', [[0, { n: 1 }]]))
    await eventually(() => expect(input.out).toHaveLength(1))
    expect(input.out[0]?.timestamp).toBeGreaterThanOrEqual(before)
    expect(input.out[0]?.timestamp).toBeLessThanOrEqual(Date.now() / 1000)
  })

  it('metadata, which goes with the event', async () => {
    const input = await receive()
    const { socket } = await client(input.port)
    socket.write(list('app', [[[1000, { host: 'a' }], { n: 1 }]]))
    await eventually(() =>
      expect(input.out).toEqual([{ tag: 'app', timestamp: 1000, record: { n: 1 }, metadata: { host: 'a' } }]),
    )
  })

  it('tags with tag_prefix before them', async () => {
    const input = await receive({ tag_prefix: 'fb.' })
    const { socket } = await client(input.port)
    socket.write(request('app', [1, 2]))
    await eventually(() => expect(input.out.map(({ tag }) => tag)).toEqual(['fb.app', 'fb.app']))
  })

  it('metrics and traces as no events, and acknowledges them in their turn', async () => {
    const input = await receive()
    const sender = await client(input.port)
    const metrics = (signal: number, chunk: string) =>
      list('app', Buffer.from('anything'), { fluent_signal: signal, chunk })
    sender.socket.write(
      Buffer.concat([request('app', [1], 'a'), metrics(1, 'b'), metrics(2, 'c'), request('app', [2], 'd')]),
    )
    await eventually(() => expect(sender.acks()).toEqual(['a', 'b', 'c', 'd']))
    expect(numbersOf(input.out)).toEqual([1, 2])
    expect([input.refusals('metrics'), input.refusals('traces')]).toEqual([1, 1])
  })

  it('a request with another label than its compression, with a warning', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(list('app', Buffer.concat([list(1000, { n: 1 })]), { compressed: 'gzip', chunk: 'a' }))
    await eventually(() => expect(sender.acks()).toEqual(['a']))
    expect(numbersOf(input.out)).toEqual([1])
    expect(input.lines.filter(({ level, kind }) => level === 'warn' && kind === 'mislabelled')).toHaveLength(1)
  })

  it.each([0, 128])('a heartbeat of %i bytes over UDP, with one zero byte', async (size) => {
    const input = await receive()
    const socket = createSocket('udp4')
    socket.connect(input.port, '127.0.0.1')
    await once(socket, 'connect')
    // The first one is too long for a heartbeat: only the second is answered.
    socket.send(Buffer.alloc(129, 1))
    socket.send(Buffer.alloc(size, 1))
    const [answer] = await once(socket, 'message')
    expect(answer).toEqual(Buffer.alloc(1))
    socket.close()
  })

  it('connections on 127.0.0.1 and ::1 when the host is localhost', async () => {
    const input = await receive({ host: 'localhost' })
    const addresses = input.lines.find(({ msg }) => msg === 'listens')?.addresses
    expect(addresses).toEqual(expect.arrayContaining(['127.0.0.1']))
    for (const host of addresses as string[]) {
      const socket = connect(input.port, host)
      socket.end(request(host, [1]))
      await eventually(() => expect(input.out.map(({ tag }) => tag)).toContain(host))
    }
  })

  it('nothing at all from connections that come and go', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.end()
    await sender.closed
    expect(input.lines.filter(({ level }) => level === 'warn')).toEqual([])
  })
})
