// What a rule has saved, read without the rule: the entries of its segments, and which of them still count.
import type Database from 'better-sqlite3'
import { MsgpackDecoder } from '../../protocol/msgpack-decoder.ts'
import { MsgpackScanner } from '../../protocol/msgpack-scanner.ts'
import { savedKey } from '../rules/journal.ts'

/** As in journal.ts, which says what a segment is. */
export interface SegmentEntry {
  section: string
  key: unknown
  value: unknown
  /** Orders the keys by when they were seen. */
  sight: unknown
}

/** Bytes of keys that are held in memory; more go to a temporary file. */
const cacheKilobytes = 32 * 1024

/**
 * The entries of one segment for whose key, as bytes, `isNew` returns true; keys that were forgotten are only shown to
 * it. Throws for what is no segment of a journal.
 */
export function* entriesOf(
  segment: Buffer,
  isNew: (section: string, key: Buffer, isForgotten: boolean) => boolean,
): Generator<SegmentEntry, void> {
  const end = segment.length
  const scanner = new MsgpackScanner({ maxBytes: end, maxDepth: 512, maxValues: end })
  if (scanner.scan(segment, 0, end) !== end) throw noSegment()
  const decoder = new MsgpackDecoder(segment)
  const sections = decoder.mapHeader()
  if (sections < 0) throw noSegment()
  for (let i = 0; i < sections; i++) {
    const section = decoder.text()
    const entries = decoder.arrayHeader()
    if (section === undefined || entries < 0) throw noSegment()
    for (let j = 0; j < entries; j++) {
      const length = decoder.arrayHeader()
      if (length !== 2 && length !== 3) throw noSegment()
      const start = decoder.position
      const key = decoder.value()
      const isWanted = isNew(section, segment.subarray(start, decoder.position), length === 2)
      if (length === 3 && isWanted)
        yield { section, key: savedKey(key), value: decoder.value(), sight: decoder.value() }
      else for (let skipped = 1; skipped < length; skipped++) decoder.skip()
    }
  }
}

function noSegment(): Error {
  return new Error('it is not in the form in which rules save')
}

/** The keys of one rule that were met, in a database that is gone at the end: there may be more than memory holds. */
export class SeenKeys {
  readonly #database: Database.Database
  readonly #insert: Database.Statement<[section: string, key: Buffer]>

  constructor(sqlite: typeof Database) {
    // Without a name it is a temporary file, written only when the cache is full.
    const database = new sqlite('')
    database.pragma('journal_mode = OFF')
    database.pragma('synchronous = OFF')
    database.pragma(`cache_size = -${cacheKilobytes}`)
    database.exec('CREATE TABLE seen (section TEXT, key BLOB, PRIMARY KEY (section, key)) WITHOUT ROWID; BEGIN')
    this.#database = database
    this.#insert = database.prepare('INSERT OR IGNORE INTO seen VALUES (?, ?)')
  }

  /** Returns false for a key that was added before. */
  add(section: string, key: Buffer): boolean {
    return this.#insert.run(section, key).changes > 0
  }

  close(): void {
    this.#database.close()
  }
}
