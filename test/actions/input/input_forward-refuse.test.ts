import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import {
  client,
  eventually,
  type ForwardInput,
  numbersOf,
  quiet,
  receive,
  request,
} from '../../helpers/forward-input.ts'
import { hex, list } from '../../protocol/traffic.ts'

const tag = 'a3 617070'

/** A sender that goes on, request by request, each acknowledged, while `check` is made; then that nothing was lost. */
async function besideGoodSender(input: ForwardInput, check: () => Promise<void>): Promise<void> {
  const good = await client(input.port)
  let n = 0
  const step = async () => {
    good.socket.write(request('good', [n], String(n)))
    n++
    await eventually(() => expect(good.acks()).toHaveLength(n))
  }
  await step()
  await check()
  await step()
  const numbers = numbersOf(input.out.filter((event) => event.tag === 'good'))
  expect(numbers).toEqual(Array.from({ length: n }, (_, i) => i))
}

/** Refusals of one connection make one line, at `warn`, that names the peer. */
function expectOneLine(input: ForwardInput, kind: string): void {
  const lines = input.lines.filter((line) => line.level === 'warn')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ kind, total: 1, peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
}

describe('input_forward closes a connection, with one line, and takes nothing of a request', () => {
  it.each<[string, Buffer, string]>([
    ['with a list of 2^32-1 entries', hex(`92 ${tag} dd ffffffff`), 'too_large'],
    ['with a record of 2^32-1 pairs', hex(`93 ${tag} 05 df ffffffff`), 'too_large'],
    ['with a text of 4 GiB', hex(`93 ${tag} 05 81 a161 db ffffffff`), 'too_large'],
    ['with entries of 4 GiB', hex(`92 ${tag} c6 ffffffff`), 'too_large'],
    ['nested 100,000 deep', Buffer.concat([hex(`93 ${tag} 05 81 a161`), Buffer.alloc(100_000, 0x91)]), 'too_deep'],
    ['with a gzip bomb', list('app', gzipSync(Buffer.alloc(32 * 1024 * 1024)), { compressed: 'gzip' }), 'bomb'],
    [
      'with a gzip bomb in the second member',
      list('app', Buffer.concat([gzipSync(list(1, { a: 1 })), gzipSync(Buffer.alloc(32 * 1024 * 1024))])),
      'bomb',
    ],
    ['with a bad checksum', list('app', badChecksum(), { compressed: 'gzip' }), 'bad_compression'],
    ['with garbage after its entries', list('app', Buffer.concat([list(1, { a: 1 }), hex('05')])), 'bad_entry'],
    ['whose tag is no string', list(5, [[1, { a: 1 }]]), 'bad_tag'],
    ['whose tag is empty', list('', [[1, { a: 1 }]]), 'bad_tag'],
    ['whose tag has a newline', list('app\nforged', [[1, { a: 1 }]]), 'bad_tag'],
    ['whose tag has a NUL', list('app\0', [[1, { a: 1 }]]), 'bad_tag'],
    ['whose chunk is no string', list('app', [[1, { a: 1 }]], { chunk: 5 }), 'bad_chunk'],
    ['whose option is no map', list('app', [[1, { a: 1 }]], [5]), 'bad_option'],
    ['with an ext of another type', hex(`93 ${tag} 05 81 a161 d4 05 00`), 'bad_ext'],
    ['whose last entry is bad', list('app', [[1, { a: 1 }], [2, { a: 2 }], [3]]), 'bad_entry'],
    ['that is TLS on the plain port', hex('16 03 01 02 00 01 00 01 fc 03 03'), 'tls'],
    ['that is HTTP', Buffer.from('POST /app HTTP/1.1\r\n\r\n'), 'bad_frame'],
    ['in JSON that is none', Buffer.from('["app", oops]'), 'bad_type'],
    ['in JSON that is a map', Buffer.from('{"tag": "app"}'), 'bad_frame'],
    ['in JSON nested 100,000 deep', Buffer.alloc(100_000, '['), 'too_deep'],
  ])('%s', async (_, bytes, kind) => {
    const input = await receive()
    await besideGoodSender(input, async () => {
      const bad = await client(input.port)
      bad.socket.write(bytes)
      await bad.closed
      expect(bad.chunks).toEqual([])
      expectOneLine(input, kind)
    })
    expect(input.out.filter((event) => event.tag !== 'good')).toEqual([])
  })

  it.each([
    ['FIN', (socket: Socket) => socket.end()],
    ['RST', (socket: Socket) => socket.resetAndDestroy()],
  ])('that is cut by %s, at whichever byte', async (_, cutOff) => {
    const input = await receive()
    const bytes = request('app', [1, 2], 'a')
    await besideGoodSender(input, async () => {
      for (let length = 1; length < bytes.length; length += 5) {
        const before = input.refusals('cut')
        const { socket } = await client(input.port)
        await new Promise((resolve) => socket.write(bytes.subarray(0, length), resolve))
        await quiet()
        cutOff(socket)
        if (before === 0) await eventually(() => expectOneLine(input, 'cut'))
      }
    })
    expect(input.out.filter((event) => event.tag === 'app')).toEqual([])
  })

  it('but takes the requests that came before the bad one, in the same segment', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(Buffer.concat([request('app', [1]), request('app', [2]), list('app', 1)]))
    await sender.closed
    await eventually(() => expect(numbersOf(input.out)).toEqual([1, 2]))
  })

  it('whose tag is longer than max_tag', async () => {
    const input = await receive({ max_tag: 4 })
    const sender = await client(input.port)
    sender.socket.write(Buffer.concat([request('app1', [1]), request('app12', [2])]))
    await sender.closed
    expect(numbersOf(input.out)).toEqual([1])
    expectOneLine(input, 'bad_tag')
  })

  it('that is larger than max_frame, however it declares it', async () => {
    const input = await receive({ max_frame: 2048 })
    await besideGoodSender(input, async () => {
      const sender = await client(input.port)
      sender.socket.write(list('app', [[1, { text: 'x'.repeat(3000) }]]))
      await sender.closed
      expectOneLine(input, 'too_large')
      const json = await client(input.port)
      json.socket.write(`["app", 1, {"text": "${'x'.repeat(3000)}"}]`)
      await json.closed
    })
    expect(input.out.filter((event) => event.tag === 'app')).toEqual([])
  })

  it('that decompresses to more than max_decompressed', async () => {
    const input = await receive({ max_decompressed: 10_000 })
    const sender = await client(input.port)
    sender.socket.write(list('app', gzipSync(list(1, { text: 'x'.repeat(20_000) })), { compressed: 'gzip' }))
    await sender.closed
    expectOneLine(input, 'bomb')
  })
})

describe('hostile tags of other receivers', () => {
  it.each([
    ['CVE-2025-12972: a tag that is a path', '../../etc/passwd'],
    ['CVE-2025-12977: a tag from a record with wildcards', 'a*b?[c]'],
    ['CVE-2025-12978: a tag that begins like another one', 'app.auth.evil'],
    ['a tag that is a key of every object', '__proto__'],
  ])('%s is an ordinary tag', async (_, hostile) => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(request(hostile, [1], 'a'))
    await eventually(() => expect(sender.acks()).toEqual(['a']))
    expect(input.out.map((event) => event.tag)).toEqual([hostile])
  })

  it('CVE-2025-12977: a tag with a newline, which would be a second line in a log or a file, is refused', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(list('app\n{"forged":true}', 5, { a: 1 }))
    await sender.closed
    expect(input.out).toEqual([])
  })
})

describe('a sender that is slow', () => {
  it('is closed when a request, a byte at a time, takes longer than frame_timeout', async () => {
    const input = await receive({ frame_timeout: 0.3 })
    await besideGoodSender(input, async () => {
      const slow = await client(input.port)
      const bytes = request('app', [1, 2, 3])
      let at = 0
      const timer = setInterval(() => slow.socket.write(bytes.subarray(at, ++at)), 20)
      onTestFinished(() => clearInterval(timer))
      await slow.closed
      clearInterval(timer)
      expectOneLine(input, 'frame_timeout')
    })
  })

  it('is not closed when each of its requests is in time, though together they take long', async () => {
    const input = await receive({ frame_timeout: 1 })
    const sender = await client(input.port)
    const bytes = Buffer.concat(Array.from({ length: 40 }, (_, n) => request('app', [n])))
    // Each piece ends inside of a request.
    for (let at = 0; at < bytes.length; at += 33) {
      sender.socket.write(bytes.subarray(at, at + 33))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await eventually(() => expect(input.out).toHaveLength(40))
    expect(input.refusals('frame_timeout')).toBe(0)
  })

  it('is closed when it says nothing for idle_timeout, without a warning', async () => {
    const input = await receive({ idle_timeout: 0.2 })
    const sender = await client(input.port)
    sender.socket.write(request('app', [1], 'a'))
    await sender.closed
    expect(sender.acks()).toEqual(['a'])
    expect(input.lines.filter(({ kind }) => kind === 'idle_timeout').map(({ level }) => level)).toEqual(['info'])
  })
})

describe('connections', () => {
  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  it('of 1,000 that say nothing are refused beyond max_connections_per_address, with one line', async () => {
    const input = await receive({ max_connections_per_address: 100 })
    await besideGoodSender(input, async () => {
      let closed = 0
      for (let i = 0; i < 1000; i++) {
        const socket = connect(input.port, '127.0.0.1').on('error', () => {})
        socket.on('close', () => closed++).resume()
        sockets.push(socket)
      }
      await eventually(() => expect(closed).toBe(901))
      const lines = input.lines.filter(({ level }) => level === 'warn')
      expect(lines.map(({ kind }) => kind)).toEqual(['max_connections_per_address'])
    })
  })

  it('from other addresses have room, up to max_connections, and room is made by those that end', async () => {
    const input = await receive({ max_connections: 3, max_connections_per_address: 2, host: '0.0.0.0' })
    const from = (localAddress: string) => client({ port: input.port, host: '127.0.0.1', localAddress })
    const first = await from('127.0.0.1')
    await from('127.0.0.1')
    await (await from('127.0.0.1')).closed
    const other = await from('127.0.0.2')
    await (await from('127.0.0.3')).closed
    expect([input.refusals('max_connections'), input.refusals('max_connections_per_address')]).toEqual([1, 1])
    first.socket.destroy()
    expect(other.socket.destroyed).toBe(false)
    let taken = false
    while (!taken) {
      const next = await from('127.0.0.3')
      next.socket.write(request('app', [1], 'a'))
      await Promise.race([next.closed, eventually(() => expect(next.acks()).toEqual(['a'])).catch(() => {})])
      taken = next.acks().length > 0
    }
  })

  it('from one address have room again when those before them have ended', async () => {
    const input = await receive({ max_connections_per_address: 2 })
    for (let round = 0; round < 3; round++) {
      const pair = [await client(input.port), await client(input.port)]
      for (const { socket } of pair) socket.write(request('app', [round], `${round}`))
      await eventually(() => expect(pair.map((one) => one.acks())).toEqual([[`${round}`], [`${round}`]]))
      // The receiver closes its side when it has seen that theirs is closed.
      for (const { socket } of pair) socket.end()
      await Promise.all(pair.map(({ socket }) => once(socket, 'close')))
      await quiet()
    }
    expect(input.refusals('max_connections_per_address')).toBe(0)
    const third = [await client(input.port), await client(input.port), await client(input.port)]
    await third[2]?.closed
    expect(input.refusals('max_connections_per_address')).toBe(1)
  })

  it('that hold most of the incomplete requests are closed first when they are more than max_held', async () => {
    const input = await receive({ max_held: 1_000_000, max_frame: 1_000_000 })
    const small = await client(input.port)
    const frame = request('small', [1], 'a')
    small.socket.write(frame.subarray(0, 20))
    const begin = Buffer.concat([hex(`92 ${tag} c6 000f0000`), Buffer.alloc(600_000)])
    const large = [await client(input.port), await client(input.port)]
    for (const { socket } of large) socket.write(begin)
    await Promise.race(large.map(({ closed }) => closed))
    expect(input.refusals('max_held')).toBe(1)
    small.socket.write(frame.subarray(20))
    await eventually(() => expect(small.acks()).toEqual(['a']))
  })
})

describe('datagrams', () => {
  it('that are too long, or empty, or from nowhere, do no harm', async () => {
    const input = await receive()
    const socket = createSocket('udp4')
    for (const size of [0, 129, 9000]) socket.send(Buffer.alloc(size), input.port, '127.0.0.1')
    const [answer] = await once(socket, 'message')
    expect(answer).toEqual(Buffer.alloc(1))
    socket.close()
    await besideGoodSender(input, async () => {})
  })

  it('that come from the same port number are not answered: they may be answers, and would go round for ever', async () => {
    const input = await receive()
    const [twin, other] = [createSocket('udp4'), createSocket('udp4')]
    onTestFinished(() => {
      twin.close()
      other.close()
    })
    twin.bind({ port: input.port, address: '127.0.0.2' })
    await once(twin, 'listening')
    const atTwin: Buffer[] = []
    twin.on('message', (bytes) => atTwin.push(bytes))
    for (let i = 0; i < 3; i++) twin.send(Buffer.alloc(1), input.port, '127.0.0.1')
    other.send(Buffer.alloc(1), input.port, '127.0.0.1')
    // Answers keep to the order of the datagrams.
    await once(other, 'message')
    await quiet()
    expect(atTwin).toEqual([])
  })

  it('in a circle with another receiver come to an end', async () => {
    const input = await receive()
    const other = createSocket('udp4')
    onTestFinished(() => void other.close())
    let answers = 0
    other.on('message', () => {
      answers++
      other.send(Buffer.alloc(1), input.port, '127.0.0.1')
    })
    const began = performance.now()
    for (let i = 0; i < 150; i++) other.send(Buffer.alloc(1), input.port, '127.0.0.1')
    await eventually(() => expect(answers).toBeGreaterThanOrEqual(100))
    await quiet()
    expect(answers).toBeLessThanOrEqual(100 * (1 + Math.ceil((performance.now() - began) / 1000)))
  })

  it('are not listened for without heartbeat', async () => {
    const input = await receive({ heartbeat: false })
    const socket = createSocket('udp4')
    socket.bind(input.port, '127.0.0.1')
    await once(socket, 'listening')
    socket.close()
  })
})

function badChecksum(): Buffer {
  const bytes = gzipSync(list(1, { a: 1 }))
  bytes.writeUInt32LE(0, bytes.length - 8)
  return bytes
}
