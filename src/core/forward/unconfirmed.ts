// Chunks of one connection whose id is a hash of their content, until its peer is known to have the acknowledgements.
import { type ChunkKey, isContentHash } from './chunk-window.ts'
import type { Intake } from './intake.ts'

/** Chunks that are noted, at most. */
const maxNoted = 1000

export class Unconfirmed {
  readonly #intake: Intake
  #keys: ChunkKey[] = []

  constructor(intake: Intake) {
    this.#intake = intake
  }

  /** A chunk was taken in under this key. */
  add(key: ChunkKey | undefined, chunk: Buffer | undefined): void {
    const isToForget = key !== undefined && chunk !== undefined && isContentHash(chunk)
    if (isToForget && this.#keys.length < maxNoted) this.#keys.push(key)
  }

  /** The peer has all acknowledgements: with the same id, the same content may come again as a chunk of its own. */
  confirm(): void {
    if (this.#keys.length === 0) return
    this.#intake.forget(this.#keys)
    this.#keys = []
  }
}
