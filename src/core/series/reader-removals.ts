// Removes what was read, when it is safe, and then the tables that are empty.
import type { Json, Position } from '../action.ts'
import { crashPoint } from '../crash-points.ts'
import type { Logger } from '../log.ts'
import type { Insist } from './reader-away.ts'
import type { Part } from './reader-lane.ts'
import { dropKey, type ReaderPosition, removeKey } from './reader-position.ts'
import type { SeriesStore, Taken } from './store.ts'

interface Batch {
  key: string
  taken: Taken[]
  safe: boolean
}

export class Removals {
  readonly #insist: Insist
  readonly #log: Logger
  #next = 0
  /** In the order of sending, which is that of becoming safe. */
  #batches: Batch[] = []
  /** Keys of batches that are removed: their positions can go. */
  #done: string[] = []

  constructor(insist: Insist, log: Logger) {
    this.#insist = insist
    this.#log = log
  }

  /** Removes what an earlier run has sent and was to remove, and drops the tables it has emptied. */
  async finish(store: SeriesStore, { removals, drops }: ReaderPosition): Promise<void> {
    for (const [batch, removal] of removals) {
      this.#next = Math.max(this.#next, batch + 1)
      for (const [name, span] of removal) {
        const table = await this.#insist(() => store.table(name))
        if (table === undefined || 'problem' in table) continue
        crashPoint('before_remove')
        await this.#insist(() => table.removeSpan(span))
        crashPoint('after_remove')
      }
      this.#done.push(removeKey(batch))
    }
    for (const name of drops) {
      const table = await this.#insist(() => store.table(name))
      if (table !== undefined && !('problem' in table)) await this.drop(table)
      else this.#done.push(dropKey(name))
    }
  }

  /** What is to be saved with the rows of a batch. `safe` is to be called when they are. */
  add(parts: readonly Part[]): { position: Position; safe(): void } {
    const key = removeKey(this.#next++)
    const batch: Batch = { key, taken: [], safe: false }
    const removal: Json[] = []
    const position: Position = { [key]: removal }
    for (const { lane, page, start, end } of parts) {
      const taken = page.take(start, end)
      batch.taken.push(taken)
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
      },
    }
  }

  /** Removes what is safe now. */
  async removeSafe(): Promise<void> {
    for (let batch = this.#batches[0]; batch?.safe; batch = this.#batches[0]) {
      for (const taken of batch.taken) {
        crashPoint('before_remove')
        await this.#insist(() => taken.remove())
        crashPoint('after_remove')
      }
      this.#batches.shift()
      this.#done.push(batch.key)
    }
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
