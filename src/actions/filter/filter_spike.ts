// Tells when events become many more, or many fewer, than they just were.
import { z } from 'zod'
import { defineAction, type Emit } from '../../core/action.ts'
import type { Event, EventRecord } from '../../core/event.ts'
import { fieldParam } from '../../core/params.ts'
import { compileComparison } from '../../core/rules/comparison.ts'
import { DueHeap, justAfter } from '../../core/rules/due-heap.ts'
import { savedMap, savedNumber } from '../../core/rules/journal.ts'
import { compileNumber } from '../../core/rules/number-field.ts'
import { lintRule, resolveParam, ruleParams, timeframeParam } from '../../core/rules/params.ts'
import { createRule } from '../../core/rules/rule.ts'
import type { View } from '../../core/rules/window-view.ts'
import { Windows } from '../../core/rules/windows.ts'

/** The form in which windows are saved. */
const form = 'filter_spike/1'

const forever = Number.POSITIVE_INFINITY
const longAgo = Number.NEGATIVE_INFINITY

/** What an incident is about. */
const none = 0
const up = 1
const down = 2

export const filterSpike = defineAction({
  kind: 'filter',
  name: 'filter_spike',
  summary: 'Gives an alert when a key has many more events, or many fewer, than in the time before.',
  details: `Two windows lie one behind the other, each \`timeframe\` long: at a moment x, the current one holds the events of the key after
x - \`timeframe\` up to x, the reference those after x - 2 × \`timeframe\` up to x - \`timeframe\`. What is compared is how many events they
hold, or, with \`field_value\`, the mean of that field.

- \`up\` is looked at with each event of the key, x being the newest time of its events: current ≥ \`spike_height\` × reference.
- \`down\` is looked at by the clock, at every moment, also in complete silence: current × \`spike_height\` ≤ reference. The alert tells the
  first moment at which it is so. All events of a moment count before it is looked at.

There is no alert before x is two timeframes after the first event of the key; nor unless the windows hold \`threshold_cur\` and
\`threshold_ref\` events, and the reference at least one. A key that fell silent, with no event in the current window, is a fall
whatever \`threshold_cur\` and the reference mean are. Means below 0 are not compared. After an alert the key starts over at its
moment, as if it had never been seen; what is older than that moment, or than both windows, is counted as \`late\` and passes on.

The alert's record holds \`timestamp\`, \`rule\`, \`query_key\` (when it is set), \`spike_height\` (the larger divided by the smaller; null when
the smaller is 0 or nothing), \`spike_type\` (\`up\` or \`down\`), \`current\` (null for the mean of no event) and \`reference\`. An alert for a
rise follows the event that caused it.

With \`resolve\`, it is over when for a whole timeframe the current window, in which only events since the alert count, was not any
more so much larger (or smaller) than the \`reference\` that the alert told. No event is not larger, but is smaller.

The times of all events in two timeframes are kept, in 8 to 16 bytes an event, or 16 to 32 with \`field_value\`; those of a key are saved
as a whole, 9 bytes each (or 18), in each commit in which it had an event. Ask for no longer a timeframe than it takes where one key
has hundreds of events a second.`,
  params: z.strictObject({
    ...ruleParams,
    timeframe: timeframeParam.describe('Length of each of the two windows in seconds.'),
    spike_height: z
      .number()
      .min(1)
      .max(1_000_000_000)
      .describe('How many times larger, or smaller, the current window is at least than the one before it.'),
    spike_type: z.enum(['up', 'down', 'both']).describe('Whether a rise, a fall, or either gives an alert.'),
    field_value: fieldParam
      .optional()
      .describe(
        'The field whose mean is compared instead of the number of events. An event in which it is neither a number nor a text that is one passes on, and the counter `no_value` goes up.',
      ),
    threshold_cur: z
      .int()
      .min(0)
      .max(1_000_000_000)
      .default(0)
      .describe('How many events the current window must hold at least, unless the key fell silent.'),
    threshold_ref: z
      .int()
      .min(0)
      .max(1_000_000_000)
      .default(0)
      .describe('How many events the window before it must hold at least.'),
    resolve: resolveParam,
  }),
  examples: [
    {
      title: 'Three times as many requests as in the minute before',
      yaml: `- name: filter_spike
  match: web
  tag: alert
  query_key: site
  timeframe: 60
  spike_height: 3
  spike_type: up
  threshold_cur: 3
  alert:
    message: "{site}: {current} requests, {reference} before"
`,
      in: [
        { tag: 'web', timestamp: 1600000000, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000050, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000115, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000130, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000135, record: { site: 'shop' } },
      ],
      out: [
        { tag: 'web', timestamp: 1600000000, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000050, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000115, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000130, record: { site: 'shop' } },
        { tag: 'web', timestamp: 1600000135, record: { site: 'shop' } },
        {
          tag: 'alert',
          timestamp: 1600000135,
          record: {
            timestamp: 1600000135,
            rule: 'filter_spike',
            query_key: 'shop',
            spike_height: 3,
            spike_type: 'up',
            current: 3,
            reference: 1,
            message: 'shop: 3 requests, 1 before',
          },
        },
      ],
    },
    {
      title: 'A sensor whose readings fall to a third, or that falls silent',
      yaml: `- name: filter_spike
  match: sensor
  tag: alert
  timeframe: 10
  spike_height: 3
  spike_type: down
  field_value: pressure
`,
      in: [
        { tag: 'sensor', timestamp: 1600000000, record: { pressure: 90 } },
        { tag: 'sensor', timestamp: 1600000012, record: { pressure: 90 } },
        { tag: 'sensor', timestamp: 1600000019, record: { pressure: 20 } },
        { tag: 'clock', timestamp: 1600000030, record: {} },
      ],
      out: [
        { tag: 'sensor', timestamp: 1600000000, record: { pressure: 90 } },
        { tag: 'sensor', timestamp: 1600000012, record: { pressure: 90 } },
        { tag: 'sensor', timestamp: 1600000019, record: { pressure: 20 } },
        {
          tag: 'alert',
          timestamp: 1600000022,
          record: {
            timestamp: 1600000022,
            rule: 'filter_spike',
            spike_height: 4.5,
            spike_type: 'down',
            current: 20,
            reference: 90,
          },
        },
        { tag: 'clock', timestamp: 1600000030, record: {} },
      ],
    },
  ],
  lint: lintRule,
  create(params, context) {
    const { timeframe, spike_height, spike_type, field_value, threshold_cur, resolve } = params
    const { time, count } = context
    const rises = spike_type !== 'down'
    const falls = spike_type !== 'up'
    const means = field_value !== undefined
    const wait = 2 * timeframe
    const compare = compileComparison({
      height: spike_height,
      leastCurrent: threshold_cur,
      leastReference: params.threshold_ref,
      means,
    })
    const rule = createRule({ form, params, context, meaning: field_value, resolve })
    const { keyOf, table, alerts } = rule
    const { keys } = table
    const numberOf = means ? compileNumber(field_value) : () => 0
    const windows = new Windows(keys, { timeframe, values: means, clock: falls || resolve })
    /** The moment at which the key started over. */
    const fired = keys.float64(longAgo)
    /** What the last firing was about, until its incident is over: its direction, and the reference that was told. */
    const incidents = keys.int32(none)
    const references = keys.float64(0)
    /** 1 while the condition of the incident does not hold. */
    const ended = keys.int32(0)
    /** The next moment at which to look at a key. Its tick comes just after it, because events at that moment count. */
    const looks = keys.float64(forever)
    const dues = new DueHeap(keys)

    table.remember({
      forget(slot) {
        // Nothing keeps an incident open of which nothing is known any more.
        if (at(incidents.data, slot) !== none && at(ended.data, slot) === 0) {
          alerts.endsAt(keys.keyAt(slot), time.now + timeframe)
        }
        windows.clear(slot)
        dues.delete(slot)
      },
      write(slot, writer) {
        const incident = at(incidents.data, slot)
        writer.mapHeader((means ? 6 : 5) + (incident === none ? 0 : 3))
        // All moments before this one have been looked at.
        writer.str('at').number(time.now).str('timeframe').number(timeframe)
        writer.str('fired').number(at(fired.data, slot)).str('first').number(windows.first(slot))
        windows.write(slot, writer)
        if (incident === none) return
        writer.str('incident').number(incident).str('reference').number(at(references.data, slot))
        writer.str('ended').number(at(ended.data, slot))
      },
      read(slot, value) {
        const saved = savedMap(value)
        windows.read(slot, saved)
        const first = savedNumber(saved.first)
        const before = savedNumber(saved.timeframe)
        // Of longer windows than there were, only these are known.
        const known = before < timeframe ? windows.newest.moment(slot) - 2 * before : longAgo
        windows.startAt(slot, Math.max(first, known))
        fired.data[slot] = savedNumber(saved.fired)
        if (saved.incident !== undefined && resolve) {
          incidents.data[slot] = savedNumber(saved.incident)
          references.data[slot] = savedNumber(saved.reference)
          ended.data[slot] = savedNumber(saved.ended)
        }
        plan(slot, savedNumber(saved.at))
      },
    })

    /** What an alert says, and the key starts over. */
    function spike(slot: number, direction: number, view: View, moment: number): EventRecord {
      const current = compare.currentOf(view, slot)
      const reference = compare.referenceOf(view, slot)
      const ratio = direction === up ? (current ?? 0) / reference : reference / (current ?? 0)
      windows.clear(slot)
      fired.data[slot] = moment
      lookAt(slot, forever)
      if (resolve) {
        incidents.data[slot] = direction
        references.data[slot] = reference
        ended.data[slot] = 0
      }
      return {
        spike_height: Number.isFinite(ratio) ? ratio : null,
        spike_type: direction === up ? 'up' : 'down',
        current,
        reference,
      }
    }

    function lookAt(slot: number, moment: number): void {
      looks.data[slot] = moment
      dues.set(slot, justAfter(moment))
    }

    /** After an event, or after it was read: from this moment on everything is to be looked at. */
    function plan(slot: number, now: number): void {
      const moment = at(incidents.data, slot) !== none ? now : falls ? mayFallAt(slot, now) : forever
      // An earlier look does no harm: it is put off then. That is cheaper than to move it with each event.
      if (at(looks.data, slot) > moment) lookAt(slot, moment)
    }

    /** The first moment from `now` on at which there may be a fall, if no event comes. */
    function mayFallAt(slot: number, now: number): number {
      const events = windows.count(slot)
      const start = Math.max(now, windows.first(slot) + wait)
      if (!means) return Math.max(start, fewAt(slot, events))
      if (compare.mostWhenDown(events) < 0) return forever
      if (start > now) return start
      windows.clock.move(slot, now)
      return compare.isDown(windows.clock, slot) ? now : windows.clock.nextChange(slot)
    }

    /** When the current window is so empty that, with so many events in the two, it may be a fall. */
    function fewAt(slot: number, events: number): number {
      const most = compare.mostWhenDown(events)
      if (most < 0) return forever
      return windows.timeAt(slot, windows.count(slot) - 1 - (most < threshold_cur ? 0 : most)) + timeframe
    }

    function look(slot: number, emit: Emit): void {
      const moment = at(looks.data, slot)
      const view = windows.clock
      looks.data[slot] = forever
      view.move(slot, moment)
      if (falls && moment >= windows.first(slot) + wait && compare.isDown(view, slot)) {
        const alert = alerts.fire(keys.keyAt(slot), moment, spike(slot, down, view, moment))
        if (resolve) alerts.endsAt(keys.keyAt(slot), forever)
        table.touch(slot)
        if (alert !== undefined) emit(alert)
      }
      if (at(incidents.data, slot) !== none) judge(slot, moment)
      const next = nextLook(slot, moment)
      if (next < forever) lookAt(slot, next)
    }

    /** Whether the condition of the incident still holds. */
    function judge(slot: number, moment: number): void {
      const key = keys.keyAt(slot)
      if (!alerts.isOpen(key)) {
        incidents.data[slot] = none
        table.touch(slot)
        return
      }
      const current = compare.currentOf(windows.clock, slot)
      const reference = at(references.data, slot)
      const holds =
        at(incidents.data, slot) === up
          ? current !== null && compare.isLarger(current, reference)
          : windows.clock.current(slot) === 0 || current === null || compare.isLarger(reference, current)
      const isOver = holds ? 0 : 1
      if (at(ended.data, slot) === isOver) return
      ended.data[slot] = isOver
      alerts.endsAt(key, holds ? forever : moment + timeframe)
      table.touch(slot)
    }

    /** The next moment of interest if no event comes. */
    function nextLook(slot: number, moment: number): number {
      const view = windows.clock
      const start = falls ? windows.first(slot) + wait : forever
      if (at(incidents.data, slot) !== none) {
        return start > moment ? Math.min(start, view.nextChange(slot)) : view.nextChange(slot)
      }
      const current = view.current(slot)
      const events = current + view.reference(slot)
      if (!falls || compare.mostWhenDown(events) < 0) return forever
      if (start > moment) return means ? start : Math.max(start, fewAt(slot, events))
      if (means) return view.nextChange(slot)
      const next = fewAt(slot, events)
      // So few, but neither enough nor none: then it takes silence.
      return next > moment ? next : windows.timeAt(slot, windows.count(slot) - 1) + timeframe
    }

    function see(event: Event): Event | undefined {
      const key = keyOf(event.record)
      if (key === undefined) return undefined
      const value = numberOf(event.record)
      if (value === undefined) {
        count('no_value')
        return undefined
      }
      const now = time.timeOf(event)
      const slot = keys.see(key)
      if (!(now >= at(fired.data, slot) && windows.add(slot, now, value))) {
        count('late')
        return undefined
      }
      const newest = windows.newest.moment(slot)
      let alert: Event | undefined
      if (rises && newest >= windows.first(slot) + wait && compare.isUp(windows.newest, slot)) {
        alert = alerts.fire(key, now, spike(slot, up, windows.newest, newest), event)
        if (resolve) alerts.endsAt(key, forever)
      }
      plan(slot, time.now)
      return alert
    }

    if (!falls && !resolve) return rule.filter(see)
    return rule.filter(see, {
      get due() {
        return dues.next
      },
      tick(now, emit) {
        while (dues.next <= now) {
          // In an order that a restart does not change.
          const slots = dues.take().sort((a, b) => keys.sightAt(a) - keys.sightAt(b))
          for (const slot of slots) look(slot, emit)
        }
      },
    })
  },
})

function at(column: Float64Array | Int32Array, slot: number): number {
  return column[slot] ?? 0
}
