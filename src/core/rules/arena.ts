// Rings of doubles, cut from a few large pages: what rules keep by key without an object a key.

/** Doubles in a page. Larger rings have a page of their own. */
export const pageLength = 65_536
export const pageShift = 16
/** No ring begins there. */
export const noRing = 0

/** A ring begins at `ring & (pageLength - 1)` of `pages[ring >>> pageShift]`; its length is a power of two. */
export class Arena {
  /** The first is not used, so that no ring is 0. */
  readonly pages: Float64Array[] = [new Float64Array(0)]
  /** Free rings by power of two. */
  readonly #free: number[][] = []
  /** What is left of the page that small rings are cut from. */
  #next = 0
  #end = 0

  /** A ring of this power of two, with anything in it. */
  take(power: number): number {
    const free = this.#free[power]?.pop()
    if (free !== undefined) return free
    const length = 1 << power
    if (length > pageLength) return this.#newPage(length)
    // Rings are cut from a page in any order of sizes: what is left of one is given to smaller rings.
    while (this.#next + length > this.#end) {
      if (this.#next === this.#end) {
        // The first pages are small: most rules have few keys.
        const pages = Math.min(this.pages.length, pageShift)
        const room = Math.max(length, Math.min(pageLength, 256 << pages))
        this.#next = this.#newPage(room)
        this.#end = this.#next + room
      } else {
        const left = 31 - Math.clz32(this.#end - this.#next)
        this.release(this.#next, left)
        this.#next += 1 << left
      }
    }
    const ring = this.#next
    this.#next += length
    return ring
  }

  release(ring: number, power: number): void {
    let rings = this.#free[power]
    if (rings === undefined) {
      rings = []
      for (let lower = this.#free.length; lower < power; lower++) this.#free.push([])
      this.#free[power] = rings
    }
    rings.push(ring)
  }

  #newPage(length: number): number {
    this.pages.push(new Float64Array(length))
    return (this.pages.length - 1) << pageShift
  }
}
