// In which order slots were seen: a log of sights, of which a slot's last one counts. Writing it down costs an event less
// than moving its slot to the front of a list, whose neighbours are anywhere in memory.

/** Sights for which there is room at first. */
const firstRoom = 32

export class Sights {
  #slots = new Int32Array(firstRoom)
  #sights = new Float64Array(firstRoom)
  #start = 0
  #end = 0
  /** The number of a slot's last sight. */
  readonly #lastOf: (slot: number) => number

  constructor(lastOf: (slot: number) => number) {
    this.#lastOf = lastOf
  }

  /** Numbers grow from sight to sight. Call it before `lastOf` tells the new number. */
  add(slot: number, sight: number): void {
    if (this.#end > this.#start && this.#slots[this.#end - 1] === slot) {
      this.#sights[this.#end - 1] = sight
      return
    }
    if (this.#end === this.#slots.length) this.#makeRoom()
    this.#slots[this.#end] = slot
    this.#sights[this.#end] = sight
    this.#end++
  }

  /** The slot unseen for longest, or -1. */
  oldest(): number {
    for (; this.#start < this.#end; this.#start++) {
      if (this.#counts(this.#start)) return this.#slots[this.#start] ?? -1
    }
    return -1
  }

  /** The slots seen after a sight, the newest first. */
  after(sight: number): number[] {
    const slots: number[] = []
    for (let i = this.#end - 1; i >= this.#start && (this.#sights[i] ?? 0) > sight; i--) {
      if (this.#counts(i)) slots.push(this.#slots[i] ?? 0)
    }
    return slots
  }

  clear(): void {
    this.#start = 0
    this.#end = 0
  }

  #counts(index: number): boolean {
    return this.#lastOf(this.#slots[index] ?? 0) === this.#sights[index]
  }

  /** Drops what does not count; twice the room if more than half does, so that this is rare. */
  #makeRoom(): void {
    const [slots, sights] = [this.#slots, this.#sights]
    let kept = 0
    for (let i = this.#start; i < this.#end; i++) {
      if (!this.#counts(i)) continue
      slots[kept] = slots[i] ?? 0
      sights[kept] = sights[i] ?? 0
      kept++
    }
    this.#start = 0
    this.#end = kept
    if (kept <= slots.length >> 1) return
    this.#slots = new Int32Array(2 * slots.length)
    this.#slots.set(slots)
    this.#sights = new Float64Array(2 * sights.length)
    this.#sights.set(sights)
  }
}
