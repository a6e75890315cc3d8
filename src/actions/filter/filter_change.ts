// Tells when a field has another value than it had.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { copyText, type Key, keyValue } from '../../core/rules/identity.ts'
import { savedKey, savedMap, savedNumber, writeKey } from '../../core/rules/journal.ts'
import { fieldsParam, lintRule, ruleParams, timeframeParam } from '../../core/rules/params.ts'
import { compileFields } from '../../core/rules/query-key.ts'
import { createRule } from '../../core/rules/rule.ts'

/** The form in which values are saved. */
const form = 'filter_change/1'
/** Characters of a value that is kept as a whole. */
const maxValueLength = 4096

export const filterChange = defineAction({
  kind: 'filter',
  name: 'filter_change',
  summary: 'Gives an alert when a field has another value than in the event before.',
  details: `The last value of \`compare_key\` is kept for each key. An event with another value gives an alert, and its value takes the place of
the old one; the first event of a key only leaves its value. 1 and "1" are different values, and an absent field is as good as null.
Events are compared in the order in which they come.

The alert's record holds \`timestamp\`, \`rule\`, \`query_key\` (when it is set), \`old_value\` and \`new_value\`: lists when \`compare_key\` is one. Of
a value of more than 4096 characters they hold the beginning; it is compared as a whole.`,
  params: z.strictObject({
    ...ruleParams,
    compare_key: fieldsParam.describe('The field, or the list of fields, that is compared.'),
    ignore_null: z
      .boolean()
      .default(false)
      .describe(
        'Passes over an event in which the field, or one of the fields, is absent or null: the value before it stays. 0, an empty text and false are values like any other.',
      ),
    timeframe: timeframeParam
      .optional()
      .describe(
        'Seconds: a change is told only if the two events are less than this apart. Without it, however far apart they are.',
      ),
  }),
  examples: [
    {
      title: 'A user who suddenly comes from another country',
      yaml: `- name: filter_change
  match: login
  tag: alert
  query_key: user
  compare_key: country
  ignore_null: true
  timeframe: 3600
  alert:
    message: "{user}: from {old_value} to {new_value}"
`,
      in: [
        { tag: 'login', timestamp: 1600000000, record: { user: 'eve', country: 'FR' } },
        { tag: 'login', timestamp: 1600000060, record: { user: 'eve', country: null } },
        { tag: 'login', timestamp: 1600000120, record: { user: 'eve', country: 'AU' } },
      ],
      out: [
        { tag: 'login', timestamp: 1600000000, record: { user: 'eve', country: 'FR' } },
        { tag: 'login', timestamp: 1600000060, record: { user: 'eve', country: null } },
        { tag: 'login', timestamp: 1600000120, record: { user: 'eve', country: 'AU' } },
        {
          tag: 'alert',
          timestamp: 1600000120,
          record: {
            timestamp: 1600000120,
            rule: 'filter_change',
            query_key: 'eve',
            old_value: 'FR',
            new_value: 'AU',
            message: 'eve: from FR to AU',
          },
        },
      ],
    },
  ],
  lint: lintRule,
  create(params, context) {
    const { compare_key, ignore_null, timeframe } = params
    const { time } = context
    const rule = createRule({ form, params, context, meaning: compare_key })
    const { keyOf, table, alerts } = rule
    const { keys } = table
    const readValue = compileFields(compare_key, {
      value: ignore_null ? (value) => value ?? undefined : (value) => value ?? null,
      maxLength: maxValueLength,
    })
    /** By slot: the last value, undefined for a new key, and when it came. */
    const values: (Key | undefined)[] = []
    const times = keys.float64(Number.NEGATIVE_INFINITY)

    table.remember({
      forget(slot) {
        values[slot] = undefined
      },
      write(slot, writer) {
        writer.mapHeader(2).str('value')
        writeKey(writer, values[slot] ?? null)
        writer.str('time').number(times.data[slot] ?? 0)
      },
      read(slot, saved) {
        const { value, time: seen } = savedMap(saved)
        values[slot] = savedKey(value)
        times.data[slot] = savedNumber(seen)
      },
    })

    return rule.filter((event) => {
      const key = keyOf(event.record)
      if (key === undefined) return undefined
      const value = readValue(event.record)
      if (value === undefined) return undefined
      const slot = keys.see(key)
      const now = time.timeOf(event)
      const old = values[slot]
      const isNear = timeframe === undefined || Math.abs(now - (times.data[slot] ?? 0)) < timeframe
      times.data[slot] = now
      // NaN is the same as NaN.
      if (old === value || (old !== undefined && Object.is(old, value))) return undefined
      values[slot] = typeof value === 'string' ? copyText(value) : value
      if (old === undefined || !isNear) return undefined
      return alerts.fire(key, now, { old_value: keyValue(old), new_value: keyValue(value) }, event)
    })
  },
})
