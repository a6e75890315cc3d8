// Sends batches of events to receivers of the forward protocol: several frames on their way at once, each until it has arrived.
import { messageOf } from '../errors.ts'
import type { Event } from '../event.ts'
import type { ForwardConnection } from './forward-connection.ts'
import { type Frame, FrameQueue } from './forward-frames.ts'
import type { Attempt, ForwardTargets } from './forward-targets.ts'

export interface SenderOptions {
  /** The frames of a batch; the same ones for the same name. */
  cut(events: readonly Event[], name?: string): Iterator<Frame>
  /** True when a frame has arrived with its acknowledgement; false when with the kernel taking it. */
  requireAck: boolean
  /** Milliseconds without an acknowledgement after which a connection is given up. */
  ackTimeout: number
  /** Milliseconds without the kernel taking a frame after which a connection is given up. */
  sendTimeout: number
  /** Frames on their way at once. */
  maxInFlight: number
}

/**
 * Returns the `write` of an output. Called again with the same list, it goes on where it failed: frames that have
 * arrived are not sent again, and those that may have are sent again as they were.
 */
export function createSender(
  targets: ForwardTargets,
  options: SenderOptions,
): (events: readonly Event[], name?: string) => Promise<void> {
  let begun: readonly Event[] | undefined
  let queue = new FrameQueue([][Symbol.iterator]())
  let kept: ForwardConnection | undefined
  return async (events, name) => {
    if (begun !== events) {
      queue = new FrameQueue(options.cut(events, name))
      begun = events
    }
    const attempt: Attempt = new Map()
    while (begun !== undefined) {
      const connection = await targets.acquire(attempt)
      try {
        await deliver(connection, queue, options)
        kept = connection
        begun = undefined
        targets.release(connection)
      } catch (error) {
        queue.rewind()
        // Not the connection's fault: a frame could not be made.
        if (connection.error === undefined) begun = undefined
        targets.failed(connection, messageOf(error), connection !== kept, attempt)
        kept = undefined
        if (begun === undefined) throw error
      }
    }
  }
}

/** Resolves when every frame has arrived; rejects when the connection is over, or made no progress for too long. */
function deliver(connection: ForwardConnection, queue: FrameQueue, options: SenderOptions): Promise<void> {
  const { requireAck, ackTimeout, sendTimeout, maxInFlight } = options
  return new Promise((resolve, reject) => {
    const sending = setTimeout(() => {
      if (connection.unwritten > 0) connection.fail(`nothing could be sent for ${sendTimeout / 1000} s`)
    }, sendTimeout)
    const answering = setTimeout(() => {
      if (requireAck) connection.fail(`no acknowledgement within ${ackTimeout / 1000} s`)
    }, ackTimeout)

    function settle(error?: unknown): void {
      clearTimeout(sending)
      clearTimeout(answering)
      connection.onAck = ignore
      connection.onWritten = ignore
      connection.onClose = ignore
      if (error === undefined) resolve()
      else reject(error)
    }

    function pump(): void {
      try {
        while (queue.inFlight < maxInFlight && !connection.congested) {
          const frame = queue.next()
          if (frame === undefined) break
          if (connection.unwritten === 0) sending.refresh()
          connection.send(frame.bytes, () => {
            if (!requireAck) queue.arrived(frame.id)
          })
        }
      } catch (error) {
        // What a frame is made of is the events': the socket's handlers, which called this, could not say so.
        settle(error)
        return
      }
      if (queue.done && connection.unwritten === 0) settle()
    }

    connection.onClose = settle
    connection.onAck = (chunk) => {
      if (!requireAck) return
      // An id that is not on its way, or not any more, is no progress.
      if (queue.arrived(chunk)) answering.refresh()
      pump()
    }
    connection.onWritten = () => {
      sending.refresh()
      answering.refresh()
      pump()
    }
    if (connection.error === undefined) pump()
    else settle(connection.error)
  })
}

function ignore(): void {}
