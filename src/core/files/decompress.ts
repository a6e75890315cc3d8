// Decompression that is pulled piece by piece, so that a file that unpacks to a thousand times its size costs no memory.
import { once } from 'node:events'
import { createGunzip, type Gunzip } from 'node:zlib'
import { ZstdStream } from '../../protocol/zstd-stream.ts'
import { FeedooError, messageOf } from '../errors.ts'

export type Compression = 'gzip' | 'zstd'

export interface Decompressor {
  /** Gives more of the file. Only when `next` has come back with nothing. The bytes may be overwritten afterwards. */
  feed(bytes: Buffer): void
  /** Says that the file ends here. `next` may still have something, or throw because the end is missing. */
  end(): void
  /** The next decoded piece, or undefined when all that was fed is used up. Throws FILE_DAMAGED. */
  next(): Promise<Buffer | undefined>
  close(): void
}

/** Bytes of a piece that the gzip decoder makes. */
const pieceSize = 128 * 1024

/** How a file is compressed, by its suffix. */
export function compressionOf(path: string): Compression | undefined {
  if (path.endsWith('.gz')) return 'gzip'
  return path.endsWith('.zst') ? 'zstd' : undefined
}

export function decompressor(compression: Compression): Decompressor {
  return compression === 'gzip' ? gzipDecompressor() : zstdDecompressor()
}

/** Reads several members one after another, as `cat a.gz b.gz` makes them. */
function gzipDecompressor(): Decompressor {
  const stream: Gunzip = createGunzip({ chunkSize: pieceSize, readableHighWaterMark: pieceSize } as object)
  let fed = 0
  let busy = false
  let ended = false
  let failure: unknown
  const wake = () => stream.emit('wake')
  stream.on('error', (error) => {
    failure = error
    wake()
  })
  stream.on('readable', wake)
  // Also after the last member, where what follows is no gzip and is ignored.
  stream.on('end', () => {
    ended = true
    wake()
  })
  return {
    feed(bytes) {
      if (ended || bytes.length === 0) return
      fed += bytes.length
      busy = true
      stream.write(Buffer.from(bytes), () => {
        busy = false
        wake()
      })
    },
    end() {
      // An empty file is no damage.
      if (ended || fed === 0) return
      busy = true
      stream.end()
    },
    async next() {
      for (;;) {
        const piece: Buffer | null = stream.read()
        if (piece !== null) return piece
        if (failure !== undefined) throw new FeedooError('FILE_DAMAGED', messageOf(failure), { cause: failure })
        if (ended || !busy) return undefined
        await once(stream, 'wake')
      }
    },
    close: () => stream.destroy(),
  }
}

function zstdDecompressor(): Decompressor {
  const stream = new ZstdStream()
  let ended = false
  return {
    feed: (bytes) => stream.push(bytes),
    end() {
      ended = true
    },
    async next() {
      try {
        const piece = stream.next()
        if (piece === undefined && ended) stream.end()
        return piece
      } catch (error) {
        throw new FeedooError('FILE_DAMAGED', messageOf(error), { cause: error })
      }
    },
    close() {},
  }
}
