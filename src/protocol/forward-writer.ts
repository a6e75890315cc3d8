// Writes requests and acknowledgements of the forward protocol.
import { gzipSync } from 'node:zlib'
import { ProtocolError } from './errors.ts'
import { EventTime } from './event-time.ts'
import { MsgpackDecoder } from './msgpack-decoder.ts'
import type { MsgpackMap } from './msgpack-map.ts'
import { MsgpackWriter } from './msgpack-writer.ts'

/** An event to send. */
export interface OutgoingEvent {
  /** Unix seconds, fractional. */
  timestamp: number
  record: MsgpackMap
  metadata?: MsgpackMap
}

/** `message` is for one event; the other modes hold as many as the receiver's limit of a frame allows. */
export type OutgoingMode = 'message' | 'forward' | 'packed' | 'gzip'

/**
 * One request for events of one tag. With a `chunk` the receiver is asked for an acknowledgement. Metadata travels in
 * the head of an entry, as Fluent Bit writes it. Throws a ProtocolError (unwritable).
 */
export function encodeForward(
  tag: string,
  events: readonly OutgoingEvent[],
  mode: OutgoingMode,
  chunk?: string,
): Buffer {
  const writer = new MsgpackWriter(256 + events.length * TYPICAL_ENTRY_BYTES)
  if (mode === 'message') return encodeMessage(writer, tag, events, chunk)
  for (const event of events) writeEntry(writer, event)
  return encodeEntries(tag, writer.take(), events.length, mode, chunk)
}

/** One request for `count` entries that `writeEntry` has written. */
export function encodeEntries(
  tag: string,
  entries: Buffer,
  count: number,
  mode: Exclude<OutgoingMode, 'message'>,
  chunk?: string,
): Buffer {
  const zipped = mode === 'gzip' ? gzipSync(entries) : undefined
  // A receiver takes for a bomb what shrinks too well.
  const isGzip = zipped !== undefined && entries.length <= Math.max(SAFE_BYTES, zipped.length * SAFE_RATIO)
  const payload = isGzip ? zipped : entries
  const writer = new MsgpackWriter(tag.length * 3 + payload.length + 256).arrayHeader(3).str(tag)
  if (mode === 'forward') writer.arrayHeader(count).raw(payload)
  else writer.bin(payload)
  writer.mapHeader(1 + (chunk === undefined ? 0 : 1) + (isGzip ? 1 : 0))
  writer.str('size').number(count)
  if (chunk !== undefined) writer.str('chunk').str(chunk)
  if (isGzip) writer.str('compressed').str('gzip')
  return writer.take()
}

function encodeMessage(
  writer: MsgpackWriter,
  tag: string,
  events: readonly OutgoingEvent[],
  chunk: string | undefined,
): Buffer {
  const [event] = events
  if (event === undefined || events.length > 1) throw new ProtocolError('unwritable', 'Message mode takes one event')
  writer.arrayHeader(4).str(tag)
  writeTime(writer, event.timestamp)
  writer.value(event.record)
  writer.mapHeader((chunk === undefined ? 0 : 1) + (event.metadata === undefined ? 0 : 1))
  if (chunk !== undefined) writer.str('chunk').str(chunk)
  if (event.metadata !== undefined) writer.str('metadata').value(event.metadata)
  return writer.take()
}

/** The acknowledgement of a chunk: its id, byte for byte. */
export function encodeAck(chunk: Buffer): Buffer {
  return new MsgpackWriter(chunk.length + 16).mapHeader(1).str('ack').rawStr(chunk).take()
}

/** The chunk id of an acknowledgement (the bytes of one whole value), as text. Throws a ProtocolError (bad_frame). */
export function readAck(bytes: Buffer): string {
  const decoder = new MsgpackDecoder(bytes)
  const pairs = decoder.mapHeader()
  for (let i = 0; i < pairs; i++) {
    if (decoder.key() === 'ack') {
      const chunk = decoder.str() ?? decoder.bin()
      if (chunk !== undefined) return chunk.toString()
    }
    decoder.skip()
  }
  throw new ProtocolError('bad_frame', 'An answer is no acknowledgement')
}

/** Appends one entry. Throws a ProtocolError (unwritable), and then leaves a part of the entry behind. */
export function writeEntry(writer: MsgpackWriter, event: OutgoingEvent): void {
  writer.arrayHeader(2)
  if (event.metadata === undefined) writeTime(writer, event.timestamp)
  else {
    writer.arrayHeader(2)
    writeTime(writer, event.timestamp)
    writer.value(event.metadata)
  }
  writer.value(event.record)
}

/** EventTime from 1970 to 2106; a float for what lies outside. */
function writeTime(writer: MsgpackWriter, timestamp: number): void {
  if (timestamp >= 0 && timestamp < 0xfffffffe) writer.eventTime(EventTime.from(timestamp))
  else writer.float(timestamp)
}

const TYPICAL_ENTRY_BYTES = 256
/** How many times larger than their gzip entries beyond a MiB may be: receivers of ours allow 200. */
const SAFE_RATIO = 100
const SAFE_BYTES = 1024 * 1024
