// Compressed entries: which format they are, and their bytes, bounded against a bomb.
import { gunzipSync } from 'node:zlib'
import { ProtocolError } from './errors.ts'
import { decompressZstd } from './zstd.ts'

export type Compression = 'text' | 'gzip' | 'zstd'

export interface CompressionLimits {
  /** Bytes after decompression. */
  maxInflatedBytes: number
  /** How many times the size of the input the output may be, beyond the first MiB. */
  maxRatio: number
}

export const defaultCompressionLimits: CompressionLimits = { maxInflatedBytes: 64 * 1024 * 1024, maxRatio: 200 }

/** The format, by its magic bytes. No entry begins with any of them. */
export function compressionOf(bytes: Uint8Array): Compression {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'gzip'
  const tail = bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
  if (bytes[0] === 0x28 && tail) return 'zstd'
  const isSkippable = (bytes[0] ?? 0) >> 4 === 5 && bytes[1] === 0x2a && bytes[2] === 0x4d && bytes[3] === 0x18
  return isSkippable ? 'zstd' : 'text'
}

/**
 * Decompresses gzip of one or several members, or zstd of one or several frames. Checksums are checked, the end must be
 * whole. Memory: the output, at most `maxInflatedBytes` and, beyond a MiB, `maxRatio` times the input.
 * Throws a ProtocolError (bomb, bad_compression, truncated, garbage).
 */
export function decompress(
  bytes: Buffer,
  compression: 'gzip' | 'zstd',
  limits: Partial<CompressionLimits> = {},
): Buffer {
  const { maxInflatedBytes, maxRatio } = { ...defaultCompressionLimits, ...limits }
  const maxBytes = Math.min(maxInflatedBytes, Math.max(FREE_BYTES, maxRatio * bytes.length))
  return compression === 'gzip' ? gunzip(bytes, maxBytes) : decompressZstd(bytes, maxBytes)
}

/** The ratio is not looked at before this many bytes: a short text of one letter is no bomb. */
const FREE_BYTES = 1024 * 1024

function gunzip(bytes: Buffer, maxOutputLength: number): Buffer {
  let inflated: unknown
  try {
    inflated = gunzipSync(bytes, { maxOutputLength, info: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new ProtocolError('bomb', `The gzip data grows beyond ${maxOutputLength} bytes`, error)
    }
    if (code === 'Z_BUF_ERROR') throw new ProtocolError('truncated', 'The gzip data ends too early', error)
    throw new ProtocolError('bad_compression', 'The gzip data is damaged', error)
  }
  if (!isInflated(inflated)) throw new TypeError('zlib gives no info')
  const { buffer, engine } = inflated
  // zlib takes a zero byte after a member for the end, and what follows for nothing.
  if (bytes.subarray(engine.bytesWritten).some((byte) => byte !== 0)) {
    throw new ProtocolError('garbage', 'The gzip data goes on after its end')
  }
  return buffer
}

/** What zlib's synchronous functions return with `info`, which their types do not know. */
interface Inflated {
  buffer: Buffer
  /** `bytesWritten`: bytes of the input that were used. */
  engine: { bytesWritten: number }
}

function isInflated(value: unknown): value is Inflated {
  return typeof value === 'object' && value !== null && 'buffer' in value && 'engine' in value
}
