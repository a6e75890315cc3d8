// Tells when many events come within a short time.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { savedMap, savedNumber } from '../../core/rules/journal.ts'
import { lintRule, resolveParam, ruleParams, timeframeParam } from '../../core/rules/params.ts'
import { createRule } from '../../core/rules/rule.ts'
import { Times } from '../../core/rules/times.ts'
import { isTime } from '../../core/timeline.ts'

/** The form in which windows are saved. */
const form = 'filter_frequency/1'

export const filterFrequency = defineAction({
  kind: 'filter',
  name: 'filter_frequency',
  summary: 'Gives an alert when a number of events comes within a time.',
  details: `The window is \`timeframe\` long and ends at the newest event of its key; two events exactly \`timeframe\` apart are never in it
together. When it holds \`num_events\` events there is an alert, and the window is empty again: 7 events with \`num_events: 3\` give
two alerts. An event that comes late counts if the window still reaches back to it; else it is counted as \`late\` and passes on.

The alert's record holds \`timestamp\`, \`rule\`, \`query_key\` (when it is set), \`num_events\` and \`timeframe\`. It follows the event that
caused it.`,
  params: z.strictObject({
    ...ruleParams,
    num_events: z.int().min(1).max(10_000_000).describe('How many events within the timeframe give an alert.'),
    timeframe: timeframeParam.describe('Length of the window in seconds.'),
    resolve: resolveParam,
  }),
  examples: [
    {
      title: 'Three failed logins of one user within a minute',
      yaml: `- name: filter_frequency
  match: auth
  tag: alert
  query_key: user
  num_events: 3
  timeframe: 60
  alert:
    message: "{num_events} failed logins of {user}, the last from {from}"
`,
      in: [
        { tag: 'auth', timestamp: 1600000000, record: { user: 'eve', from: '192.0.2.1' } },
        { tag: 'auth', timestamp: 1600000010, record: { user: 'bob', from: '192.0.2.7' } },
        { tag: 'auth', timestamp: 1600000020, record: { user: 'eve', from: '192.0.2.1' } },
        { tag: 'auth', timestamp: 1600000030, record: { user: 'eve', from: '192.0.2.2' } },
      ],
      out: [
        { tag: 'auth', timestamp: 1600000000, record: { user: 'eve', from: '192.0.2.1' } },
        { tag: 'auth', timestamp: 1600000010, record: { user: 'bob', from: '192.0.2.7' } },
        { tag: 'auth', timestamp: 1600000020, record: { user: 'eve', from: '192.0.2.1' } },
        { tag: 'auth', timestamp: 1600000030, record: { user: 'eve', from: '192.0.2.2' } },
        {
          tag: 'alert',
          timestamp: 1600000030,
          record: {
            timestamp: 1600000030,
            rule: 'filter_frequency',
            query_key: 'eve',
            num_events: 3,
            timeframe: 60,
            message: '3 failed logins of eve, the last from 192.0.2.2',
          },
        },
      ],
    },
  ],
  lint: lintRule,
  create(params, context) {
    const { num_events, timeframe, resolve } = params
    const { time, count, log } = context
    const rule = createRule({ form, params, context, resolve, resolveAfter: timeframe })
    const { keyOf, table, alerts } = rule
    const { keys } = table
    const windows = new Times(keys, { timeframe, full: num_events })
    const own = { num_events, timeframe }
    let dropped = 0

    table.remember({
      forget: (slot) => windows.clear(slot),
      write(slot, writer) {
        const times = windows.times(slot)
        writer.mapHeader(2).str('newest').number(windows.newest(slot)).str('times').arrayHeader(times.length)
        for (const time of times) writer.number(time)
      },
      read(slot, value) {
        const { newest, times } = savedMap(value)
        if (!Array.isArray(times)) throw new Error('the times of a window are missing')
        if (windows.restore(slot, savedNumber(newest), times.map(savedNumber)) > 0 && dropped++ === 0) {
          log.info('num_events is lower than it was: windows that would be full by now keep their newest events only')
        }
      },
    })

    return rule.filter((event) => {
      const key = keyOf(event.record)
      if (key === undefined) return undefined
      const now = time.timeOf(event)
      const full = isTime(now) ? windows.add(keys.see(key), now) : undefined
      if (full === undefined) count('late')
      return full === true ? alerts.fire(key, now, own, event) : undefined
    })
  },
})
