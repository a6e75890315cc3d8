// The id of an event that has none: the same for the same event, and another one for each of several equal events.
import { createHash } from 'node:crypto'
import type { Event } from '../event.ts'

/** Digests that are remembered in each of two halves, of which the older is forgotten. */
const halfSize = 50_000

export interface EventIds {
  /** The events that follow are those of a batch: the same ones whenever it has this name, which no other batch has. */
  begin(batch: string | undefined): void
  idOf(event: Event, text: string): string
}

/**
 * Gives ids by what an event is: its tag, its time and its record, and by the name of its batch, if that has one. The second
 * of equal events of a batch, or of batches without a name, gets `-1` behind the digest, the next one `-2`: they do not
 * become one. A batch with a name gets the ids it had when it comes again after a crash, and no others have them. Without
 * names the counting begins anew with the process: what is read again gets the ids it had. A digest of 128 bits, because
 * who can choose a record must not be able to overwrite another one.
 */
export function createEventIds(): EventIds {
  let recent = new Map<string, number>()
  let older = new Map<string, number>()
  let prefix = ''
  return {
    begin(batch) {
      if (batch === undefined) {
        prefix = ''
        return
      }
      prefix = `${batch}\0`
      recent = new Map()
      older = new Map()
    },
    idOf({ tag, timestamp }, text) {
      const hash = createHash('sha256').update(`${prefix}${tag}\0${timestamp}\0${text}`)
      const digest = hash.digest('base64url').slice(0, 22)
      const seen = recent.get(digest) ?? older.get(digest) ?? 0
      recent.set(digest, seen + 1)
      // A batch with a name is counted to its end, lest its ids depend on what was forgotten when.
      if (prefix === '' && recent.size >= halfSize) {
        older = recent
        recent = new Map()
      }
      return seen === 0 ? digest : `${digest}-${seen}`
    },
  }
}
