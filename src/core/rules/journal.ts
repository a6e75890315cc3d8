// What a rule remembers, as the engine saves it: in each segment the keys that changed, and a share of the others.
import { MsgpackDecoder } from '../../protocol/msgpack-decoder.ts'
import { MsgpackScanner } from '../../protocol/msgpack-scanner.ts'
import { MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import { isPlainObject } from '../event.ts'
import type { Memory, MemoryChanges } from '../state/memory.ts'
import type { Key } from './identity.ts'
import { type KeyTable, none } from './keys.ts'

/*
 * A segment is a map of section to a list of entries [key, value, sight]: `sight` orders the keys by when they were
 * seen. [key, nil] is a key that was forgotten. A key stands in a segment once. A text that is no valid Unicode is written
 * as the bytes of its UTF-16.
 */

/** The keys of one table, and what is kept of each. */
export interface Section {
  name: string
  keys: KeyTable
  /** Writes one value, no nil: all that the slot holds. */
  write(slot: number, writer: MsgpackWriter): void
  /** Takes over what `write` wrote. Throws when it is something else. */
  read(slot: number, value: unknown): void
}

export interface Journal extends Memory {
  /** What a slot holds has changed, although its key was not seen. */
  touch(section: Section, slot: number): void
  /** A key is being forgotten. */
  forget(section: Section, slot: number): void
}

/** Keys of a section repeated at least in each segment. */
const leastRepeated = 64

export function createJournal(format: string, sections: readonly Section[]): Journal {
  const trackers = new Map(sections.map((section) => [section, new Tracker(section)]))
  /** Without a store nobody asks for changes, and nothing is kept for them. */
  let tracking = false
  let segments = 0
  /** Bytes of the last segment: the next is mostly about as long. */
  let lastLength = 1024
  return {
    format,
    restore(saved) {
      tracking = true
      const newestFirst = [...saved].reverse()
      segments = newestFirst.length
      const readers = new Map(sections.map((section) => [section.name, new Reader(section)]))
      for (const segment of newestFirst) readSegment(segment, readers)
      for (const [section, tracker] of trackers) {
        section.keys.restored()
        tracker.start(segments)
      }
    },
    changes(): MemoryChanges | undefined {
      const all = [...trackers.values()]
      const changed = all.reduce((sum, tracker) => sum + tracker.collect(), 0)
      if (changed === 0) return undefined
      segments++
      const writer = new MsgpackWriter(lastLength + (lastLength >> 2))
      // Also the sections without a change: old segments go only when each of them has been through a round.
      writer.mapHeader(all.length)
      const slots = all.reduce((sum, tracker) => sum + tracker.slots, 0)
      for (const tracker of all) {
        const share = Math.ceil((changed * tracker.slots) / Math.max(slots, 1))
        tracker.write(writer, segments, Math.max(share, leastRepeated))
      }
      const oldest = Math.min(...all.map((tracker) => tracker.oldestNeeded))
      const segment = writer.take()
      lastLength = segment.length
      return { segment, keep: segments - oldest + 1 }
    },
    touch(section, slot) {
      if (tracking) trackers.get(section)?.touched.add(slot)
    },
    forget(section, slot) {
      if (tracking) trackers.get(section)?.forget(slot)
    },
  }
}

/** What has changed in a section since the last segment, and which keys are repeated next. */
class Tracker {
  /** Slots that changed without being seen. */
  readonly touched = new Set<number>()
  /** The oldest segment that says something new, counted from 1. */
  oldestNeeded = 1
  readonly #section: Section
  readonly #forgotten = new Set<Key>()
  #dirty: number[] = []
  /** Sights up to this one are saved. */
  #saved = 0
  /** Keys are repeated slot by slot; a round that began in segment `#roundSince` has come so far. */
  #cursor = 0
  #roundSince = 1

  constructor(section: Section) {
    this.#section = section
  }

  /** After what was saved, in so many segments, has been taken over. */
  start(segments: number): void {
    this.#saved = this.#section.keys.sights
    this.#roundSince = segments + 1
  }

  forget(slot: number): void {
    this.touched.delete(slot)
    this.#forgotten.add(this.#section.keys.keyAt(slot))
  }

  get slots(): number {
    return this.#section.keys.slots
  }

  /** How many keys have changed. */
  collect(): number {
    const { keys } = this.#section
    const dirty = keys.seenAfter(this.#saved)
    for (const slot of this.touched) {
      if (keys.sightAt(slot) <= this.#saved) dirty.push(slot)
    }
    for (const key of this.#forgotten) {
      if (keys.find(key) !== none) this.#forgotten.delete(key)
    }
    this.#dirty = dirty
    return dirty.length + this.#forgotten.size
  }

  write(writer: MsgpackWriter, segment: number, share: number): void {
    const { name, keys, write } = this.#section
    const repeated = this.#repeat(share, segment)
    writer.str(name).arrayHeader(this.#dirty.length + repeated.length + this.#forgotten.size)
    for (const slots of [this.#dirty, repeated]) {
      for (const slot of slots) {
        writer.arrayHeader(3)
        writeKey(writer, keys.keyAt(slot))
        write(slot, writer)
        writer.number(keys.sightAt(slot))
      }
    }
    for (const key of this.#forgotten) {
      writer.arrayHeader(2)
      writeKey(writer, key)
      writer.value(null)
    }
    this.#saved = keys.sights
    this.#dirty = []
    this.touched.clear()
    this.#forgotten.clear()
  }

  /**
   * The next unchanged slots of the round. After a whole round, the segments since its start hold every key: as a key's
   * slot was passed, or when it came later.
   */
  #repeat(share: number, segment: number): number[] {
    const { keys } = this.#section
    const repeated: number[] = []
    const end = Math.min(keys.slots, this.#cursor + share)
    for (; this.#cursor < end; this.#cursor++) {
      const sight = keys.sightAt(this.#cursor)
      // What was seen since, or touched, is written as a change.
      if (sight > 0 && sight <= this.#saved && !this.touched.has(this.#cursor)) repeated.push(this.#cursor)
    }
    if (this.#cursor >= keys.slots) {
      this.oldestNeeded = this.#roundSince
      // This segment may lack keys of the round that begins: it counts from the next one.
      this.#roundSince = segment + 1
      this.#cursor = 0
    }
    return repeated
  }
}

/** Takes entries over, the newest first: what is known of a key already is newer. */
class Reader {
  readonly #section: Section
  readonly #forgotten = new Set<Key>()

  constructor(section: Section) {
    this.#section = section
  }

  read(decoder: MsgpackDecoder): void {
    const { keys } = this.#section
    const entries = decoder.arrayHeader()
    if (entries < 0) throw damaged()
    for (let i = 0; i < entries; i++) {
      const length = decoder.arrayHeader()
      if (length !== 2 && length !== 3) throw damaged()
      const key = savedKey(decoder.value())
      if (keys.find(key) !== none || this.#forgotten.has(key)) {
        for (let skipped = 1; skipped < length; skipped++) decoder.skip()
        continue
      }
      const value = decoder.value()
      if (length === 2) {
        if (value !== null) throw damaged()
        this.#forgotten.add(key)
        continue
      }
      const sight = decoder.value()
      if (typeof sight !== 'number' || !(sight > 0)) throw damaged()
      this.#section.read(keys.restore(key, sight), value)
    }
  }
}

function readSegment(segment: Uint8Array, readers: ReadonlyMap<string, Reader>): void {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length)
  const scanner = new MsgpackScanner({ maxBytes: bytes.length, maxDepth: 512, maxValues: bytes.length })
  if (scanner.scan(bytes, 0, bytes.length) !== bytes.length) throw damaged()
  const decoder = new MsgpackDecoder(bytes)
  const sections = decoder.mapHeader()
  if (sections < 0) throw damaged()
  for (let i = 0; i < sections; i++) {
    const reader = readers.get(decoder.text() ?? '')
    if (reader === undefined) throw damaged()
    reader.read(decoder)
  }
}

const surrogate = /[\ud800-\udfff]/
const loneSurrogate = /\p{Surrogate}/u

/** Also for other primitives that a rule keeps. */
export function writeKey(writer: MsgpackWriter, key: Key): void {
  if (typeof key === 'string' && surrogate.test(key) && loneSurrogate.test(key)) {
    writer.bin(Buffer.from(key, 'utf16le'))
  } else {
    writer.value(key)
  }
}

/** A map with these keys, from what was saved. Throws when it is something else. */
export function savedMap(value: unknown): Record<string, unknown> {
  if (isPlainObject(value)) return value
  throw damaged()
}

export function savedNumber(value: unknown): number {
  if (typeof value === 'number') return value
  throw damaged()
}

/** A key, or another primitive, that `writeKey` wrote. */
export function savedKey(value: unknown): Key {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'bigint':
      return value
    default:
      if (value === null) return value
      if (value instanceof Uint8Array) return Buffer.from(value).toString('utf16le')
      throw damaged()
  }
}

function damaged(): Error {
  return new Error('what was saved of the rule cannot be read')
}
