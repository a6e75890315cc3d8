// The id of an event that has none: the same for the same event, and another one for each of several equal events.
import { createHash } from 'node:crypto'
import type { Event } from '../event.ts'

/** Digests that are remembered in each of two halves, of which the older is forgotten. */
const halfSize = 50_000

/**
 * Gives ids by what an event is: its tag, its time and its record. The second of equal events, also in a later batch,
 * gets `-1` behind the digest, the next one `-2`: they do not become one. It starts anew with the process, so that what
 * comes again after a crash gets the ids it had. A digest of 128 bits, because who can choose a record must not be able
 * to overwrite another one.
 */
export function createEventIds(): (event: Event, text: string) => string {
  let recent = new Map<string, number>()
  let older = new Map<string, number>()
  return ({ tag, timestamp }, text) => {
    const digest = createHash('sha256').update(`${tag}\0${timestamp}\0${text}`).digest('base64url').slice(0, 22)
    const seen = recent.get(digest) ?? older.get(digest) ?? 0
    recent.set(digest, seen + 1)
    if (recent.size >= halfSize) {
      older = recent
      recent = new Map()
    }
    return seen === 0 ? digest : `${digest}-${seen}`
  }
}
