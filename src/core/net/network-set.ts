// Which networks of a list an address lies in, in a few steps however long the list is.
import { type Network, parseAddress } from './address.ts'

export interface NetworkSet {
  /** Numbers of the networks that hold the address, the narrowest first; nothing for a text that is no address. */
  find(text: string): readonly number[]
  has(text: string): boolean
  /** How many there are, each counted once. */
  readonly size: number
}

/** What is done between two steps: networks; about a millisecond. */
const stepWork = 4000
/** Networks that are sorted in one go. */
const runLength = 1024
const nothing: readonly number[] = Object.freeze([])

/**
 * Builds the set in steps. A network that comes twice has its first number. `add` takes the networks; after the last one
 * comes `build`.
 */
export class NetworkSetBuilder {
  readonly #v4 = new Family(1)
  readonly #v6 = new Family(4)

  add(network: Network, number: number): void {
    const family = network.family === 4 ? this.#v4 : this.#v6
    family.add(network, number)
  }

  *build(): Generator<void, NetworkSet> {
    const v4 = yield* this.#v4.build()
    const v6 = yield* this.#v6.build()
    const words = new Uint32Array(4)
    const innermost = (text: string): { table: Table; at: number } | undefined => {
      const family = parseAddress(text, words)
      if (family === 0) return undefined
      const table = family === 4 ? v4 : v6
      return { table, at: narrowest(table, words) }
    }
    return {
      size: v4.numbers.length + v6.numbers.length,
      has: (text) => (innermost(text)?.at ?? -1) >= 0,
      find(text) {
        const found = innermost(text)
        if (found === undefined || found.at < 0) return nothing
        const { table } = found
        const numbers: number[] = []
        for (let at = found.at; at >= 0; at = table.parents[at] ?? -1) numbers.push(table.numbers[at] ?? 0)
        return numbers
      },
    }
  }
}

/** Networks of one family, sorted by their first address, the wider before the narrower. */
interface Table {
  /** Words of an address: 1 or 4. */
  width: number
  starts: Uint32Array
  prefixes: Uint8Array
  numbers: Int32Array
  /** The narrowest network around each, or -1. Two networks never overlap but by one lying in the other. */
  parents: Int32Array
}

/** The narrowest network that holds the address, or -1. */
function narrowest(table: Table, words: Uint32Array): number {
  let low = 0
  let high = table.numbers.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareWords(table.starts, middle * table.width, words, 0, table.width) <= 0) low = middle + 1
    else high = middle
  }
  // All that hold it begin before it, and so are this one or lie around it.
  let at = low - 1
  while (at >= 0 && !holds(table, at, words)) at = table.parents[at] ?? -1
  return at
}

function holds({ width, starts, prefixes }: Table, at: number, words: Uint32Array): boolean {
  let bits = prefixes[at] ?? 0
  for (let i = 0; bits > 0; i++, bits -= 32) {
    const differing = (starts[at * width + i] ?? 0) ^ (words[i] ?? 0)
    if ((bits >= 32 ? differing : differing >>> (32 - bits)) !== 0) return false
  }
  return true
}

function compareWords(a: Uint32Array, atA: number, b: Uint32Array, atB: number, width: number): number {
  for (let i = 0; i < width; i++) {
    const one = a[atA + i] ?? 0
    const other = b[atB + i] ?? 0
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}

class Family {
  readonly #width: number
  readonly #words: number[] = []
  readonly #prefixes: number[] = []
  readonly #numbers: number[] = []

  constructor(width: number) {
    this.#width = width
  }

  add({ words, prefix }: Network, number: number): void {
    for (const word of words) this.#words.push(word)
    this.#prefixes.push(prefix)
    this.#numbers.push(number)
  }

  *build(): Generator<void, Table> {
    const width = this.#width
    const words = new Uint32Array(this.#words)
    yield
    const prefixes = new Uint8Array(this.#prefixes)
    const compare = (a: number, b: number): number =>
      compareWords(words, a * width, words, b * width, width) || (prefixes[a] ?? 0) - (prefixes[b] ?? 0) || a - b
    const order = yield* sort(prefixes.length, compare)
    return yield* this.#table(order, words, prefixes)
  }

  *#table(order: Int32Array, words: Uint32Array, prefixes: Uint8Array): Generator<void, Table> {
    const width = this.#width
    const count = order.length
    const table: Table = {
      width,
      starts: new Uint32Array(count * width),
      prefixes: new Uint8Array(count),
      numbers: new Int32Array(count),
      parents: new Int32Array(count),
    }
    const start = new Uint32Array(width)
    let size = 0
    for (let i = 0; i < count; i++) {
      if (i % stepWork === stepWork - 1) yield
      const from = order[i] ?? 0
      const prefix = prefixes[from] ?? 0
      start.set(words.subarray(from * width, (from + 1) * width))
      const last = size - 1
      if (last >= 0 && table.prefixes[last] === prefix) {
        if (compareWords(table.starts, last * width, start, 0, width) === 0) continue
      }
      // Those that do not hold where this one begins hold nothing of what comes after it.
      let parent = last
      while (parent >= 0 && !holds(table, parent, start)) parent = table.parents[parent] ?? -1
      table.starts.set(start, size * width)
      table.prefixes[size] = prefix
      table.numbers[size] = this.#numbers[from] ?? 0
      table.parents[size++] = parent
    }
    return {
      width,
      starts: table.starts.slice(0, size * width),
      prefixes: table.prefixes.slice(0, size),
      numbers: table.numbers.slice(0, size),
      parents: table.parents.slice(0, size),
    }
  }
}

/** Numbers from 0 in order: short runs, then merged in pairs, for sorting all in one go would hold up the stream. */
function* sort(count: number, compare: (a: number, b: number) => number): Generator<void, Int32Array> {
  let order = new Int32Array(count).map((_, index) => index)
  let other = new Int32Array(count)
  for (let from = 0; from < count; from += runLength) {
    order.subarray(from, from + runLength).sort(compare)
    yield
  }
  for (let length = runLength; length < count; length *= 2) {
    for (let from = 0, at = 0; from < count; from += 2 * length) {
      const middle = Math.min(from + length, count)
      const end = Math.min(middle + length, count)
      let left = from
      let right = middle
      while (at < end) {
        const takesLeft = left < middle && (right >= end || compare(order[left] ?? 0, order[right] ?? 0) <= 0)
        other[at++] = (takesLeft ? order[left++] : order[right++]) ?? 0
        if (at % stepWork === 0) yield
      }
    }
    const merged = other
    other = order
    order = merged
  }
  return order
}
