// What a request of the forward protocol comes to, whether it came as MessagePack or as JSON, and what is checked of it.
import type { CompressionLimits } from './compression.ts'
import { ProtocolError } from './errors.ts'
import { isMap, type MsgpackMap } from './msgpack-map.ts'
import type { MsgpackLimits } from './msgpack-scanner.ts'

export type ForwardMode = 'message' | 'forward' | 'packed' | 'compressed'

/** One event, as the pipeline takes it. */
export interface ForwardEntry {
  tag: string
  /** Unix seconds, fractional. */
  timestamp: number
  record: MsgpackMap
  /** Only when the sender gave one that is not empty. */
  metadata?: MsgpackMap
}

export interface ForwardOption {
  /**
   * The chunk's id, the bytes as they came: the sender waits for an acknowledgement that echoes them. To remember an id,
   * make a text of it (`latin1` is exact): a small Buffer keeps the pool it was cut from.
   */
  chunk?: Buffer
  /** How many entries the sender says there are. A hint: group markers are counted too. */
  size?: number
  compressed?: string
  /** 0 logs, 1 metrics, 2 traces. */
  signal: number
  metadata?: MsgpackMap
}

export interface ForwardFrame {
  tag: string
  mode: ForwardMode
  /** Empty for metrics and traces (`option.signal` is not 0): they are no events. */
  entries: ForwardEntry[]
  /** Those of `entries` whose sender said "now": the caller sets their timestamp. */
  untimed: ForwardEntry[]
  option: ForwardOption
  /** Fluent Bit's marks for begin and end of a group: no entries, though `size` counts them. */
  groupMarkers: number
  /** Bytes of the entries after decompression; 0 when they were not compressed. */
  inflatedBytes: number
  /** True when the option's `compressed` is not what the bytes are. The bytes decide. */
  mislabelled: boolean
}

export type ForwardLimits = Pick<MsgpackLimits, 'maxDepth' | 'maxValues'> &
  CompressionLimits & {
    /** Bytes of a tag. */
    maxTag: number
  }

/** A time that says: the moment of arrival. */
export const NOW = -Infinity
/** A time that says: no entry, but begin or end of a group. */
export const GROUP_MARKER = Infinity

export function newFrame(tag: string): ForwardFrame {
  return {
    tag,
    mode: 'message',
    entries: [],
    untimed: [],
    option: { signal: 0 },
    groupMarkers: 0,
    inflatedBytes: 0,
    mislabelled: false,
  }
}

/** Adds an entry whose time is Unix seconds, NOW or GROUP_MARKER. */
export function addEntry(
  frame: ForwardFrame,
  time: number,
  record: MsgpackMap,
  metadata: MsgpackMap | undefined,
): void {
  if (time === GROUP_MARKER) {
    frame.groupMarkers++
    return
  }
  const entry: ForwardEntry = { tag: frame.tag, timestamp: time, record }
  if (metadata !== undefined && !isEmpty(metadata)) entry.metadata = metadata
  if (time === NOW) {
    entry.timestamp = 0
    frame.untimed.push(entry)
  }
  frame.entries.push(entry)
}

/** Sets what is known of an option. A key that is not known, or holds what makes no sense, is tolerated. */
export function setOption(option: ForwardOption, key: string, value: unknown): void {
  if (value === null) return
  if (key === 'size' && typeof value === 'number') option.size = value
  // Not String(value): a map with a key `toString` throws.
  else if (key === 'compressed') option.compressed = typeof value === 'string' ? value : typeof value
  else if (key === 'fluent_signal' && typeof value === 'number' && Number.isInteger(value)) option.signal = value
  else if (key === 'metadata' && isMap(value)) option.metadata = value
}

/** What the option says of the entries' compression. */
export function labelOf(option: ForwardOption): string {
  return option.compressed ?? 'text'
}

/** Throws a ProtocolError (bad_tag). The names that a tag becomes part of are made elsewhere: it may hold any `/`. */
export function checkTag(tag: unknown, maxBytes = MAX_TAG_BYTES): string {
  if (typeof tag !== 'string') throw new ProtocolError('bad_tag', 'The tag is no string')
  if (tag === '') throw new ProtocolError('bad_tag', 'The tag is empty')
  if (tag.length > maxBytes || Buffer.byteLength(tag) > maxBytes) {
    throw new ProtocolError('bad_tag', `The tag is longer than ${maxBytes} bytes`)
  }
  if (/\p{Cc}/u.test(tag)) throw new ProtocolError('bad_tag', 'The tag has a control character')
  return tag
}

/** Unix seconds that a date can be made of. Throws a ProtocolError (bad_time). */
export function checkTime(time: unknown): number {
  if (typeof time === 'number' && Math.abs(time) <= MAX_DATE_SECONDS) return time
  throw new ProtocolError('bad_time', 'A time is no number of seconds that a date can be made of')
}

/** Throws a ProtocolError (bad_chunk). */
export function checkChunk(chunk: Buffer | undefined): Buffer {
  if (chunk === undefined) throw new ProtocolError('bad_chunk', 'The chunk id is no string')
  if (chunk.length > MAX_CHUNK_BYTES) {
    throw new ProtocolError('bad_chunk', `The chunk id is longer than ${MAX_CHUNK_BYTES} bytes`)
  }
  // A copy: ids are remembered for long, and a view would keep its whole frame.
  return Buffer.from(chunk)
}

export function tooManyValues(): ProtocolError {
  return new ProtocolError('bad_frame', 'A request has more values than its mode knows')
}

/** Unless the caller has a limit of its own. */
const MAX_TAG_BYTES = 1024
/** Fluent Bit's are 24 bytes, Fluentd's 25. */
const MAX_CHUNK_BYTES = 1024
/** Beyond it JavaScript has no date. */
const MAX_DATE_SECONDS = 8.64e12

function isEmpty(map: MsgpackMap): boolean {
  for (const _ in map) return false
  return true
}
