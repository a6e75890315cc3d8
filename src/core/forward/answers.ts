// The acknowledgements that a connection owes, in the order of the requests, each in a write of its own.

/** One acknowledgement; it goes out when it is ready and those before it are out. */
export interface Answer {
  /** Of the acknowledgement. */
  readonly size: number
  ready(): void
}

type Write = (bytes: Buffer, done: () => void) => void

export class Answers {
  /** The first is the next to be written, or is being written. */
  #owed: Owed[] = []
  readonly #write: Write
  readonly #onWritten: () => void
  #writing = false

  /** `write` calls `done` when the bytes are out: not before that comes the next. `onWritten` follows each. */
  constructor(write: Write, onWritten: () => void) {
    this.#write = write
    this.#onWritten = onWritten
  }

  get length(): number {
    return this.#owed.length
  }

  /** True while the peer has to read before anything more can be written. */
  get isWriting(): boolean {
    return this.#writing
  }

  add(bytes: Buffer): Answer {
    const owed = new Owed(this, bytes)
    this.#owed.push(owed)
    return owed
  }

  /** Owes nothing any more. Whoever still holds an answer, until its events are safe, holds nothing else by it. */
  drop(): void {
    for (const owed of this.#owed) owed.drop()
    this.#owed = []
  }

  /** Writes the next, if it is ready. */
  next(): void {
    const bytes = this.#owed[0]?.bytesIfReady()
    if (this.#writing || bytes === undefined) return
    this.#writing = true
    // Clients read once for each acknowledgement: two in one write would be one too few.
    this.#write(bytes, () => {
      this.#writing = false
      this.#owed.shift()
      this.next()
      this.#onWritten()
    })
  }
}

class Owed implements Answer {
  #answers: Answers | undefined
  #bytes: Buffer
  #isReady = false

  constructor(answers: Answers, bytes: Buffer) {
    this.#answers = answers
    this.#bytes = bytes
  }

  get size(): number {
    return this.#bytes.length
  }

  ready(): void {
    this.#isReady = true
    this.#answers?.next()
  }

  drop(): void {
    this.#answers = undefined
    this.#bytes = empty
  }

  bytesIfReady(): Buffer | undefined {
    return this.#isReady ? this.#bytes : undefined
  }
}

const empty = Buffer.alloc(0)
