// Text encodings by label: how a line ends in them, and how bytes become a string.
import { isAscii } from 'node:buffer'
import { TextDecoder } from 'node:util'

export interface TextEncoding {
  /** Bytes of a code unit: a line starts at a multiple of it. */
  readonly unit: 1 | 2
  /** The bytes of `\n`. */
  readonly newline: Buffer
  /** The text of `bytes` from `start` to `end`. What is not valid becomes U+FFFD; a byte order mark stays. */
  decode(bytes: Buffer, start: number, end: number): string
}

/** The encoding of a label that TextDecoder knows, or undefined. */
export function textEncoding(label: string): TextEncoding | undefined {
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(label, { ignoreBOM: true })
  } catch {
    // A RangeError: the label is unknown, or this Node was built without it.
    return undefined
  }
  const { encoding } = decoder
  if (encoding === 'utf-8') return utf8
  const unit = encoding.startsWith('utf-16') ? 2 : 1
  return {
    unit,
    newline: Buffer.from(unit === 1 ? [10] : encoding === 'utf-16le' ? [10, 0] : [0, 10]),
    decode: (bytes, start, end) => decoder.decode(bytes.subarray(start, end)),
  }
}

const utf8: TextEncoding = {
  unit: 1,
  newline: Buffer.from([10]),
  decode(bytes, start, end) {
    // Logs are mostly ASCII: one fast look saves the decoder's walk over every byte.
    const plain = isAscii(bytes.subarray(start, end))
    return bytes.toString(plain ? 'latin1' : 'utf8', start, end)
  },
}
