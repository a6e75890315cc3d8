// Cuts a batch of events into requests of the forward protocol, and remembers which of them the receiver has.
import { createHash, randomBytes } from 'node:crypto'
import { checkTag, checkTime } from '../../protocol/forward-frame.ts'
import { encodeEntries, type OutgoingEvent, writeEntry } from '../../protocol/forward-writer.ts'
import { MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import { messageOf } from '../errors.ts'
import type { Event, EventRecord } from '../event.ts'

export interface FrameOptions {
  mode: 'forward' | 'packed' | 'gzip'
  /** Bytes of entries in one frame. An event that is larger goes alone. */
  chunkSize: number
  /** Bytes of one event that receivers take. */
  maxEventSize: number
  /** Asks for an acknowledgement of each frame, by its id. */
  requireAck: boolean
  /** Sends the events' metadata. */
  metadata: boolean
  /** Takes an event that no receiver would take. */
  refuse(event: Event, reason: string): void
}

export interface Frame {
  /** The chunk id, which the frame bears however often it is sent. */
  id: string
  bytes: Buffer
}

/** Levels of a record: receivers allow 64, of which the frame around it takes some. */
const maxRecordDepth = 56

/** The id of a frame with so many events, the first and last of them the so-many-th of their batch. */
type NextId = (first: number, last: number, count: number) => string

/** Bytes of a chunk id. */
const idLength = 18

/**
 * A frame's chunk id is never given twice: the sender's random number, and a counter. So a receiver that knows an id has
 * that very frame, and two frames that look the same are two. The frames of a batch with a name have ids made of it: sent
 * once more by another process, they are the same frames.
 */
export function createFrameCutter(options: FrameOptions): (events: readonly Event[], name?: string) => Iterator<Frame> {
  const sender = randomBytes(12)
  let count = 0
  const nextId: NextId = () => {
    const id = Buffer.alloc(idLength)
    sender.copy(id)
    id.writeUIntBE(++count, 12, 6)
    return id.toString('base64')
  }
  return (events, name) => cut(events, options, name === undefined ? nextId : idsOf(name))
}

/** Another process may cut the batch otherwise, under other parameters: a frame with other events has another id. */
function idsOf(name: string): NextId {
  return (...which) =>
    createHash('sha256').update(`${name}\n${which.join()}`).digest().subarray(0, idLength).toString('base64')
}

/** The frames of a batch, made when they are asked for. Events of one tag keep their order. */
function* cut(events: readonly Event[], options: FrameOptions, nextId: NextId): Generator<Frame> {
  const { mode, chunkSize, maxEventSize, requireAck, refuse } = options
  let at = -1
  let first = 0
  const frame = (tag: string, entries: Buffer, last: number, count: number): Frame => {
    const id = nextId(first, last, count)
    first = last + 1
    return { id, bytes: encodeEntries(tag, entries, count, mode, requireAck ? id : undefined) }
  }
  const writer = new MsgpackWriter(Math.min(chunkSize, 64 * 1024), maxRecordDepth)
  for (const [tag, group] of byTag(events, refuse)) {
    let count = 0
    for (const event of group) {
      at++
      const before = writer.length
      try {
        checkTime(event.timestamp)
        writeEntry(writer, outgoing(event, options.metadata))
      } catch (error) {
        writer.truncate(before)
        refuse(event, messageOf(error))
        continue
      }
      const size = writer.length - before
      if (size > maxEventSize) {
        writer.truncate(before)
        refuse(event, `the event has ${size} bytes, more than the ${maxEventSize} of max_event_size`)
        continue
      }
      if (count > 0 && writer.length > chunkSize) {
        const all = writer.take()
        yield frame(tag, all.subarray(0, before), at - 1, count)
        writer.raw(all.subarray(before))
        count = 0
      }
      count++
    }
    if (count > 0) yield frame(tag, writer.take(), at, count)
  }
}

function byTag(events: readonly Event[], refuse: FrameOptions['refuse']): Map<string, Event[]> {
  const groups = new Map<string, Event[]>()
  let current: Event[] | undefined
  let tag: string | undefined
  for (const event of events) {
    if (event.tag !== tag) {
      tag = event.tag
      current = groups.get(tag) ?? []
      groups.set(tag, current)
    }
    current?.push(event)
  }
  for (const [name, group] of groups) {
    try {
      checkTag(name)
    } catch (error) {
      for (const event of group) refuse(event, messageOf(error))
      groups.delete(name)
    }
  }
  return groups
}

function outgoing(event: Event, withMetadata: boolean): OutgoingEvent {
  const { timestamp, record, metadata } = event
  if (metadata === undefined) return event
  return withMetadata && !isEmpty(metadata) ? { timestamp, record, metadata } : { timestamp, record }
}

function isEmpty(record: EventRecord): boolean {
  for (const _ in record) return false
  return true
}

/** What of a batch is not in the receiver yet. It outlives connections: what failed is sent again, the rest is not. */
export class FrameQueue {
  readonly #source: Iterator<Frame>
  /** Sent, and not known to have arrived, in the order of sending. */
  readonly #inFlight = new Map<string, Frame>()
  #again: Frame[] = []
  #drained = false

  constructor(source: Iterator<Frame>) {
    this.#source = source
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** True when every frame has arrived. */
  get done(): boolean {
    return this.#drained && this.#inFlight.size === 0 && this.#again.length === 0
  }

  /** The next frame to send; undefined when all are on their way. */
  next(): Frame | undefined {
    const frame = this.#again.shift() ?? this.#make()
    if (frame !== undefined) this.#inFlight.set(frame.id, frame)
    return frame
  }

  /** Notes that a frame has arrived. False for an id that is not on its way (of an earlier batch, say): it tells nothing. */
  arrived(id: string): boolean {
    return this.#inFlight.delete(id)
  }

  /** After the connection broke: what was on its way is to be sent again, first. */
  rewind(): void {
    this.#again = [...this.#inFlight.values(), ...this.#again]
    this.#inFlight.clear()
  }

  #make(): Frame | undefined {
    if (this.#drained) return undefined
    const { value, done } = this.#source.next()
    if (done === true) this.#drained = true
    return done === true ? undefined : value
  }
}
