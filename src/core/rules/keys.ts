// The keys a rule knows: a slot number for each, columns of numbers by slot, and which key was unseen for longest.
import { copyText, type Key } from './identity.ts'
import { Sights } from './sights.ts'

/**
 * One number a slot (or some, side by side, for a `width` above 1), in an array that is replaced when it grows: read `data`
 * anew each time.
 */
export interface Column<Data extends Float64Array | Int32Array> {
  data: Data
}

/**
 * What every event needs of a slot, in 64 bytes, which the processor fetches in one go: rows of 8 doubles, or 16 integers in
 * the same place. The first double is the table's own; the others are for one user, and 0 for a new key. The arrays are
 * replaced when they grow: read them anew each time.
 */
export interface Rows {
  doubles: Float64Array
  ints: Int32Array
}

export const rowDoubles = 8
export const rowInts = 16

/** Place in a row: a number that grows with each sight; 0 for a free slot. */
const sightAt = 0

export interface KeyTableOptions {
  /** Keys at most; beyond them the key longest unseen is forgotten. */
  maxKeys: number
  /** A key is about to be forgotten: its slot, whose columns are still there. */
  forget?(slot: number): void
  /** Keys come and go: +1, -1. */
  count?(by: number): void
  /** A key was forgotten because there were too many. */
  overflow?(): void
}

/** No slot. */
export const none = -1

export class KeyTable {
  readonly #options: KeyTableOptions
  readonly #slots = new Map<Key, number>()
  readonly #keys: (Key | undefined)[] = []
  readonly #free: number[] = []
  readonly #grow: ((capacity: number) => void)[] = []
  readonly #clear: ((slot: number) => void)[] = []
  #capacity = 16
  readonly rows: Rows = makeRows(this.#capacity)
  /** Saved with each key, so that the order outlives a restart. */
  #sights = 0
  readonly #order = new Sights((slot) => this.sightAt(slot))

  constructor(options: KeyTableOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#slots.size
  }

  /** Slot numbers are below this. */
  get slots(): number {
    return this.#keys.length
  }

  /** The number of the last sight. */
  get sights(): number {
    return this.#sights
  }

  /** A column of doubles; `empty` is what a new key has. */
  float64(empty: number, width = 1): Column<Float64Array> {
    return this.#column((length) => new Float64Array(length), empty, width)
  }

  /** A column of 32-bit integers; `empty` is what a new key has. */
  int32(empty: number, width = 1): Column<Int32Array> {
    return this.#column((length) => new Int32Array(length), empty, width)
  }

  /** Calls back for each new key, with its slot. */
  whenNew(start: (slot: number) => void): void {
    this.#clear.push(start)
  }

  /** The slot of a key, or `none`. It is not seen by that. */
  find(key: Key): number {
    return this.#slots.get(key) ?? none
  }

  /** The slot of a key, which is now the newest; a new one for a new key. */
  see(key: Key): number {
    let slot = this.#slots.get(key)
    if (slot === undefined) slot = this.#add(key)
    const sight = ++this.#sights
    this.#order.add(slot, sight)
    this.rows.doubles[rowDoubles * slot + sightAt] = sight
    return slot
  }

  keyAt(slot: number): Key {
    return this.#keys[slot] ?? null
  }

  sightAt(slot: number): number {
    return this.rows.doubles[rowDoubles * slot + sightAt] ?? 0
  }

  /** The slots seen after a sight, the newest first. */
  seenAfter(sight: number): number[] {
    return this.#order.after(sight)
  }

  delete(slot: number): void {
    this.#options.forget?.(slot)
    this.#slots.delete(this.keyAt(slot))
    this.#keys[slot] = undefined
    this.rows.doubles[rowDoubles * slot + sightAt] = 0
    this.#free.push(slot)
    this.#options.count?.(-1)
  }

  /** Puts back a key as it was saved. After the last one comes `restored`. */
  restore(key: Key, sight: number): number {
    const slot = this.#take(key)
    this.rows.doubles[rowDoubles * slot + sightAt] = sight
    this.#sights = Math.max(this.#sights, sight)
    return slot
  }

  /** Puts the keys in the order in which they were seen; forgets those that are too many now. */
  restored(): void {
    const order = Int32Array.from(this.#slots.values()).sort((a, b) => this.sightAt(a) - this.sightAt(b))
    this.#order.clear()
    for (const slot of order) this.#order.add(slot, this.sightAt(slot))
    while (this.#slots.size > this.#options.maxKeys) this.#forgetOldest()
  }

  #add(key: Key): number {
    if (this.#slots.size >= this.#options.maxKeys) this.#forgetOldest()
    // What is looked up may be a slice of a long text, which it would keep in memory.
    return this.#take(typeof key === 'string' ? copyText(key) : key)
  }

  #take(key: Key): number {
    const slot = this.#free.pop() ?? this.#keys.length
    if (slot === this.#capacity) this.#enlarge()
    this.#keys[slot] = key
    this.#slots.set(key, slot)
    this.rows.doubles.fill(0, rowDoubles * slot, rowDoubles * (slot + 1))
    for (const clear of this.#clear) clear(slot)
    this.#options.count?.(1)
    return slot
  }

  #forgetOldest(): void {
    this.#options.overflow?.()
    this.delete(this.#order.oldest())
  }

  #enlarge(): void {
    this.#capacity *= 2
    const { doubles } = this.rows
    Object.assign(this.rows, makeRows(this.#capacity))
    this.rows.doubles.set(doubles)
    for (const grow of this.#grow) grow(this.#capacity)
  }

  #column<Data extends Float64Array | Int32Array>(
    make: (length: number) => Data,
    empty: number,
    width: number,
  ): Column<Data> {
    const column: Column<Data> = { data: make(this.#capacity * width) }
    this.#grow.push((capacity) => {
      const { data } = column
      column.data = make(capacity * width)
      column.data.set(data)
    })
    this.#clear.push((slot) => {
      column.data.fill(empty, slot * width, (slot + 1) * width)
    })
    return column
  }
}

function makeRows(slots: number): Rows {
  const doubles = new Float64Array(rowDoubles * slots)
  return { doubles, ints: new Int32Array(doubles.buffer) }
}
