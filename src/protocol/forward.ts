// Requests of the forward protocol, in all modes, as entries and an option.
import { compressionOf, decompress } from './compression.ts'
import { ProtocolError } from './errors.ts'
import {
  addEntry,
  checkChunk,
  checkTag,
  checkTime,
  type ForwardFrame,
  type ForwardLimits,
  type ForwardOption,
  GROUP_MARKER,
  labelOf,
  NOW,
  newFrame,
  setOption,
  tooManyValues,
} from './forward-frame.ts'
import { MsgpackDecoder } from './msgpack-decoder.ts'
import type { MsgpackMap } from './msgpack-map.ts'
import { MsgpackScanner, readUint32 } from './msgpack-scanner.ts'

/*
 * request = nil                                          keep-alive
 *         | [tag, time, record, option?]                 Message
 *         | [tag, [entry*], option?]                     Forward
 *         | [tag, str or bin of entry*, option?]         PackedForward; CompressedPackedForward when gzip or zstd
 * entry   = [time, record] | [[time, metadata], record]
 * time    = EventTime | float | int; the int 0 and nil say "now"
 * option  = nil | {chunk: str, size: int, compressed: str, fluent_signal: int, metadata: map, any other key}
 */

/**
 * Reads one request out of the bytes of one whole MessagePack value, as a PushReader over a MsgpackScanner takes it.
 * undefined is a keep-alive. A request is good as a whole or a ProtocolError is thrown.
 */
export function decodeForward(bytes: Buffer, limits: Partial<ForwardLimits> = {}): ForwardFrame | undefined {
  const decoder = new MsgpackDecoder(bytes)
  if (decoder.peek() === NIL) return undefined
  const count = decoder.arrayHeader()
  if (count < 2 || count > 4) throw new ProtocolError('bad_frame', 'A request is no list of 2 to 4 values')
  const frame = newFrame(checkTag(decoder.text(), limits.maxTag))
  if (decoder.peekIsArray()) readForward(decoder, frame, count)
  else {
    const packed = decoder.str() ?? decoder.bin()
    if (packed === undefined) readMessage(decoder, frame, count)
    else readPacked(decoder, frame, count, packed, limits)
  }
  return frame
}

function readMessage(decoder: MsgpackDecoder, frame: ForwardFrame, count: number): void {
  if (count < 3) throw new ProtocolError('bad_frame', 'A request in Message mode has no record')
  const time = readTime(decoder)
  const record = decoder.map()
  if (record === undefined) throw new ProtocolError('bad_entry', 'A record is no map')
  if (count === 4) frame.option = readOption(decoder)
  if (frame.option.signal === 0) addEntry(frame, time, record, frame.option.metadata)
}

function readForward(decoder: MsgpackDecoder, frame: ForwardFrame, count: number): void {
  frame.mode = 'forward'
  if (count === 3) {
    // The option stands last, but tells whether the entries are any.
    const start = decoder.position
    decoder.skip()
    frame.option = readOption(decoder)
    decoder.position = start
  } else if (count !== 2) throw tooManyValues()
  frame.mislabelled = labelOf(frame.option) !== 'text'
  if (frame.option.signal !== 0) return
  const entries = decoder.arrayHeader()
  for (let i = 0; i < entries; i++) readEntry(decoder, frame)
}

function readPacked(
  decoder: MsgpackDecoder,
  frame: ForwardFrame,
  count: number,
  packed: Buffer,
  limits: Partial<ForwardLimits>,
): void {
  if (count === 3) frame.option = readOption(decoder)
  else if (count !== 2) throw tooManyValues()
  const compression = compressionOf(packed)
  frame.mode = compression === 'text' ? 'packed' : 'compressed'
  frame.mislabelled = labelOf(frame.option) !== compression && packed.length > 0
  if (frame.option.signal !== 0) return
  const entries = compression === 'text' ? packed : decompress(packed, compression, limits)
  if (compression !== 'text') frame.inflatedBytes = entries.length
  // The bytes are all there: an entry that needs more of them is cut short, however much it declares.
  const scanner = new MsgpackScanner({ ...limits, maxBytes: Number.MAX_SAFE_INTEGER })
  const inner = new MsgpackDecoder(entries)
  while (inner.position < entries.length) {
    if (scanner.scan(entries, inner.position, entries.length) === -1) {
      throw new ProtocolError('truncated', 'The packed entries end inside of an entry')
    }
    readEntry(inner, frame)
  }
}

/** [time, record] or [[time, metadata], record]. */
function readEntry(decoder: MsgpackDecoder, frame: ForwardFrame): void {
  if (decoder.arrayHeader() !== 2) throw new ProtocolError('bad_entry', 'An entry is no list of a time and a record')
  let metadata: MsgpackMap | undefined
  let time: number
  if (decoder.peekIsArray()) {
    if (decoder.arrayHeader() !== 2) throw new ProtocolError('bad_entry', "An entry's head is no time and metadata")
    time = readTime(decoder)
    if (decoder.peek() === NIL) decoder.position++
    else {
      metadata = decoder.map()
      if (metadata === undefined) throw new ProtocolError('bad_entry', "An entry's metadata is no map")
    }
  } else time = readTime(decoder)
  const record = decoder.map()
  if (record === undefined) throw new ProtocolError('bad_entry', 'A record is no map')
  addEntry(frame, time, record, metadata)
}

/** Unix seconds, NOW or GROUP_MARKER. */
function readTime(decoder: MsgpackDecoder): number {
  const byte = decoder.peek()
  if (byte === 0xd7 || byte === 0xc7) {
    const at = decoder.position + (byte === 0xd7 ? 2 : 3)
    decoder.position = at + 8
    const seconds = readUint32(decoder.buffer, at)
    return seconds >= FIRST_MARKER ? GROUP_MARKER : seconds + readUint32(decoder.buffer, at + 4) / 1e9
  }
  const isFloat = byte === 0xca || byte === 0xcb
  const time = decoder.value()
  if (!isFloat) {
    if (time === 0 || time === null) return NOW
    if (time === FIRST_MARKER || time === LAST_MARKER) return GROUP_MARKER
  }
  return checkTime(time)
}

function readOption(decoder: MsgpackDecoder): ForwardOption {
  const option: ForwardOption = { signal: 0 }
  if (decoder.peek() === NIL) return option
  const pairs = decoder.mapHeader()
  if (pairs < 0) throw new ProtocolError('bad_option', 'The option is no map')
  for (let i = 0; i < pairs; i++) {
    const key = decoder.key()
    if (key === 'chunk') option.chunk = checkChunk(decoder.str())
    else setOption(option, key, decoder.value())
  }
  return option
}

const NIL = 0xc0
/** Seconds that say begin and end of a group. */
const LAST_MARKER = 0xffffffff
const FIRST_MARKER = 0xfffffffe
