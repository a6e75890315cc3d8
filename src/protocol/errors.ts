// What is wrong with bytes that came in: one class with a code, for all the wire formats.

/** The codes, and what each one says about the peer. */
export const protocolErrorCodes = {
  too_large: 'A value is longer, or holds more values, than the limit.',
  too_deep: 'A value is nested deeper than the limit.',
  bomb: 'Compressed data grows beyond the allowed ratio or size.',
  bad_type: 'A byte is no MessagePack or JSON, or a value has another type than the place asks for.',
  bad_ext: 'An extension type that is not EventTime.',
  bad_frame: 'A request is not a list of the length and kind that the protocol knows.',
  bad_tag: 'A tag is no string, empty, too long or has control characters.',
  bad_time: 'A time is no number, or no date that can be told.',
  bad_entry: 'An entry is not a time and a record.',
  bad_option: 'The option is no map.',
  bad_chunk: 'The chunk id is no string, or too long.',
  bad_compression: 'Compressed data is damaged, or its checksum differs.',
  bad_handshake: 'A handshake message has another shape than the protocol says.',
  truncated: 'The data ends inside of a value.',
  garbage: 'There are bytes left after the end.',
  unwritable: 'A value has no form on the wire.',
} as const

export type ProtocolErrorCode = keyof typeof protocolErrorCodes

export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode

  constructor(code: ProtocolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ProtocolError'
    this.code = code
  }
}
