// The ids of the chunks that were taken last, so that a chunk that is sent again is not taken again.
import { createHash } from 'node:crypto'
import type { Json, Position } from '../action.ts'

/** A chunk by its sender, tag and id: of one length, however long they are. */
export type ChunkKey = string

/** Neither `sender` nor `tag` holds a newline: the three cannot be mistaken for another three. */
export function chunkKey(sender: string, tag: string, id: Buffer): ChunkKey {
  return createHash('sha256').update(sender).update('\n').update(tag).update('\n').update(id).digest('base64url')
}

/**
 * True for ids in the form of Fluent Bit's: 16 bytes in base64. They are hashes of the content, so that the same events
 * sent once more on purpose have the same id.
 */
export function isContentHash(id: Buffer): boolean {
  return id.length === 24 && /^[A-Za-z0-9+/]{22}==$/.test(id.toString('latin1'))
}

/** `Taking` says of a chunk that is not safe yet who to ask. */
export class ChunkWindow<Taking extends object> {
  readonly #size: number
  /** The oldest first. A number is the place in the order of a chunk that is safe. */
  readonly #chunks = new Map<ChunkKey, Taking | number>()
  #next: number
  /** Ids that were in the positions and are too many. */
  #forgotten: ChunkKey[] = []

  /** `positions` are those of the last commit, in any order. */
  constructor(size: number, positions: ReadonlyMap<string, Json>) {
    this.#size = size
    const saved = [...positions].filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    saved.sort(([, a], [, b]) => a - b)
    for (const [key, place] of saved) this.#chunks.set(key, place)
    this.#next = (saved.at(-1)?.[1] ?? 0) + 1
    this.#evict()
  }

  /** `safe`, or who takes it right now; undefined for a chunk that is not known. */
  get(key: ChunkKey): 'safe' | Taking | undefined {
    const known = this.#chunks.get(key)
    return typeof known === 'number' ? 'safe' : known
  }

  /** Notes a new chunk, in the window and in the position that is saved with its events. */
  add(key: ChunkKey, taking: Taking, position: Position): void {
    this.#chunks.set(key, taking)
    this.#evict()
    for (const old of this.#forgotten) position[old] = null
    this.#forgotten = []
    // Last: it may be one of the forgotten.
    position[key] = this.#next++
  }

  /** Notes that the chunks of a position are safe. */
  setSafe(position: Position): void {
    for (const key of Object.keys(position)) {
      const place = position[key]
      if (typeof place === 'number' && this.#chunks.has(key)) this.#chunks.set(key, place)
    }
    this.#evict()
  }

  /** Forgets a chunk that is safe: it comes no more, and the next with its id is another one. */
  forget(key: ChunkKey): void {
    if (typeof this.#chunks.get(key) !== 'number') return
    this.#chunks.delete(key)
    this.#forgotten.push(key)
  }

  /** The oldest go, but for one that is not safe yet: it holds those behind it, too. */
  #evict(): void {
    if (this.#chunks.size <= this.#size) return
    for (const [key, state] of this.#chunks) {
      if (this.#chunks.size <= this.#size || typeof state !== 'number') return
      this.#chunks.delete(key)
      this.#forgotten.push(key)
    }
  }
}
