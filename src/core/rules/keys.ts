// The keys a rule knows: a slot number for each, columns of numbers by slot, and which key was unseen for longest.
import { copyText, type Key } from './identity.ts'

/** A number a slot, in an array that is replaced when it grows: read `data` anew each time. */
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
  /** Which slots were seen just before and just after each: a list from the newest to the oldest. */
  readonly #newer = this.int32(none)
  readonly #older = this.int32(none)
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
  float64(empty: number): Column<Float64Array> {
    return this.#column((capacity) => new Float64Array(capacity), empty)
  }

  /** A column of 32-bit integers; `empty` is what a new key has. */
  int32(empty: number): Column<Int32Array> {
    return this.#column((capacity) => new Int32Array(capacity), empty)
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
    return this.#older.data[slot] ?? none
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
    const before = this.#newest
    this.#newer.data[slot] = none
    this.#older.data[slot] = before
    if (before === none) this.#oldest = slot
    else this.#newer.data[before] = slot
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const newer = this.#newer.data[slot] ?? none
    const older = this.#older.data[slot] ?? none
    if (newer === none) this.#newest = older
    else this.#older.data[newer] = older
    if (older === none) this.#oldest = newer
    else this.#newer.data[older] = newer
  }

  #enlarge(): void {
    this.#capacity *= 2
    for (const grow of this.#grow) grow(this.#capacity)
  }

  #column<Data extends Float64Array | Int32Array>(make: (capacity: number) => Data, empty: number): Column<Data> {
    const column: Column<Data> = { data: make(this.#capacity).fill(empty) as Data }
    this.#grow.push((capacity) => {
      const { data } = column
      column.data = make(capacity)
      column.data.set(data)
    })
    this.#clear.push((slot) => {
      column.data[slot] = empty
    })
    return column
  }
}
