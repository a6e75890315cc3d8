import { describe, expect, it } from 'vitest'
import type { Output } from '../../../src/core/action.ts'
import type { Event } from '../../../src/core/event.ts'
import { encodePing, readHelo } from '../../../src/protocol/handshake.ts'
import { type Client, client, eventually, numbersOf, quiet, receive, request } from '../../helpers/forward-input.ts'
import { list } from '../../protocol/traffic.ts'

/** An output that takes events, and makes them safe when it is told to. */
function slowOutput() {
  const written: Event[] = []
  let open: (() => void)[] | undefined = []
  const made: Output = {
    async write(events) {
      written.push(...events)
    },
    async sync() {
      if (open !== undefined) await new Promise<void>((resolve) => open?.push(resolve))
    },
  }
  return {
    made,
    written,
    waiting: () => open?.length ?? 0,
    /** Lets everything through from now on. */
    release() {
      const waiting = open ?? []
      open = undefined
      for (const resolve of waiting) resolve()
    },
  }
}

/** A sender that writes on and on, and says how much the other side has taken. */
function flood(sender: Client, frame: (n: number) => Buffer, count: number) {
  let sent = 0
  const pump = () => {
    while (sent < count && sender.socket.write(frame(sent++))) {}
  }
  sender.socket.on('drain', pump)
  pump()
  return { sent: () => sent }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** In the form of Fluent Bit's ids. */
const contentHash = 'lAU1aqVYFUoPEHGvi8IZXw=='

describe('an acknowledgement of input_forward', () => {
  it('comes when the output is safe, and not before', async () => {
    const output = slowOutput()
    const input = await receive({}, { output: output.made })
    const sender = await client(input.port)
    sender.socket.write(request('app', [1, 2], 'a'))
    await eventually(() => expect(output.waiting()).toBe(1))
    await quiet()
    expect(numbersOf(output.written)).toEqual([1, 2])
    expect(sender.chunks).toEqual([])
    output.release()
    await eventually(() => expect(sender.acks()).toEqual(['a']))
  })

  it('is sent for requests with a chunk only, in their order, though they came in one segment', async () => {
    const input = await receive()
    const sender = await client(input.port)
    const ids = range(0, 300).map(String)
    sender.socket.write(Buffer.concat(ids.flatMap((id) => [request('app', [Number(id)], id), request('app', [-1])])))
    await eventually(() => expect(sender.acks()).toEqual(ids))
    expect(numbersOf(input.out).filter((n) => n !== -1)).toEqual(range(0, 300))
  })

  it('repeats the bytes of the chunk id, whatever they are', async () => {
    const input = await receive()
    const sender = await client(input.port)
    const id = Buffer.from([0xff, 0x0a, 0x00, 0xc3])
    // An option {"chunk": id} as a str that is no UTF-8.
    const option = Buffer.concat([Buffer.from('81a56368756e6ba4', 'hex'), id])
    const head = list('app', [[1, { n: 1 }]], null)
    sender.socket.write(Buffer.concat([head.subarray(0, -1), option]))
    await eventually(() => expect(sender.chunks).not.toEqual([]))
    expect(Buffer.concat(sender.chunks).toString('hex')).toBe(`81a361636ba4${id.toString('hex')}`)
  })

  it('still comes when the sender has closed its side', async () => {
    const output = slowOutput()
    const input = await receive({}, { output: output.made })
    const sender = await client(input.port)
    sender.socket.end(request('app', [1], 'a'))
    await eventually(() => expect(output.waiting()).toBe(1))
    output.release()
    await sender.closed
    expect(sender.acks()).toEqual(['a'])
  })

  it('comes for everything taken when the daemon stops, and the connections end with it', async () => {
    const output = slowOutput()
    const input = await receive({}, { output: output.made })
    const senders = await Promise.all(range(0, 20).map(() => client(input.port)))
    senders.forEach(({ socket }, i) => {
      socket.write(request('app', [i], String(i)))
    })
    await eventually(() => expect(input.out).toHaveLength(20))
    const stopped = input.stop()
    // What comes after the stop is not taken.
    senders[0]?.socket.write(request('app', [99], '99'))
    await quiet()
    expect(senders.flatMap((sender) => sender.acks())).toEqual([])
    output.release()
    await stopped
    await Promise.all(senders.map(({ closed }) => closed))
    expect(senders.map((sender) => sender.acks())).toEqual(range(0, 20).map((i) => [String(i)]))
    expect(numbersOf(output.written).sort((a, b) => Number(a) - Number(b))).toEqual(range(0, 20))
    await expect(client(input.port)).rejects.toThrow('ECONNREFUSED')
  })
})

describe('a chunk that comes again', () => {
  it('while it is being made safe waits for the same, on whichever connection', async () => {
    const output = slowOutput()
    const input = await receive({}, { output: output.made })
    const [first, second] = [await client(input.port), await client(input.port)]
    first.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(output.waiting()).toBe(1))
    second.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(input.refusals('chunk_again')).toBe(1))
    await quiet()
    expect([first.chunks, second.chunks]).toEqual([[], []])
    output.release()
    await eventually(() => expect([first.acks(), second.acks()]).toEqual([['a'], ['a']]))
    expect(numbersOf(output.written)).toEqual([1])
  })

  it('when it is safe is acknowledged and not taken', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.acks()).toEqual(['a']))
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(sender.acks()).toEqual(['a', 'a']))
    expect(numbersOf(input.out)).toEqual([1])
  })

  it('is another one under another tag', async () => {
    const input = await receive()
    const sender = await client(input.port)
    sender.socket.write(Buffer.concat([request('app', [1], 'a'), request('web', [2], 'a')]))
    await eventually(() => expect(sender.acks()).toEqual(['a', 'a']))
    expect(numbersOf(input.out)).toEqual([1, 2])
  })

  it('is taken when dedupe_window others came after it, or is 0', async () => {
    for (const [window, taken] of [
      [3, [0, 1, 2, 3, 0]],
      [4, [0, 1, 2, 3]],
      [0, [0, 1, 2, 3, 0]],
    ] as const) {
      const input = await receive({ dedupe_window: window })
      const sender = await client(input.port)
      for (const [i, n] of [0, 1, 2, 3, 0].entries()) {
        sender.socket.write(request('app', [n], String(n)))
        await eventually(() => expect(sender.acks()).toHaveLength(i + 1))
      }
      expect(numbersOf(input.out)).toEqual(taken)
      expect(input.saved.size).toBe(window)
    }
  })

  it('is known after a restart, from the committed positions, and the oldest are forgotten first', async () => {
    const first = await receive({ dedupe_window: 3 })
    const sender = await client(first.port)
    for (const n of [1, 2, 3]) sender.socket.write(request('app', [n], String(n)))
    await eventually(() => expect(sender.acks()).toEqual(['1', '2', '3']))
    await first.stop()
    // A database gives them back in an order of its own.
    const positions = new Map([...first.saved].sort(([a], [b]) => a.localeCompare(b)))
    const second = await receive({ dedupe_window: 3 }, { positions })
    const again = await client(second.port)
    for (const n of [1, 2, 3, 4]) again.socket.write(request('app', [n], String(n)))
    await eventually(() => expect(again.acks()).toEqual(['1', '2', '3', '4']))
    for (const n of [2, 3, 1]) again.socket.write(request('app', [n], String(n)))
    await eventually(() => expect(again.acks()).toHaveLength(7))
    expect(numbersOf(second.out)).toEqual([4, 1])
    expect(second.saved.size).toBe(3)
  })

  it('is known in the window that is left when dedupe_window is made smaller', async () => {
    const first = await receive()
    const sender = await client(first.port)
    for (const n of [1, 2, 3]) sender.socket.write(request('app', [n], String(n)))
    await eventually(() => expect(sender.acks()).toHaveLength(3))
    await first.stop()
    const second = await receive({ dedupe_window: 1 }, { positions: first.saved })
    const again = await client(second.port)
    for (const n of [3, 2]) again.socket.write(request('app', [n], String(n)))
    await eventually(() => expect(again.acks()).toEqual(['3', '2']))
    expect(numbersOf(second.out)).toEqual([2])
    expect(second.saved.size).toBe(1)
  })

  it('is another one from another address', async () => {
    const input = await receive({ host: '0.0.0.0' })
    for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.0.0.1']) {
      const sender = await client({ port: input.port, host: '127.0.0.1', localAddress })
      sender.socket.write(request('app', [1], contentHash))
      await eventually(() => expect(sender.acks()).toEqual([contentHash]))
    }
    expect(numbersOf(input.out)).toEqual([1, 1])
  })

  it('is another one from another hostname, where there is a handshake', async () => {
    const input = await receive({ shared_key: 'k' })
    for (const hostname of ['web-1', 'web-2', 'web-1']) {
      const sender = await client(input.port)
      await eventually(() => expect(sender.chunks).toHaveLength(1))
      const helo = readHelo(Buffer.concat(sender.chunks))
      sender.socket.write(encodePing(helo, { sharedKey: 'k', hostname }).ping)
      sender.socket.write(request('app', [1], contentHash))
      await eventually(() => expect(sender.acks().at(-1)).toBe(contentHash))
    }
    expect(numbersOf(input.out)).toEqual([1, 1])
  })

  it('on the connection that its acknowledgement went to is new content, when its id is a hash of that', async () => {
    const input = await receive()
    const sender = await client(input.port)
    for (let n = 1; n <= 3; n++) {
      sender.socket.write(request('app', [n], contentHash))
      await eventually(() => expect(sender.acks()).toHaveLength(n))
    }
    expect(numbersOf(input.out)).toEqual([1, 2, 3])
    expect(input.saved.size).toBe(1)
  })

  it('on the connection that is still owed its acknowledgement is the same one', async () => {
    const output = slowOutput()
    const input = await receive({}, { output: output.made })
    const sender = await client(input.port)
    sender.socket.write(request('app', [1], contentHash))
    await eventually(() => expect(output.waiting()).toBe(1))
    sender.socket.write(request('app', [1], contentHash))
    await eventually(() => expect(input.refusals('chunk_again')).toBe(1))
    output.release()
    await eventually(() => expect(sender.acks()).toHaveLength(2))
    expect(numbersOf(input.out)).toEqual([1])
  })

  it('is the same one while its acknowledgement waits behind another', async () => {
    let stall: Promise<void> | undefined
    let release = () => {}
    const input = await receive({}, { output: { write: async () => await stall } })
    const sender = await client(input.port)
    sender.socket.write(request('app', [1], contentHash))
    await eventually(() => expect(sender.acks()).toHaveLength(1))
    stall = new Promise((resolve) => {
      release = resolve
    })
    const again = await client(input.port)
    const known = request('app', [1], contentHash)
    again.socket.write(Buffer.concat([request('app', [2], 'b'), known, known, request('app', [3])]))
    await eventually(() => expect(numbersOf(input.out)).toContain(3))
    release()
    await eventually(() => expect(again.acks()).toEqual(['b', contentHash, contentHash]))
    expect(numbersOf(input.out)).toEqual([1, 2, 3])
  })

  it('on another connection, after a cut, is known: the acknowledgement may not have come', async () => {
    const input = await receive()
    for (const send of [2, 1, 1]) {
      const sender = await client(input.port)
      for (let n = 1; n <= send; n++) {
        sender.socket.write(request('app', [send * 10 + n], `${n}`.padEnd(22, 'x').concat('==')))
        await eventually(() => expect(sender.acks()).toHaveLength(n))
      }
      sender.socket.resetAndDestroy()
    }
    // The first of the first connection was confirmed by the second, and so is new; then it is known.
    expect(numbersOf(input.out)).toEqual([21, 22, 11])
    const last = await client(input.port)
    last.socket.write(request('app', [0], '2'.padEnd(22, 'x').concat('==')))
    last.socket.write(request('app', [9], 'end'))
    await eventually(() => expect(last.acks()).toHaveLength(2))
    expect(numbersOf(input.out)).toEqual([21, 22, 11, 9])
  })

  it('never counts as taken when its request was refused', async () => {
    const input = await receive()
    const bad = await client(input.port)
    bad.socket.write(list('app', [[1, { n: 1 }], [2]], { chunk: 'a' }))
    await bad.closed
    const good = await client(input.port)
    good.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(good.acks()).toEqual(['a']))
    expect(numbersOf(input.out)).toEqual([1])
  })
})

describe('back-pressure of input_forward', () => {
  it('stops reading at queue_size, goes on by itself and loses nothing', async () => {
    const output = slowOutput()
    const input = await receive({ queue_size: 100 }, { output: output.made })
    const sender = await client(input.port)
    const other = await client(input.port)
    const text = 'x'.repeat(1000)
    const frame = (n: number) => list('app', [[1, { n, text }]])
    // Far more than the buffers of both sockets hold.
    const total = 30_000
    const flooded = flood(sender, frame, total)
    await eventually(() => expect(input.out.length).toBeGreaterThanOrEqual(100))
    other.socket.write(request('other', [7], 'o'))
    await quiet()
    // At most what one read of each connection held beyond the limit.
    expect(input.out).toHaveLength(100)
    expect(flooded.sent()).toBeLessThan(total)
    expect(output.waiting()).toBe(1)
    output.release()
    await eventually(() => expect(input.out).toHaveLength(total + 1))
    await eventually(() => expect(other.acks()).toEqual(['o']))
    expect(numbersOf(input.out.filter(({ tag }) => tag === 'app'))).toEqual(range(0, total))
  })

  it('stops at queue_bytes, counted after decompression', async () => {
    const output = slowOutput()
    const input = await receive({ queue_bytes: 1_000_000 }, { output: output.made })
    const sender = await client(input.port)
    const { encodeForward } = await import('../../../src/protocol/forward-writer.ts')
    const record = { text: 'x'.repeat(300_000) }
    const zipped = encodeForward('app', [{ timestamp: 1, record }], 'gzip')
    sender.socket.write(Buffer.concat(range(0, 10).map(() => zipped)))
    await eventually(() => expect(input.out).toHaveLength(4))
    await quiet()
    expect(input.out).toHaveLength(4)
    output.release()
    await eventually(() => expect(input.out).toHaveLength(10))
  })

  it('still sends acknowledgements, and shakes hands', async () => {
    const output = slowOutput()
    const input = await receive({ queue_size: 1, shared_key: 'k' }, { output: output.made })
    const waiting = await client(input.port)
    // HELO comes at once whether or not there is room.
    await eventually(() => expect(waiting.values()).toHaveLength(1))
    output.release()
  })

  it('does not count the time of a stall against idle or slow senders', async () => {
    const output = slowOutput()
    const input = await receive({ queue_size: 1, idle_timeout: 0.3, frame_timeout: 0.3 }, { output: output.made })
    const sender = await client(input.port)
    const half = await client(input.port)
    const frame = request('half', [2], 'h')
    half.socket.write(frame.subarray(0, 20))
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(output.waiting()).toBe(1))
    await new Promise((resolve) => setTimeout(resolve, 900))
    expect([input.refusals('idle_timeout'), input.refusals('frame_timeout')]).toEqual([0, 0])
    half.socket.write(frame.subarray(20))
    output.release()
    await eventually(() => expect([sender.acks(), half.acks()]).toEqual([['a'], ['h']]))
  })

  it('does not close a sender that only waits for an acknowledgement, though there is room', async () => {
    const output = slowOutput()
    const input = await receive({ idle_timeout: 0.3 }, { output: output.made })
    const sender = await client(input.port)
    sender.socket.write(request('app', [1], 'a'))
    await eventually(() => expect(output.waiting()).toBe(1))
    await new Promise((resolve) => setTimeout(resolve, 900))
    expect(input.refusals('idle_timeout')).toBe(0)
    output.release()
    await eventually(() => expect(sender.acks()).toEqual(['a']))
  })

  it('does not count the time in which a sender of many requests is not read, as it is owed many answers', async () => {
    const output = slowOutput()
    const input = await receive({ frame_timeout: 1 }, { output: output.made })
    const sender = await client(input.port)
    // As many as may be owed, and then no whole request.
    const ids = range(0, 1000).map(String)
    const last = request('app', [0], 'last')
    sender.socket.write(Buffer.concat([...ids.map((id) => request('app', [1], id)), last.subarray(0, 20)]))
    await eventually(() => expect(input.out).toHaveLength(1000))
    await new Promise((resolve) => setTimeout(resolve, 1300))
    output.release()
    await eventually(() => expect(sender.acks()).toEqual(ids))
    // Two looks at the times.
    await new Promise((resolve) => setTimeout(resolve, 200))
    sender.socket.write(last.subarray(20))
    await eventually(() => expect(sender.acks().at(-1)).toBe('last'))
  })

  it('does not make a small queue_size slow: reading goes on with the next commit, not on a timer', async () => {
    const input = await receive({ queue_size: 1 })
    const sender = await client(input.port)
    sender.socket.write(Buffer.concat(range(0, 1000).map((n) => request('app', [n]))))
    await eventually(() => expect(input.out).toHaveLength(1000))
    expect(numbersOf(input.out)).toEqual(range(0, 1000))
  })

  it('stops reading a sender that does not read its acknowledgements, and closes it when that lasts', async () => {
    const input = await receive({ idle_timeout: 1 })
    const sender = await client(input.port)
    sender.socket.pause()
    const id = 'i'.repeat(1000)
    const flooded = flood(sender, (n) => request('app', [n], `${id}${n}`), 200_000)
    await sender.closed
    expect(flooded.sent()).toBeLessThan(200_000)
    expect(input.refusals('idle_timeout')).toBe(1)
    const good = await client(input.port)
    good.socket.write(request('good', [1], 'a'))
    await eventually(() => expect(good.acks()).toEqual(['a']))
  })
})
