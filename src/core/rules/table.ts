// A table of keys that is saved: what a rule, its alerts and its caches keep by key.
import type { MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import { createJournal, type Journal, type Section } from './journal.ts'
import { KeyTable } from './keys.ts'

/** What a rule does when a key is forgotten, saved and restored. Columns are empty before `read`. */
export interface Kept {
  forget?(slot: number): void
  /** Writes one value, a map: all that the rule holds for the slot. */
  write(slot: number, writer: MsgpackWriter): void
  /** Takes over what `write` wrote. Throws when it is something else. */
  read(slot: number, value: unknown): void
}

export interface RuleTable {
  readonly keys: KeyTable
  /** Call it once. */
  remember(kept: Kept): void
  /** What a slot holds has changed, although its key was not seen. */
  touch(slot: number): void
}

export interface TableOptions {
  maxKeys: number
  count?(by: number): void
  overflow?(): void
}

/** The tables of one action, and its memory, which is all of them. */
export interface Tables {
  /** Make them all before `memory` is taken. */
  table(name: string, options: TableOptions): RuleTable
  memory(format: string): Journal
}

export function createTables(): Tables {
  const sections: Section[] = []
  let journal: Journal | undefined
  return {
    table(name, options) {
      let kept: Kept | undefined
      const keys = new KeyTable({
        ...options,
        forget(slot) {
          kept?.forget?.(slot)
          journal?.forget(section, slot)
        },
      })
      const section: Section = {
        name,
        keys,
        write: (slot, writer) => (kept === undefined ? writer.mapHeader(0) : kept.write(slot, writer)),
        read: (slot, value) => kept?.read(slot, value),
      }
      sections.push(section)
      return {
        keys,
        remember(what) {
          kept = what
        },
        touch: (slot) => journal?.touch(section, slot),
      }
    },
    memory(format) {
      journal ??= createJournal(format, sections)
      return journal
    },
  }
}
