// What a person should know who believes what a test or a replay says: events that were lost on the way to the rules.
import type { PipelineConfig } from '../config/types.ts'
import type { EventRecord } from '../event.ts'
import { sum } from '../metrics.ts'
import type { Registry } from '../registry.ts'
import { isRule, type Lab } from './lab.ts'

/** Different reasons that are kept. */
const maxReasons = 20

/** Counts dead letters by their reason. */
export class LetterTally {
  readonly #reasons = new Map<string, number>()
  #others = 0

  add(letter: EventRecord): void {
    const reason = `${letter.action}: ${letter.reason}`
    const count = this.#reasons.get(reason)
    if (count !== undefined || this.#reasons.size < maxReasons) this.#reasons.set(reason, (count ?? 0) + 1)
    else this.#others++
  }

  notes(): string[] {
    const notes = [...this.#reasons].map(([reason, count]) => `${count} to the dead letters, ${reason}`)
    return this.#others === 0 ? notes : [...notes, `${this.#others} to the dead letters for other reasons`]
  }
}

/** `unread` tells also of events that an action could not handle but passed on: what many parsers are there for. */
export function labNotes(lab: Lab, config: PipelineConfig, registry: Registry, unread: boolean): string[] {
  const notes = lab.logged().map(({ action, message }) => `${action ?? 'the pipeline'} warns: ${message}`)
  let rules = 0
  let taken = 0
  for (const [place, stats] of lab.stats().entries()) {
    if (stats === undefined) continue
    const failed = sum(stats.errors) - sum(stats.dead_letters)
    if (failed > 0 && unread) notes.push(`${stats.label} could not read ${failed} of ${sum(stats.do)} events`)
    if (!isRule(registry.get(config.actions[place]?.name ?? ''))) continue
    rules++
    taken += sum(stats.do)
  }
  if (rules > 0 && taken === 0 && lab.sent() > 0) notes.push('no event reached a rule: look at the tags')
  return notes
}

/** Tags of alerts that no output takes. */
export function lostNotes(tags: ReadonlySet<string>): string[] {
  return tags.size === 0 ? [] : [`no output takes the alerts with the tag ${[...tags].join(', ')}`]
}
