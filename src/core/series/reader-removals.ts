// Removes what was read, when it is safe, and then the tables that are empty.
import type { Json, Position } from '../action.ts'
import type { Clock } from '../clock.ts'
import { crashPoint } from '../crash-points.ts'
import type { Logger } from '../log.ts'
import type { Insist } from './reader-away.ts'
import type { Part } from './reader-lane.ts'
import { dropKey, type ReaderPosition, type Removal, removeKey } from './reader-position.ts'
import type { SeriesStore, Taken } from './store.ts'

/** Seconds that safe rows wait for more of them: few rows cost as much as many. */
const longestWait = 0.1

interface Batch {
  key: string
  taken: Taken[]
  rows: number
  safe: boolean
}

export interface RemovalsOptions {
  store: SeriesStore
  insist: Insist
  clock: Clock
  log: Logger
  /** Rows removed in one go, about: nothing else is done meanwhile, and nobody else can write. */
  rowsOfAGo: number
}

export class Removals {
  readonly #store: SeriesStore
  readonly #insist: Insist
  readonly #clock: Clock
  readonly #log: Logger
  /** Rows removed in one go, about. */
  readonly #enough: number
  #next = 0
  /** In the order of sending, which is that of becoming safe. */
  #batches: Batch[] = []
  /** Rows that are safe and not removed, and since when there are any. */
  #safeRows = 0
  #safeSince = 0
  /** Keys of batches that are removed: their positions can go. */
  #done: string[] = []

  constructor({ store, insist, clock, log, rowsOfAGo }: RemovalsOptions) {
    this.#store = store
    this.#insist = insist
    this.#clock = clock
    this.#log = log
    this.#enough = store.removeAll === undefined ? 1 : rowsOfAGo
  }

  /** Removes what an earlier run has sent and was to remove, and drops the tables it has emptied. */
  async finish({ removals, drops }: ReaderPosition): Promise<void> {
    for (const [batch, removal] of removals) {
      this.#next = Math.max(this.#next, batch + 1)
      await this.#finishBatch(removal)
      this.#done.push(removeKey(batch))
    }
    for (const name of drops) {
      const table = await this.#insist(() => this.#store.table(name))
      if (table !== undefined && !('problem' in table)) await this.drop(table)
      else this.#done.push(dropKey(name))
    }
  }

  /** What is to be saved with the rows of a batch. `safe` is to be called when they are. */
  add(parts: readonly Part[]): { position: Position; safe(): void } {
    const key = removeKey(this.#next++)
    const batch: Batch = { key, taken: [], rows: 0, safe: false }
    const removal: Json[] = []
    const position: Position = { [key]: removal }
    for (const { lane, page, start, end } of parts) {
      const taken = page.take(start, end)
      batch.taken.push(taken)
      batch.rows += end - start
      removal.push([lane.name, taken.span])
      // Until it is known whether the table is empty then.
      if (!lane.sent) position[dropKey(lane.name)] = true
      lane.sent = true
    }
    this.#batches.push(batch)
    return {
      position,
      safe: () => {
        batch.safe = true
        if (this.#safeRows === 0) this.#safeSince = this.#clock.now()
        this.#safeRows += batch.rows
      },
    }
  }

  /** Removes what is safe now, if it is enough to be worth it, or has waited long enough for more. */
  async removeEnough(): Promise<void> {
    if (this.#safeRows === 0) return
    if (this.#safeRows >= this.#enough || this.#clock.now() - this.#safeSince >= longestWait) await this.removeSafe()
  }

  /** Removes what is safe now. */
  async removeSafe(): Promise<void> {
    for (let batches = this.#nextGo(); batches.length > 0; batches = this.#nextGo()) {
      await this.#remove(batches.flatMap(({ taken }) => taken))
      this.#batches.splice(0, batches.length)
      for (const { key, rows } of batches) {
        this.#safeRows -= rows
        this.#done.push(key)
      }
    }
  }

  /** The first batches that are safe, up to the one with which they are enough. */
  #nextGo(): readonly Batch[] {
    const go: Batch[] = []
    let rows = 0
    for (const batch of this.#batches) {
      if (!batch.safe || rows >= this.#enough) break
      go.push(batch)
      rows += batch.rows
    }
    return go
  }

  async #finishBatch(removal: Removal): Promise<void> {
    const { removeSpans } = this.#store
    if (removeSpans !== undefined) return this.#goBy(() => removeSpans(removal))
    for (const [name, span] of removal) {
      const table = await this.#insist(() => this.#store.table(name))
      if (table !== undefined && !('problem' in table)) await this.#goBy(() => table.removeSpan(span))
    }
  }

  async #remove(all: readonly Taken[]): Promise<void> {
    const { removeAll } = this.#store
    if (removeAll === undefined) {
      for (const taken of all) await this.#goBy(() => taken.remove())
    } else {
      await this.#goBy(() => removeAll(all))
    }
  }

  async #goBy(remove: () => Promise<void>): Promise<void> {
    crashPoint('before_remove')
    await this.#insist(remove)
    crashPoint('after_remove')
  }

  /** Positions that are no longer needed, to be saved soon: each is given once. */
  takeDone(): Position {
    const position: Position = {}
    for (const key of this.#done) position[key] = null
    this.#done = []
    return position
  }

  /** True when the table was empty, and is gone. */
  async drop(table: { name: string; dropIfEmpty(): Promise<boolean> }): Promise<boolean> {
    crashPoint('before_drop')
    const dropped = await this.#insist(() => table.dropIfEmpty())
    this.#done.push(dropKey(table.name))
    if (!dropped) return false
    crashPoint('after_drop')
    this.#log.debug({ table: table.name }, 'dropped the empty table')
    return true
  }
}
