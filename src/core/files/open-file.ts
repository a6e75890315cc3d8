// A file from its opening to its closing: reads on from what is known of its content, and makes events of its lines.
import { readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Event } from '../event.ts'
import { DecodedBytes } from './decoded-bytes.ts'
import { compressionOf } from './decompress.ts'
import { LineEvents, type LineOptions } from './line-events.ts'
import { LineSplitter } from './line-splitter.ts'
import { lastLineEnd } from './position.ts'
import type { ReadContent } from './read-content.ts'
import { openFile } from './rotation.ts'
import { type FileStat, fileStat } from './walk.ts'

/** Bytes read at a time. */
export const chunkSize = 256 * 1024

export interface Batch {
  events: Event[]
  /** Bytes, decoded, that were read for them. */
  bytes: number
}

/** `replaced`: what was read is no longer there. `moved`: the file at the path has another key than `key`. */
export async function openToRead(
  path: string,
  key: string,
  content: ReadContent,
  options: LineOptions,
): Promise<OpenFile | 'replaced' | 'moved'> {
  const handle = await openFile(path)
  try {
    const stat = fileStat(await handle.stat({ bigint: true }))
    if (stat.key !== key) return await closing(handle, 'moved')
    const compression = compressionOf(path)
    if (compression !== undefined) {
      const decoded = new DecodedBytes(handle, compression)
      content.restart()
      return new OpenFile(handle, content, decoded, options)
    }
    if (content.fromEnd) await seekEnd(handle, stat.size, content, options)
    if (!(await content.resume(handle))) return await closing(handle, 'replaced')
    content.readAs = path
    return new OpenFile(handle, content, undefined, options)
  } catch (error) {
    await handle.close()
    throw error
  }
}

export class OpenFile {
  readonly #handle: FileHandle
  readonly #content: ReadContent
  /** Undefined for a plain file. */
  readonly #decoded: DecodedBytes | undefined
  readonly #lines: LineEvents
  readonly #splitter: LineSplitter

  constructor(handle: FileHandle, content: ReadContent, decoded: DecodedBytes | undefined, options: LineOptions) {
    this.#handle = handle
    this.#content = content
    this.#decoded = decoded
    this.#lines = new LineEvents(options)
    this.#splitter = new LineSplitter(options.encoding, options.maxLine, this.#lines, {
      skipping: content.skip,
      atStart: content.offset === 0,
    })
  }

  get handle(): FileHandle {
    return this.#handle
  }

  /** Bytes of the file, not decoded, that were read. */
  get rawRead(): number {
    return this.#decoded?.rawRead ?? this.#content.read
  }

  /** Whether a line was begun that nothing has ended yet. */
  get halfLine(): boolean {
    return this.#splitter.pending > 0
  }

  /** Whether `endInput` has been called. */
  get ending(): boolean {
    return this.#decoded?.ended ?? false
  }

  /** The state of the file, whatever has become of its name. */
  async look(): Promise<FileStat> {
    return fileStat(await this.#handle.stat({ bigint: true }))
  }

  /**
   * Reads on by at most one chunk, into `buffer`. `path` is what the file is called now; `doubted`: it may hold
   * something else since. Throws what reading throws, and FILE_DAMAGED.
   */
  async step(buffer: Buffer, path: string, doubted: boolean): Promise<Batch | 'end' | 'replaced'> {
    const bytes =
      this.#decoded === undefined
        ? await this.#readPlain(buffer, path, doubted)
        : await this.#readDecoded(this.#decoded, buffer, path)
    if (typeof bytes === 'string') return bytes
    this.#lines.begin(path)
    this.#splitter.push(bytes)
    this.#content.take(bytes, this.#splitter.pending)
    this.#content.skip = this.#splitter.skipping
    return { events: this.#lines.batch, bytes: bytes.length }
  }

  /** Says that a compressed file has all that it will have; the steps that follow read what the decoder still holds. */
  endInput(): void {
    this.#decoded?.end()
  }

  /** The last line, which no newline ends, as nothing more will come. */
  flush(path: string): Batch {
    this.#lines.begin(path)
    this.#splitter.finish()
    this.#content.takeRest()
    return { events: this.#lines.batch, bytes: 0 }
  }

  /** The text of the line that nothing has ended yet. */
  rest(): string {
    return this.#splitter.rest()
  }

  async close(): Promise<void> {
    this.#decoded?.close()
    await this.#handle.close()
  }

  async #readPlain(buffer: Buffer, path: string, doubted: boolean): Promise<Buffer | 'end' | 'replaced'> {
    if (doubted) {
      if (!(await this.#content.hasHead(this.#handle))) return 'replaced'
      this.#content.readAs = path
    }
    // Each read begins with bytes that are known: so a file that was truncated and has grown again is never mixed up.
    const { last, read } = this.#content
    const known = last.length
    // Synchronous: the bytes are mostly in the page cache, and another thread's copy of them would be in the cache of
    // another core. Others get their turn in between.
    await nextTurn()
    const bytesRead = readSync(this.#handle.fd, buffer, 0, known + chunkSize, read - known)
    if (bytesRead < known || buffer.compare(last, 0, known, 0, known) !== 0) return 'replaced'
    return bytesRead === known ? 'end' : buffer.subarray(known, bytesRead)
  }

  async #readDecoded(decoded: DecodedBytes, buffer: Buffer, path: string): Promise<Buffer | 'end' | 'replaced'> {
    for (;;) {
      const piece = await decoded.next(buffer)
      if (piece === 'replaced') return piece
      if (piece === 'end') {
        // Shorter than what was read, it is a copy that was made before, or something else.
        if (decoded.ended) return this.#content.isMissing ? 'replaced' : 'end'
        this.#content.fromEnd = false
        return 'end'
      }
      const rest = this.#content.passOver(piece, path)
      if (rest === 'replaced' || rest.length > 0) return rest
    }
  }
}

/** Puts the offset behind the last newline, so that the line that is being written is read whole. */
async function seekEnd(handle: FileHandle, size: number, content: ReadContent, options: LineOptions): Promise<void> {
  content.fromEnd = false
  const { offset, skip } = await lastLineEnd(handle, size, options.encoding, options.maxLine)
  content.skip = skip
  await content.seek(handle, offset)
}

async function closing<T>(handle: FileHandle, result: T): Promise<T> {
  await handle.close()
  return result
}
