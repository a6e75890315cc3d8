// The acknowledgements that a connection owes, in the order of the requests, each in a write of its own.

/** One acknowledgement; it goes out when it is ready and those before it are out. */
export interface Answer {
  ready(): void
}

interface Owed {
  bytes: Buffer
  isReady: boolean
}

export class Answers {
  /** The first is the next to be written, or is being written. */
  readonly #owed: Owed[] = []
  readonly #write: (bytes: Buffer, done: () => void) => void
  readonly #onWritten: () => void
  #writing = false

  /** `write` calls `done` when the bytes are out: not before that comes the next. `onWritten` follows each. */
  constructor(write: (bytes: Buffer, done: () => void) => void, onWritten: () => void) {
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
    const owed: Owed = { bytes, isReady: false }
    this.#owed.push(owed)
    return {
      ready: () => {
        owed.isReady = true
        this.#next()
      },
    }
  }

  #next(): void {
    const [first] = this.#owed
    if (this.#writing || first === undefined || !first.isReady) return
    this.#writing = true
    // Clients read once for each acknowledgement: two in one write would be one too few.
    this.#write(first.bytes, () => {
      this.#writing = false
      this.#owed.shift()
      this.#next()
      this.#onWritten()
    })
  }
}
