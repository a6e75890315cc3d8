// What every alert rule is made of: its key, the table of its keys, its alerts, and its memory.
import type { ActionContext, Emit, EventFilter } from '../action.ts'
import type { Event } from '../event.ts'
import type { Memory } from '../state/memory.ts'
import { type AlertBook, createAlertBook } from './alerts.ts'
import type { RuleParams } from './params.ts'
import { compileKey, type KeyReader } from './query-key.ts'
import { createTables, type RuleTable, type TableOptions } from './table.ts'

export interface RuleOptions {
  /** Name and version of the form in which the rule saves: `filter_frequency/1`. */
  form: string
  params: RuleParams
  context: ActionContext
  /** Parameters, besides `query_key` and `time`, without which what was saved has no meaning. */
  meaning?: unknown
  resolve?: boolean
  /** Seconds without a firing after which an incident is over; a rule that knows better calls `alerts.endsAt`. */
  resolveAfter?: number
}

/** What a rule does by the clock, besides resolving. */
export interface RuleClock {
  readonly due: number
  tick(now: number, emit: Emit): void
}

export interface Rule {
  readonly keyOf: KeyReader
  /** A slot for each key, with the columns that the rule makes. */
  readonly table: RuleTable
  readonly alerts: AlertBook
  /** Another table that is saved with the rule. */
  newTable(name: string, options: TableOptions): RuleTable
  /** Everything the rule and its alerts remember. Call it when all tables are made. */
  memory(): Memory
  /** The action: `see` takes each event and gives the alert that it causes, before the event goes on. */
  filter(see: (event: Event) => Event | undefined, clock?: RuleClock): EventFilter
}

export function createRule({ form, params, context, meaning, resolve = false, resolveAfter }: RuleOptions): Rule {
  const tables = createTables()
  const { count } = context
  const table = tables.table('keys', {
    maxKeys: params.max_keys,
    count: (by) => count('keys', by),
    overflow: () => count('keys_forgotten'),
  })
  const alertTable = tables.table('alerts', {
    maxKeys: params.max_keys,
    overflow: () => count('alerted_keys_forgotten'),
  })
  const alerts = createAlertBook(alertTable, { params, context, resolve, resolveAfter })
  const format = JSON.stringify([form, params.query_key ?? null, params.time, meaning ?? null])
  const memory = () => tables.memory(format)
  return {
    keyOf: compileKey(params.query_key),
    table,
    alerts,
    newTable: tables.table,
    memory,
    filter(see, clock) {
      const apply: EventFilter['apply'] = (event, emit) => {
        const alert = see(event)
        emit(event)
        if (alert !== undefined) emit(alert)
      }
      // A filter with a clock sees every event of the pipeline: only where there is need.
      if (!resolve && clock === undefined) return { apply, memory: memory() }
      return {
        apply,
        memory: memory(),
        get due() {
          return clock === undefined ? alerts.due : Math.min(clock.due, alerts.due)
        },
        tick(now, emit) {
          // What fires now keeps an incident open.
          if (clock !== undefined && clock.due <= now) clock.tick(now, emit)
          alerts.tick(now, emit)
        },
      }
    },
  }
}
