// Makes events of lines: one a line, `{"log": line}`.
import type { Clock } from '../clock.ts'
import { FeedooError } from '../errors.ts'
import { type Event, setOwn } from '../event.ts'
import type { LineSink } from './line-splitter.ts'
import type { TextEncoding } from './text-encoding.ts'

export interface LineOptions {
  tag: string
  /** Field that gets the path of the file. */
  pathKey?: string | undefined
  encoding: TextEncoding
  /** Bytes of the longest line. */
  maxLine: number
  clock: Clock
  deadLetter(event: Event, error: FeedooError): void
}

/** Collects the events of one file. */
export class LineEvents implements LineSink {
  readonly #options: LineOptions
  #path = ''
  #events: Event[] = []
  #timestamp = 0

  constructor(options: LineOptions) {
    this.#options = options
  }

  /** Starts a batch: its events are of this moment, and of the file at `path`. */
  begin(path: string): void {
    this.#path = path
    this.#events = []
    this.#timestamp = this.#options.clock.now()
  }

  /** The events since `begin`. */
  get batch(): Event[] {
    return this.#events
  }

  lines(text: string): void {
    const { tag, pathKey } = this.#options
    const from = this.#events.length
    addEvents(this.#events, text, tag, this.#timestamp)
    if (pathKey === undefined) return
    for (let i = from; i < this.#events.length; i++) setOwn((this.#events[i] as Event).record, pathKey, this.#path)
  }

  tooLong(start: string): void {
    const { tag, pathKey, maxLine, deadLetter } = this.#options
    const record = { log: start }
    if (pathKey !== undefined) setOwn(record, pathKey, this.#path)
    const message = `a line in ${this.#path} is longer than ${maxLine} bytes`
    deadLetter({ tag, timestamp: this.#timestamp, record }, new FeedooError('LINE_TOO_LONG', message))
  }
}

/** The hot loop: nothing is made but the event. `\r` before the newline goes with it. */
function addEvents(events: Event[], text: string, tag: string, timestamp: number): void {
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    const stop = end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end
    events.push({ tag, timestamp, record: { log: text.slice(start, stop) } })
    start = end + 1
  }
}
