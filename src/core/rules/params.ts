// The parameters that all alert rules share, described once.
import { z } from 'zod'
import type { Lint } from '../action.ts'
import { fieldParam, matchParam, tagParam } from '../params.ts'

/** A length of time; also with fractions. */
export const secondsParam = z.number().min(0).max(1_000_000_000)

/** A length of time that is not nothing. */
export const timeframeParam = secondsParam.positive()

export const fieldsParam = z.union([fieldParam, z.array(fieldParam).min(1)])

export const ruleParams = {
  match: matchParam,
  tag: tagParam.describe('The tag of the alert events.'),
  alert: z
    .record(z.string(), z.unknown())
    .default({})
    .describe(
      'Fields of the alert events, put over those that the rule gives. In texts, also inside of lists and maps, `{field}` stands for a field that the rule gives, or else of the event that caused the alert; what neither has stays as it is written.',
    ),
  query_key: fieldsParam
    .optional()
    .describe(
      'The field, or the list of fields, whose values tell events apart: the rule sees each value by itself. 1 and "1" are different values; null is one too. An event without the field passes on and is not looked at. Without it, all events belong together.',
    ),
  realert: secondsParam
    .default(0)
    .describe(
      'Seconds of event time after an alert in which the same key gives no other. The next alert says in `suppressed` how many there were.',
    ),
  exponential_realert: secondsParam
    .optional()
    .describe(
      'The longest silence in seconds: with it, `realert` doubles each time that an alert follows soon after a silence, and halves again in quiet times.',
    ),
  max_keys: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(1_000_000)
    .describe(
      'Keys remembered at most. Beyond it the key longest unseen is forgotten, and the counter `keys_forgotten` goes up.',
    ),
  time: z
    .enum(['event', 'arrival'])
    .default('event')
    .describe('Whether the rule goes by the time of the events, or by the moment when they arrive.'),
  attach: z
    .boolean()
    .default(false)
    .describe('Puts a copy of the record of the event that caused the alert into its metadata, as `cause`.'),
  db_path: z
    .string()
    .min(1)
    .optional()
    .describe('A SQLite file of its own for what the rule remembers. Without it, that is kept in `state_dir`, if set.'),
} as const

export const resolveParam = z
  .boolean()
  .default(false)
  .describe(
    'When what was alerted has been over for a whole timeframe, one more event says so: `status: resolved`, with the id of the alert. Alerts then have `status: firing`.',
  )

export type RuleParams = z.output<z.ZodObject<typeof ruleParams>>

/** What is unwise, or makes no sense, in the shared parameters. */
export function lintRule({ realert, exponential_realert: cap }: RuleParams): Lint[] {
  if (cap === undefined) return []
  const path = ['exponential_realert']
  if (realert === 0) return [{ path, message: 'it does nothing without `realert`, the silence that it doubles' }]
  return cap < realert ? [{ path, message: 'the longest silence is shorter than `realert`' }] : []
}
