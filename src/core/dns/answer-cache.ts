// What the lists have said of each address, for a while.
import { savedMap, savedNumber } from '../rules/journal.ts'
import { type Column, none } from '../rules/keys.ts'
import type { RuleTable } from '../rules/table.ts'

/** What a list says of an address; undefined when it has not answered. */
export type Answer = boolean | undefined

export interface AnswerCacheOptions {
  /** The lists, in the order of the answers. */
  domains: readonly string[]
  /** Seconds that answers are good for, from the first one about the address. */
  timeout: number
}

/** Lists whose answers fit into one 32-bit number, two bits each. */
const perColumn = 16
const unknown = 0
const clear = 1
const listed = 2

export class AnswerCache {
  readonly #domains: readonly string[]
  readonly #timeout: number
  readonly #table: RuleTable
  /** When the first list answered, in Unix seconds. */
  readonly #since: Column<Float64Array>
  readonly #answers: readonly Column<Int32Array>[]

  /** The addresses are the keys of `table`: when there are too many, the one asked for longest ago is forgotten. */
  constructor(table: RuleTable, { domains, timeout }: AnswerCacheOptions) {
    this.#domains = domains
    this.#timeout = timeout
    this.#table = table
    const { keys } = table
    this.#since = keys.float64(Number.NEGATIVE_INFINITY)
    this.#answers = Array.from({ length: Math.ceil(domains.length / perColumn) }, () => keys.int32(0))
    table.remember({
      write: (slot, writer) => {
        const since = this.#since.data[slot]
        writer.value({ since, listed: this.#named(slot, listed), clear: this.#named(slot, clear) })
      },
      read: (slot, value) => this.#read(slot, value),
    })
  }

  /** The answers that are still good, in the order of the lists. */
  get(address: string, now: number): Answer[] {
    const slot = this.#table.keys.find(address)
    const fresh = slot !== none && this.#isFresh(slot, now)
    return this.#domains.map((_, list) => {
      const code = fresh ? this.#code(slot, list) : unknown
      return code === unknown ? undefined : code === listed
    })
  }

  /** Keeps what one list has said. */
  set(address: string, list: number, answer: boolean, now: number): void {
    let slot = this.#table.keys.find(address)
    if (slot === none || !this.#isFresh(slot, now)) {
      slot = this.#table.keys.see(address)
      this.#since.data[slot] = now
      for (const column of this.#answers) column.data[slot] = 0
    }
    this.#setCode(slot, list, answer ? listed : clear)
    this.#table.touch(slot)
  }

  /** Not when it was asked for in what is now the future: the clock was set back. */
  #isFresh(slot: number, now: number): boolean {
    const age = now - (this.#since.data[slot] ?? Number.NEGATIVE_INFINITY)
    return age >= 0 && age < this.#timeout
  }

  #code(slot: number, list: number): number {
    const bits = this.#answers[Math.floor(list / perColumn)]?.data[slot] ?? 0
    return (bits >>> (2 * (list % perColumn))) & 3
  }

  #setCode(slot: number, list: number, code: number): void {
    const data = this.#answers[Math.floor(list / perColumn)]?.data
    if (data === undefined) return
    const shift = 2 * (list % perColumn)
    data[slot] = ((data[slot] ?? 0) & ~(3 << shift)) | (code << shift)
  }

  #named(slot: number, code: number): string[] {
    return this.#domains.filter((_, list) => this.#code(slot, list) === code)
  }

  /** By the names of the lists: what was said by one that is no longer asked is dropped. */
  #read(slot: number, value: unknown): void {
    const saved = savedMap(value)
    this.#since.data[slot] = savedNumber(saved.since)
    for (const [names, code] of [
      [saved.listed, listed],
      [saved.clear, clear],
    ] as const) {
      if (!Array.isArray(names)) throw new Error('what was saved of an address cannot be read')
      this.#domains.forEach((domain, list) => {
        if (names.includes(domain)) this.#setCode(slot, list, code)
      })
    }
  }
}
