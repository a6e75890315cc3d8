// Lines as bytes, without a large string or buffer for each batch: making those costs page faults, more than writing does.

/** Bytes that are handed on in one go. Linux takes more memory pages at once for larger writes, and each byte costs more. */
const capacity = 128 * 1024
/** Characters encoded in one go: V8 keeps strings beyond 128 KiB outside of its young generation. */
const pieceLength = 8 * 1024
/** Bytes of UTF-8 for one unit of a string, at most. */
const bytesPerUnit = 3

const buffer = Buffer.allocUnsafeSlow(capacity)

/**
 * Gives `write` the bytes of `before` and of the lines, each ended by a newline: in order, whole lines at a time, in a
 * buffer that is used again after each call.
 */
export function encodeLines(before: string, lines: readonly string[], write: (bytes: Buffer) => void): void {
  let length = 0
  const put = (piece: string) => {
    const needed = piece.length * bytesPerUnit
    if (needed > capacity - length && length > 0) {
      write(buffer.subarray(0, length))
      length = 0
    }
    if (needed > capacity) write(Buffer.from(piece))
    else length += buffer.write(piece, length)
  }
  let piece = before
  for (const line of lines) {
    piece += `${line}\n`
    if (piece.length < pieceLength) continue
    put(piece)
    piece = ''
  }
  put(piece)
  if (length > 0) write(buffer.subarray(0, length))
}
