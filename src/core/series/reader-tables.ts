// The tables that are read: those that appear, those that are gone, and how far each of them is read.
import type { ActionContext, InputRun, Position } from '../action.ts'
import { setOwn } from '../event.ts'
import type { Insist } from './reader-away.ts'
import { createLane, type Lane } from './reader-lane.ts'
import { encodePlace, type Place } from './reader-place.ts'
import { tableKey } from './reader-position.ts'
import type { ReaderReport } from './reader-report.ts'
import type { SeriesStore } from './store.ts'

/** Tables out of sight whose positions are kept. */
const maxRemembered = 10_000

export interface ReaderTablesOptions {
  store: SeriesStore
  matches(table: string): boolean
  tagOf(table: string): string
  once: boolean
  context: Pick<ActionContext, 'log' | 'count'>
  emit: InputRun['emit']
  insist: Insist
  report: ReaderReport
}

export class ReaderTables {
  readonly #options: ReaderTablesOptions
  /** How far tables were read; those that were not read for the longest time come first. */
  readonly #places: Map<string, Place>
  readonly #lanes = new Map<string, Lane>()
  /** Tables that were spoken of in the log. */
  readonly #told = new Set<string>()
  /** The tables of the database were looked at. */
  #looked = false

  constructor(options: ReaderTablesOptions, places: Map<string, Place>) {
    this.#options = options
    this.#places = places
  }

  get lanes(): ReadonlyMap<string, Lane> {
    return this.#lanes
  }

  /** Looks for new tables, and for those that are gone. Returns the new ones. */
  async look(): Promise<Lane[]> {
    const { store, matches, insist, report, once, context } = this.#options
    const all = await insist(() => store.tables())
    if (all === undefined) return []
    const names = new Set(all.filter(matches))
    if (names.size === 0 && !this.#looked) {
      context.log[once ? 'warn' : 'info']({ tables: all.length }, 'no table of the database matches')
    }
    this.#looked = true
    for (const [name, lane] of this.#lanes) {
      if (!names.has(name) && lane.page === undefined && !lane.sent) this.#lanes.delete(name)
    }
    // What is made under that name later is another table.
    for (const name of [...this.#places.keys()]) {
      if (!names.has(name) && !this.#lanes.has(name) && matches(name)) this.#forget(name)
    }
    for (const name of [...this.#told]) {
      if (names.has(name)) continue
      this.#told.delete(name)
      report.forget(name)
    }
    const added: Lane[] = []
    for (const name of names) {
      if (this.#lanes.has(name)) continue
      const lane = await this.#open(name)
      if (lane === undefined) continue
      this.#lanes.set(name, lane)
      added.push(lane)
    }
    await report.unread([...this.#lanes.values()].map(({ table }) => table))
    return added
  }

  /** A lane for a table that turned out to be another one than that of `lane`. */
  beginAnew({ table, tag, name, sent }: Lane): Lane {
    this.#options.context.log.info({ table: name }, `the table ${name} was made anew; it is read from its start`)
    const lane = createLane(table, tag)
    lane.sent = sent
    this.#lanes.set(name, lane)
    this.#forget(name)
    return lane
  }

  /** A table cannot be read, or not any more. It is looked at again, and how far it was read is kept. */
  refuse(name: string, problem: string): void {
    const { context } = this.#options
    this.#lanes.delete(name)
    this.#told.add(name)
    context.count('unread_tables', 1)
    context.log.warn({ table: name }, `the table ${name} is not read: ${problem}`)
  }

  /** Adds to a position how far a table is read. */
  save(position: Position, { name, sentTo }: Lane): void {
    this.#places.delete(name)
    this.#places.set(name, sentTo)
    setOwn(position, tableKey(name), encodePlace(sentTo))
    if (this.#places.size - this.#lanes.size <= maxRemembered) return
    for (const other of this.#places.keys()) {
      if (this.#lanes.has(other)) continue
      this.#places.delete(other)
      setOwn(position, tableKey(other), null)
      return
    }
  }

  dropped(table: string): void {
    this.#lanes.delete(table)
  }

  async #open(name: string): Promise<Lane | undefined> {
    const { store, tagOf, context, insist } = this.#options
    const table = await insist(() => store.table(name))
    if (table === undefined) return undefined
    const told = this.#told.has(name)
    this.#told.add(name)
    if ('problem' in table) {
      if (!told) this.refuse(name, table.problem)
      return undefined
    }
    if (!told && table.advice !== undefined) context.log.info({ table: name }, `the table ${name}: ${table.advice}`)
    return createLane(table, tagOf(name), this.#places.get(name))
  }

  #forget(table: string): void {
    if (this.#places.delete(table)) void this.#options.emit([], { [tableKey(table)]: null })
  }
}
