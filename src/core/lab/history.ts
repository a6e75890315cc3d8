// Reads what was recorded, to play it again: events or records as JSON lines, or the lines of a log; compressed or not.
import { open, stat } from 'node:fs/promises'
import { FeedooError } from '../errors.ts'
import { type Event, type EventRecord, isPlainObject } from '../event.ts'
import { compileField } from '../field.ts'
import { fileReason } from '../file-reason.ts'
import { compressionOf, type Decompressor, decompressor } from '../files/decompress.ts'
import { LineSplitter } from '../files/line-splitter.ts'
import { textEncoding } from '../files/text-encoding.ts'
import { createDateReader } from '../time/parse-date.ts'
import { utc } from '../time/zone.ts'

export interface HistoryOptions {
  /** Of events that do not say their own. */
  tag: string
  /** Field of a record that holds its time, as a dotted path. */
  timeKey: string
  /** Every line is the line of a log, also one that is JSON. */
  raw: boolean
  /** Unix seconds: when lines without a time of their own arrive. Without it, when their file was last changed. */
  now?: number | undefined
}

/** What was seen so far. */
export interface HistoryCounts {
  lines: number
  /** Lines that begin as JSON and are none, or are too long. */
  unreadable: number
  /** `file:line: why`, of the first of them. */
  samples: string[]
  /** Lines without a time of their own. */
  timeless: number
}

/** Bytes read in one go. */
const readSize = 128 * 1024
/** Bytes of the longest line. */
const maxLine = 1024 * 1024
/** Unreadable lines that are shown. */
const maxSamples = 3
const openBrace = 123

export class History {
  readonly counts: HistoryCounts = { lines: 0, unreadable: 0, samples: [], timeless: 0 }
  readonly #options: HistoryOptions
  readonly #time: (record: EventRecord) => number
  #events: Event[] = []
  #path = ''
  #line = 0
  #arrival = 0

  constructor(options: HistoryOptions) {
    this.#options = options
    const field = compileField(options.timeKey)
    const read = createDateReader({ zone: utc, now: () => this.#arrival })
    this.#time = (record) => read(field.get(record))
  }

  /** The events of a file, some thousand at a time. Throws INPUT_UNREADABLE and FILE_DAMAGED, after what could be read. */
  async *read(path: string): AsyncGenerator<Event[]> {
    this.#path = path
    this.#line = 0
    const splitter = this.#splitter()
    for await (const bytes of piecesOf(path, (modified) => {
      this.#arrival = this.#options.now ?? modified
    })) {
      splitter.push(bytes)
      if (this.#events.length > 0) yield this.#take()
    }
    splitter.finish()
    if (this.#events.length > 0) yield this.#take()
  }

  #take(): Event[] {
    const events = this.#events
    this.#events = []
    return events
  }

  #splitter(): LineSplitter {
    const utf8 = textEncoding('utf-8')
    if (utf8 === undefined) throw new Error('there is no UTF-8')
    return new LineSplitter(utf8, maxLine, {
      lines: (text) => this.#lines(text),
      tooLong: () => {
        this.#line++
        this.#unreadable(`longer than ${maxLine} bytes`)
      },
    })
  }

  #lines(text: string): void {
    let start = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      const stop = end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end
      this.#line++
      if (stop > start) {
        if (text.charCodeAt(start) !== openBrace || this.#options.raw) this.#text(text.slice(start, stop))
        else this.#json(text.slice(start, stop))
      }
      start = end + 1
    }
  }

  #text(log: string): void {
    this.counts.lines++
    this.counts.timeless++
    this.#events.push({ tag: this.#options.tag, timestamp: this.#arrival, record: { log } })
  }

  #json(line: string): void {
    const value = parsed(line)
    if (value === undefined) {
      this.#unreadable('this begins as JSON and is none')
      return
    }
    this.counts.lines++
    const { tag, timestamp, record } = value
    if (typeof tag === 'string' && tag !== '' && typeof timestamp === 'number' && isPlainObject(record)) {
      this.#events.push({ tag, timestamp, record })
      return
    }
    const time = this.#time(value)
    if (Number.isNaN(time)) this.counts.timeless++
    this.#events.push({ tag: this.#options.tag, timestamp: Number.isNaN(time) ? this.#arrival : time, record: value })
  }

  #unreadable(why: string): void {
    this.counts.lines++
    if (this.counts.unreadable++ < maxSamples) this.counts.samples.push(`${this.#path}:${this.#line}: ${why}`)
  }
}

function parsed(line: string): EventRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isPlainObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The bytes of a file, decompressed. `opened` is told when it was last changed, in Unix seconds. */
async function* piecesOf(path: string, opened: (modified: number) => void): AsyncGenerator<Buffer> {
  let file: Awaited<ReturnType<typeof open>> | undefined
  const compression = compressionOf(path)
  const decoder = compression === undefined ? undefined : decompressor(compression)
  const buffer = Buffer.allocUnsafe(readSize)
  try {
    opened((await stat(path)).mtimeMs / 1000)
    file = await open(path)
    for (;;) {
      const { bytesRead } = await readFrom(file, buffer)
      if (bytesRead === 0) break
      const bytes = buffer.subarray(0, bytesRead)
      if (decoder === undefined) yield bytes
      else yield* decoded(decoder, bytes)
    }
    if (decoder !== undefined) yield* decoded(decoder, undefined)
  } catch (error) {
    if (error instanceof FeedooError) throw new FeedooError(error.code, `${path}: ${error.message}`, { cause: error })
    throw new FeedooError('INPUT_UNREADABLE', `${path}: ${fileReason(error)}`, { cause: error })
  } finally {
    decoder?.close()
    await file?.close()
  }
}

function readFrom(file: Awaited<ReturnType<typeof open>>, buffer: Buffer): Promise<{ bytesRead: number }> {
  return file.read(buffer, 0, buffer.length)
}

/** What the next bytes of the file, or its end, give. */
async function* decoded(decoder: Decompressor, bytes: Buffer | undefined): AsyncGenerator<Buffer> {
  if (bytes === undefined) decoder.end()
  else decoder.feed(bytes)
  for (let piece = await decoder.next(); piece !== undefined; piece = await decoder.next()) yield piece
}
