// The two ways in which senders write their requests: MessagePack, and JSON.
import { decodeForward } from '../../protocol/forward.ts'
import type { ForwardFrame, ForwardLimits } from '../../protocol/forward-frame.ts'
import { encodeAck } from '../../protocol/forward-writer.ts'
import { decodeJsonForward, encodeJsonAck, isJsonStart, JsonScanner } from '../../protocol/json-frames.ts'
import { MsgpackScanner } from '../../protocol/msgpack-scanner.ts'
import { PushReader } from '../../protocol/push-reader.ts'

export interface RequestLimits {
  /** Bytes of one request. */
  maxFrame: number
  forward: Pick<ForwardLimits, 'maxTag' | 'maxDepth' | 'maxInflatedBytes' | 'maxRatio'>
}

export interface Dialect {
  /** Cuts the bytes of a connection into those of requests. */
  reader(limits: RequestLimits): PushReader
  /** The request that the bytes are; undefined when they ask for nothing. Throws a ProtocolError. */
  decode(bytes: Buffer, limits: RequestLimits['forward']): ForwardFrame | undefined
  /** The acknowledgement of a chunk. */
  encodeAck(chunk: Buffer): Buffer
}

export const messagePack: Dialect = {
  reader: ({ maxFrame, forward }) =>
    new PushReader(new MsgpackScanner({ maxBytes: maxFrame, maxDepth: forward.maxDepth })),
  decode: decodeForward,
  encodeAck,
}

const json: Dialect = {
  reader: ({ maxFrame, forward }) =>
    new PushReader(new JsonScanner({ maxBytes: maxFrame, maxDepth: forward.maxDepth })),
  decode: decodeJsonForward,
  encodeAck: encodeJsonAck,
}

/** What a sender speaks whose first request begins with this byte. */
export function dialectOf(firstByte: number): Dialect {
  return isJsonStart(firstByte) ? json : messagePack
}
