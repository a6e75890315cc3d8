// The ids of the chunks that were taken last, so that a chunk that is sent again is not taken again.
import { createHash } from 'node:crypto'
import type { Json, Position } from '../action.ts'

/** A chunk by its sender, tag and id: of one length, however long they are. Before the dot, the sender. */
export type ChunkKey = string

/** Neither `sender` nor `tag` holds a newline: the three cannot be mistaken for another three. */
export function chunkKey(sender: string, tag: string, id: Buffer): ChunkKey {
  // A part of the hash is enough: senders that share it share a window, and nothing else.
  const whose = createHash('sha256').update(sender).digest('base64url').slice(0, senderLength)
  const hash = createHash('sha256').update(sender).update('\n').update(tag).update('\n').update(id)
  return `${whose}.${hash.digest('base64url')}`
}

const senderLength = 11

/**
 * True for ids in the form of Fluent Bit's: 16 bytes in base64. They are hashes of the content, so that the same events
 * sent once more on purpose have the same id.
 */
export function isContentHash(id: Buffer): boolean {
  return id.length === 24 && /^[A-Za-z0-9+/]{22}==$/.test(id.toString('latin1'))
}

/** How many chunks are remembered. */
export interface WindowSize {
  /** Of one sender: no other sender can make it shorter, but for `total`. */
  perSender: number
  /** Of all together. Beyond it, the senders of which the most are remembered lose their oldest. */
  total: number
}

/** `Taking` says of a chunk that is not safe yet who to ask. */
export class ChunkWindow<Taking extends object> {
  readonly #size: WindowSize
  /** By sender, the oldest first. A number is the place in the order of a chunk that is safe. */
  readonly #senders = new Map<string, Map<ChunkKey, Taking | number>>()
  /** The senders of which so many are remembered; those that have come to this number first, first. */
  readonly #bySize: Set<string>[] = []
  #total = 0
  #next = 1
  /** Ids that were in the positions and are too many. */
  #forgotten: ChunkKey[] = []

  /** `positions` are those of the last commit, in any order. */
  constructor(size: WindowSize, positions: ReadonlyMap<string, Json>) {
    this.#size = size
    const saved = [...positions].filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    saved.sort(([, a], [, b]) => a - b)
    for (const [key, place] of saved) {
      this.#set(key, place)
      this.#evict(senderOf(key))
      this.#next = place + 1
    }
  }

  /** `safe`, or who takes it right now; undefined for a chunk that is not known. */
  get(key: ChunkKey): 'safe' | Taking | undefined {
    const known = this.#senders.get(senderOf(key))?.get(key)
    return typeof known === 'number' ? 'safe' : known
  }

  /**
   * Notes a new chunk, in the window and in the position that is saved with its events. True when another had to go
   * because there are too many of all senders.
   */
  add(key: ChunkKey, taking: Taking, position: Position): boolean {
    this.#set(key, taking)
    const isFull = this.#evict(senderOf(key))
    for (const old of this.#forgotten) position[old] = null
    this.#forgotten = []
    // Last: it may be one of the forgotten.
    position[key] = this.#next++
    return isFull
  }

  /** Notes that the chunks of a position are safe. */
  setSafe(position: Position): void {
    for (const key of Object.keys(position)) {
      const place = position[key]
      if (typeof place !== 'number' || this.get(key) === undefined) continue
      this.#set(key, place)
      this.#evict(senderOf(key))
    }
  }

  /** Forgets a chunk that is safe: it comes no more, and the next with its id is another one. */
  forget(key: ChunkKey): void {
    if (this.get(key) === 'safe') this.#delete(key)
  }

  #set(key: ChunkKey, state: Taking | number): void {
    const sender = senderOf(key)
    const chunks = this.#senders.get(sender) ?? new Map<ChunkKey, Taking | number>()
    this.#senders.set(sender, chunks)
    const before = chunks.size
    chunks.set(key, state)
    this.#resized(sender, before, chunks.size)
  }

  #delete(key: ChunkKey): void {
    const sender = senderOf(key)
    const chunks = this.#senders.get(sender)
    if (!chunks?.delete(key)) return
    this.#forgotten.push(key)
    this.#resized(sender, chunks.size + 1, chunks.size)
    if (chunks.size === 0) this.#senders.delete(sender)
  }

  /** Nothing searches for the sender with the most: there may be as many senders as chunks. */
  #resized(sender: string, from: number, to: number): void {
    if (from === to) return
    this.#total += to - from
    this.#bySize[from]?.delete(sender)
    this.#bySize[to] ??= new Set()
    if (to > 0) this.#bySize[to].add(sender)
    while (this.#bySize.length > 0 && !this.#bySize.at(-1)?.size) this.#bySize.pop()
  }

  /** The oldest go, but for one that is not safe yet: it holds those behind it, too. True when there are too many of all. */
  #evict(sender: string): boolean {
    while (this.#countOf(sender) > this.#size.perSender && this.#deleteOldest(sender)) {}
    const isFull = this.#total > this.#size.total
    while (this.#total > this.#size.total) {
      const [largest = ''] = this.#bySize.at(-1) ?? []
      if (!this.#deleteOldest(largest)) break
    }
    return isFull
  }

  #countOf(sender: string): number {
    return this.#senders.get(sender)?.size ?? 0
  }

  #deleteOldest(sender: string): boolean {
    const [oldest] = this.#senders.get(sender) ?? []
    if (oldest === undefined || typeof oldest[1] !== 'number') return false
    this.#delete(oldest[0])
    return true
  }
}

function senderOf(key: ChunkKey): string {
  return key.slice(0, senderLength)
}
