// The keys a rule knows: a slot number for each, columns of numbers by slot, and which key was unseen for longest.
import { copyText, type Key } from './identity.ts'

/**
 * One number a slot (or some, side by side, for a `width` above 1), in an array that is replaced when it grows: read `data`
 * anew each time.
 */
export interface Column<Data extends Float64Array | Int32Array> {
  data: Data
}

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
  /** Two numbers a slot: which was seen just after it, and which just before. A list from the newest to the oldest. */
  readonly #links = this.int32(none, 2)
  /** A number that grows with each sight: 0 for a free slot. Saved, so that the order outlives a restart. */
  readonly #sight = this.float64(0)
  #sights = 0
  #newest = none
  #oldest = none

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

  /** The slot of a key, or `none`. It is not seen by that. */
  find(key: Key): number {
    return this.#slots.get(key) ?? none
  }

  /** The slot of a key, which is now the newest; a new one for a new key. */
  see(key: Key): number {
    let slot = this.#slots.get(key)
    if (slot === undefined) slot = this.#add(key)
    else if (slot !== this.#newest) this.#toFront(slot)
    this.#sight.data[slot] = ++this.#sights
    return slot
  }

  keyAt(slot: number): Key {
    return this.#keys[slot] ?? null
  }

  sightAt(slot: number): number {
    return this.#sight.data[slot] ?? 0
  }

  /** The slot seen last, or `none`. */
  get newest(): number {
    return this.#newest
  }

  /** The slot seen last before this one was, or `none`. */
  olderThan(slot: number): number {
    return this.#links.data[2 * slot + 1] ?? none
  }

  delete(slot: number): void {
    this.#options.forget?.(slot)
    this.#slots.delete(this.keyAt(slot))
    this.#unlink(slot)
    this.#keys[slot] = undefined
    this.#sight.data[slot] = 0
    this.#free.push(slot)
    this.#options.count?.(-1)
  }

  /** Puts back a key as it was saved. After the last one comes `restored`. */
  restore(key: Key, sight: number): number {
    const slot = this.#take(key)
    this.#sight.data[slot] = sight
    this.#sights = Math.max(this.#sights, sight)
    return slot
  }

  /** Puts the keys in the order in which they were seen; forgets those that are too many now. */
  restored(): void {
    const sight = this.#sight.data
    const order = Int32Array.from(this.#slots.values()).sort((a, b) => (sight[a] ?? 0) - (sight[b] ?? 0))
    this.#newest = none
    this.#oldest = none
    for (const slot of order) this.#link(slot)
    while (this.#slots.size > this.#options.maxKeys) this.#forgetOldest()
  }

  #add(key: Key): number {
    if (this.#slots.size >= this.#options.maxKeys) this.#forgetOldest()
    // What is looked up may be a slice of a long text, which it would keep in memory.
    const slot = this.#take(typeof key === 'string' ? copyText(key) : key)
    this.#link(slot)
    return slot
  }

  #take(key: Key): number {
    const slot = this.#free.pop() ?? this.#keys.length
    if (slot === this.#capacity) this.#enlarge()
    this.#keys[slot] = key
    this.#slots.set(key, slot)
    for (const clear of this.#clear) clear(slot)
    this.#options.count?.(1)
    return slot
  }

  #forgetOldest(): void {
    this.#options.overflow?.()
    this.delete(this.#oldest)
  }

  #toFront(slot: number): void {
    this.#unlink(slot)
    this.#link(slot)
  }

  /** As the newest. */
  #link(slot: number): void {
    const links = this.#links.data
    const before = this.#newest
    links[2 * slot] = none
    links[2 * slot + 1] = before
    if (before === none) this.#oldest = slot
    else links[2 * before] = slot
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const links = this.#links.data
    const newer = links[2 * slot] ?? none
    const older = links[2 * slot + 1] ?? none
    if (newer === none) this.#newest = older
    else links[2 * newer + 1] = older
    if (older === none) this.#oldest = newer
    else links[2 * older] = newer
  }

  #enlarge(): void {
    this.#capacity *= 2
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
