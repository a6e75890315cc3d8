// In which order slots were seen: a log of sights, of which a slot's last one counts. Writing it down costs an event less
// than moving its slot to the front of a list, whose neighbours are anywhere in memory.

/** Sights for which there is room at first. */
const firstRoom = 32
/** Sights between two steps of tidying, a power of two; a loop of some length is quicker than as many single looks. */
const stepEvery = 32
/** Sights looked at in a step: so many that the log is tidy before there is no room left. */
const stepLength = 80

/*
 * While it is tidied, the log is in two parts: the sights from #first to #written, which counted when they were looked at, and
 * those from #next to #end. Sights of the second part go to the end of the first one, or are dropped, until none is left there.
 * That is done in small steps: with a million keys, all at once would stop the stream for a tenth of a second.
 * Else there is only the second part.
 */
export class Sights {
  #slots = new Int32Array(firstRoom)
  #sights = new Float64Array(firstRoom)
  #first = 0
  #written = 0
  #next = 0
  #end = 0
  #isTidied = false
  /** The number of a slot's last sight. */
  readonly #lastOf: (slot: number) => number

  constructor(lastOf: (slot: number) => number) {
    this.#lastOf = lastOf
  }

  /** Numbers grow from sight to sight. Call it before `lastOf` tells the new number. */
  add(slot: number, sight: number): void {
    if (this.#end > this.#next && this.#slots[this.#end - 1] === slot) {
      this.#sights[this.#end - 1] = sight
      return
    }
    if ((this.#end & (stepEvery - 1)) === 0) {
      if (this.#isTidied) this.#tidy()
      else if (this.#end > this.#slots.length >> 1) this.#isTidied = true
    }
    if (this.#end === this.#slots.length) this.#makeRoom()
    this.#slots[this.#end] = slot
    this.#sights[this.#end] = sight
    this.#end++
  }

  /** The slot unseen for longest, or -1. */
  oldest(): number {
    for (; this.#first < this.#written; this.#first++) {
      if (this.#counts(this.#first)) return this.#slots[this.#first] ?? -1
    }
    for (; this.#next < this.#end; this.#next++) {
      if (this.#counts(this.#next)) return this.#slots[this.#next] ?? -1
    }
    return -1
  }

  /** The slots seen after a sight, the newest first. */
  after(sight: number): number[] {
    const slots: number[] = []
    this.#collect(slots, sight, this.#next, this.#end)
    this.#collect(slots, sight, this.#first, this.#written)
    return slots
  }

  clear(): void {
    this.#first = 0
    this.#written = 0
    this.#next = 0
    this.#end = 0
    this.#isTidied = false
  }

  #collect(slots: number[], sight: number, from: number, to: number): void {
    for (let i = to - 1; i >= from && (this.#sights[i] ?? 0) > sight; i--) {
      if (this.#counts(i)) slots.push(this.#slots[i] ?? 0)
    }
  }

  #counts(index: number): boolean {
    return this.#lastOf(this.#slots[index] ?? 0) === this.#sights[index]
  }

  #tidy(): void {
    const end = Math.min(this.#end, this.#next + stepLength)
    for (; this.#next < end; this.#next++) {
      if (!this.#counts(this.#next)) continue
      this.#slots[this.#written] = this.#slots[this.#next] ?? 0
      this.#sights[this.#written] = this.#sights[this.#next] ?? 0
      this.#written++
    }
    if (this.#next < this.#end) return
    this.#next = this.#first
    this.#end = this.#written
    this.#first = 0
    this.#written = 0
    this.#isTidied = false
    // So that it is again as long until the next time.
    if (this.#end > this.#slots.length >> 2) this.#makeRoom()
  }

  #makeRoom(): void {
    const [slots, sights] = [this.#slots, this.#sights]
    this.#slots = new Int32Array(2 * slots.length)
    this.#slots.set(slots)
    this.#sights = new Float64Array(2 * sights.length)
    this.#sights.set(sights)
  }
}
