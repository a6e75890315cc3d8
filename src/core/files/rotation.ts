// Rotation by copy: which names a rotated file gets, and whether a file holds what another one held.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { compressionOf, decompressor } from './decompress.ts'
import { beforeLimit, type Fingerprint, fits, growHead, headLimit, lastBytes } from './fingerprint.ts'

/** Bytes read of a compressed file at a time. */
const rawChunk = 64 * 1024

/** What is remembered of a file's content up to an offset. */
export interface Content {
  /** Bytes, decoded, of what was read. */
  readonly offset: number
  readonly head: Fingerprint
  /** Of the bytes before `offset`. */
  readonly before: Fingerprint
  /** Whether the offset is inside of a line that is too long. */
  readonly skip?: boolean
}

/**
 * Whether `path` is a name that rotation gives to the file at `of`: app.log becomes app.log.1 or app.log-20260131,
 * app.log.1 becomes app.log.1.gz or app.log.2.gz.
 */
export function isRotationOf(path: string, of: string): boolean {
  if (path === of) return false
  if (path.startsWith(of)) return !path.includes('/', of.length)
  // Most paths differ sooner: the cheap look first.
  if (!path.startsWith(of.slice(0, of.lastIndexOf('/') + 2))) return false
  const base = rotationBase(of)
  return path.startsWith(base) && /^[.-][^/]*$/.test(path.slice(base.length))
}

/** The name a file had before it was numbered, dated or compressed. */
export function rotationBase(path: string): string {
  return path.replace(/\.(?:gz|zst)$/, '').replace(/[.-]\d[\dT:_.-]*$/, '')
}

/**
 * How the file at `path` compares with what is remembered of another: `same` up to its offset; `shorter` when it ends
 * before that and nothing in it speaks against; else `different`. Throws what opening and reading throws, and
 * FILE_DAMAGED.
 */
export async function compareContent(path: string, content: Content): Promise<Comparison> {
  const { head, last, length } = await readUpTo(path, content.offset)
  const enough = head.length >= content.head.length
  if (enough && !fits(content.head, head)) return { likeness: 'different', length, head, last }
  if (!enough || length < content.offset) return { likeness: 'shorter', length, head, last }
  return { likeness: fits(content.before, last) ? 'same' : 'different', length, head, last }
}

export interface Comparison extends Beginning {
  likeness: 'same' | 'shorter' | 'different'
}

export interface Beginning {
  head: Buffer
  /** The last bytes before the offset, or before the end where that comes first. */
  last: Buffer
  /** Bytes, decoded, of the file; of a compressed one not more than had to be decoded. */
  length: number
}

/** Opens for reading, and is not blocked by a pipe that has taken the file's place. */
export function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK)
}

/** Bytes of an open file from `from` to `to`, fewer where it ends. */
export async function readRange(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, to - from))
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

/** What stands in the file at `path` at its beginning, and before `offset` of what it holds, decoded. */
export async function readUpTo(path: string, offset: number): Promise<Beginning> {
  const handle = await openFile(path)
  try {
    if (compressionOf(path) !== undefined) return await decodeUpTo(handle, path, offset)
    const length = Number((await handle.stat()).size)
    const head = await readRange(handle, 0, headLimit)
    const end = Math.min(offset, length)
    return { head, last: await readRange(handle, Math.max(0, end - beforeLimit), end), length }
  } finally {
    await handle.close()
  }
}

async function decodeUpTo(handle: FileHandle, path: string, offset: number): Promise<Beginning> {
  const decoder = decompressor(compressionOf(path) ?? 'gzip')
  const result: Beginning = { head: Buffer.alloc(0), last: Buffer.alloc(0), length: 0 }
  const wanted = Math.max(offset, headLimit)
  const raw = Buffer.alloc(rawChunk)
  try {
    while (result.length < wanted) {
      const piece = await decoder.next()
      if (piece === undefined) {
        const { bytesRead } = await handle.read(raw, 0, raw.length)
        if (bytesRead === 0) break
        decoder.feed(raw.subarray(0, bytesRead))
        continue
      }
      result.head = growHead(result.head, piece, result.length)
      const end = Math.min(piece.length, offset - result.length)
      if (end > 0) result.last = lastBytes(result.last, piece, end)
      result.length += piece.length
    }
    return result
  } finally {
    decoder.close()
  }
}
