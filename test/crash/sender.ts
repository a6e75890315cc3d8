// A sender of the forward protocol that never gives up: each frame is sent until it is acknowledged, in order.
import { connect, type Socket } from 'node:net'
import { decode } from '@msgpack/msgpack'
import { onTestFinished } from 'vitest'
import { encodeForward, type OutgoingEvent } from '../../src/protocol/forward-writer.ts'

/** Milliseconds between two attempts to connect. */
const reconnectDelay = 10

export interface SenderOptions {
  port: number
  tag: string
  /** The events of frame `index`, counted from 0. */
  events(index: number): OutgoingEvent[]
  /** Frames on their way at once. */
  window: number
  /** Frames in all; it may be lowered while it runs. */
  frames: number
  /** The frame to begin with; 0 when not given. */
  first?: number
  /** Milliseconds without an acknowledgement after which it connects anew; for ever when not given. */
  patience?: number
}

export class Sender {
  acknowledged = 0
  /** Times a connection was lost. */
  lost = 0
  readonly #options: SenderOptions
  readonly #inFlight = new Map<string, Buffer>()
  #next = 0
  #socket: Socket | undefined
  #finish: () => void = () => {}
  #ended = false

  constructor(options: SenderOptions) {
    this.#options = options
    this.#next = options.first ?? 0
  }

  /** Sends everything; resolves when all of it is acknowledged, or when the test is over. */
  async run(): Promise<void> {
    onTestFinished(() => {
      this.#ended = true
      this.#socket?.destroy()
      this.#finish()
    })
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    this.#connect()
    await finished
  }

  /** No further frames: `run` ends once those sent are acknowledged. Returns how many there are. */
  stop(): number {
    this.#options.frames = this.#next
    this.#pump()
    return this.#next
  }

  #connect(): void {
    const socket = connect(this.#options.port, '127.0.0.1')
    this.#socket = socket
    let answers = Buffer.alloc(0)
    const { patience } = this.#options
    // What is in the socket stays there, for a daemon that stands still to read.
    if (patience !== undefined) socket.setTimeout(patience, () => socket.destroySoon())
    socket.on('connect', () => {
      for (const frame of this.#inFlight.values()) socket.write(frame)
      this.#pump()
    })
    socket.on('data', (bytes) => {
      answers = Buffer.concat([answers, bytes])
      // One acknowledgement, {"ack": <chunk>}: its length follows from that of the ids.
      for (const chunk of this.#inFlight.keys()) {
        const length = 6 + chunk.length
        if (answers.length < length) break
        const { ack } = decode(answers.subarray(0, length)) as { ack: string }
        if (ack !== chunk) throw new Error(`${chunk} was to be acknowledged, and ${ack} was`)
        answers = answers.subarray(length)
        this.#inFlight.delete(chunk)
        this.acknowledged++
      }
      this.#pump()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#ended) return
      this.lost++
      setTimeout(() => this.#connect(), reconnectDelay)
    })
  }

  #pump(): void {
    const { tag, events, window, frames } = this.#options
    const socket = this.#socket
    if (socket?.readyState !== 'open') return
    while (this.#inFlight.size < window && this.#next < frames) {
      const chunk = `frame-${String(this.#next).padStart(10, '0')}`
      const frame = encodeForward(tag, events(this.#next++), 'forward', chunk)
      this.#inFlight.set(chunk, frame)
      socket.write(frame)
    }
    if (this.#inFlight.size > 0 || this.#next < frames) return
    this.#ended = true
    socket.end()
    this.#finish()
  }
}
