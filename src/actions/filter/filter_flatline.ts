// Tells when events fail to come.
import { z } from 'zod'
import { defineAction, type Emit } from '../../core/action.ts'
import { DueHeap, justAfter } from '../../core/rules/due-heap.ts'
import { savedMap, savedNumber } from '../../core/rules/journal.ts'
import { none } from '../../core/rules/keys.ts'
import { lintRule, resolveParam, ruleParams, timeframeParam } from '../../core/rules/params.ts'
import { onlyKey } from '../../core/rules/query-key.ts'
import { createRule } from '../../core/rules/rule.ts'
import { Times } from '../../core/rules/times.ts'
import { isTime } from '../../core/timeline.ts'

/** The form in which windows are saved. */
const form = 'filter_flatline/1'

const forever = Number.POSITIVE_INFINITY
/** Repeats of a key's alert, at most, when the time leaps ahead: one event with a wrong time must not give alerts for years. */
const maxRepeats = 1000
const enough = 0
const lowNow = 1
const asleep = 2

export const filterFlatline = defineAction({
  kind: 'filter',
  name: 'filter_flatline',
  summary: 'Gives an alert when fewer events come within a time than should.',
  details: `Found by the clock, also in complete silence: at the moment when the \`timeframe\` that ends there holds fewer than \`threshold\`
events of the key. An event exactly \`timeframe\` ago is outside. A whole timeframe is waited for first: after the key's first
event, or, without \`query_key\`, after the start, so that there is an alert even if nothing ever came. While it stays that
way, there is another alert each timeframe; with \`forget_keys\` there is one, and the key begins afresh when it is back. When
the time leaps ahead, by an event whose time is wrong, only the last 1,000 of a key are told (\`repeats_left_out\` counts the others).

The time is that of the events: it stands where the newest one of the pipeline is, and goes on by the wall clock when none
comes for half a second. In a replay only events move it.

The alert's record holds \`timestamp\` (the moment), \`rule\`, \`query_key\` (when it is set), \`number_of_event\` (those there were) and
\`threshold\`. With \`resolve\`, it is over when there were enough events at every moment of a whole timeframe.`,
  params: z.strictObject({
    ...ruleParams,
    threshold: z.int().min(1).max(10_000_000).describe('How many events there must be at least within the timeframe.'),
    timeframe: timeframeParam.describe(
      'Length of the window in seconds. Longer than the longest pause that is normal.',
    ),
    forget_keys: z
      .boolean()
      .default(false)
      .describe('Forgets a key after its alert: one alert, instead of one each timeframe until it is back.'),
    resolve: resolveParam,
  }),
  examples: [
    {
      title: 'A heartbeat that stops',
      yaml: `- name: filter_flatline
  match: heartbeat
  tag: alert
  query_key: host
  threshold: 1
  timeframe: 90
  alert:
    message: "{query_key} is silent"
`,
      in: [
        { tag: 'heartbeat', timestamp: 1600000000, record: { host: 'web' } },
        { tag: 'heartbeat', timestamp: 1600000010, record: { host: 'db' } },
        { tag: 'heartbeat', timestamp: 1600000060, record: { host: 'web' } },
        { tag: 'heartbeat', timestamp: 1600000120, record: { host: 'web' } },
      ],
      out: [
        { tag: 'heartbeat', timestamp: 1600000000, record: { host: 'web' } },
        { tag: 'heartbeat', timestamp: 1600000010, record: { host: 'db' } },
        { tag: 'heartbeat', timestamp: 1600000060, record: { host: 'web' } },
        {
          tag: 'alert',
          timestamp: 1600000100,
          record: {
            timestamp: 1600000100,
            rule: 'filter_flatline',
            query_key: 'db',
            number_of_event: 0,
            threshold: 1,
            message: 'db is silent',
          },
        },
        { tag: 'heartbeat', timestamp: 1600000120, record: { host: 'web' } },
      ],
    },
  ],
  lint: lintRule,
  create(params, context) {
    const { query_key, threshold, timeframe, forget_keys, resolve } = params
    const { time, count, log } = context
    const rule = createRule({ form, params, context, resolve })
    const { keyOf, table, alerts } = rule
    const { keys } = table
    /** The newest `threshold` times of a key, however old: the oldest of them says when there are too few. */
    const times = new Times(keys, { timeframe: forever, full: forever, most: threshold })
    const dues = new DueHeap(keys)
    /** From when on a key is watched, and when it last had too few events. */
    const since = keys.float64(0)
    const fired = keys.float64(Number.NEGATIVE_INFINITY)
    /** `lowNow` from a firing until there are enough events again, `asleep` when nothing is expected before an event comes. */
    const low = keys.int32(0)
    /** Without a key of their own, events are expected from the start; not any more once they have been told to be missing. */
    let expected = query_key === undefined
    let refused = 0

    table.remember({
      forget(slot) {
        times.clear(slot)
        dues.delete(slot)
      },
      write(slot, writer) {
        const kept = times.times(slot)
        writer
          .mapHeader(6)
          .str('threshold')
          .number(threshold)
          .str('since')
          .number(at(since.data, slot))
          .str('fired')
          .number(at(fired.data, slot))
        writer.str('low').number(at(low.data, slot)).str('newest').number(times.newest(slot))
        writer.str('times').arrayHeader(kept.length)
        for (const one of kept) writer.number(one)
      },
      read(slot, value) {
        const saved = savedMap(value)
        since.data[slot] = savedNumber(saved.since)
        fired.data[slot] = savedNumber(saved.fired)
        low.data[slot] = savedNumber(saved.low)
        if (!Array.isArray(saved.times)) throw new Error('the times of a window are missing')
        const newest = savedNumber(saved.newest)
        times.restore(slot, newest, saved.times.map(savedNumber))
        const kept = savedNumber(saved.threshold)
        // There may have been more events than a lower threshold kept: what is not known is no reason for an alert.
        if (kept < threshold && saved.times.length === kept) {
          since.data[slot] = Math.max(at(since.data, slot), newest)
          if (refused++ === 0) log.info('threshold is higher than it was: each key is watched from its newest event on')
        }
        expected = false
        if (low.data[slot] !== asleep) plan(slot)
      },
    })

    /** When a key has too few events, if no more come: a tick just after it, because an event at that moment counts. */
    function lowAt(slot: number): number {
      const first = Math.max(at(since.data, slot), at(fired.data, slot), times.fromNewest(slot, threshold))
      return first + timeframe
    }

    function plan(slot: number): void {
      dues.set(slot, justAfter(lowAt(slot)))
    }

    function watch(slot: number, from: number): void {
      since.data[slot] = from
      expected = false
    }

    function fire(slot: number, emit: Emit): void {
      const moment = lowAt(slot)
      const key = keys.keyAt(slot)
      const own = { number_of_event: times.countAfter(slot, moment - timeframe), threshold }
      const alert = alerts.fire(key, moment, own)
      alerts.endsAt(key, forever)
      fired.data[slot] = moment + leap(moment)
      low.data[slot] = forget_keys ? asleep : lowNow
      // The only key stays: without it, its events would be expected from the start again.
      if (forget_keys && query_key !== undefined) keys.delete(slot)
      else table.touch(slot)
      if (!forget_keys) plan(slot)
      if (alert !== undefined) emit(alert)
    }

    /** Seconds after a moment for which repeats are left out. */
    function leap(moment: number): number {
      const repeats = forget_keys ? 0 : Math.floor((time.goal - moment) / timeframe)
      if (repeats <= maxRepeats) return 0
      count('repeats_left_out', repeats - maxRepeats)
      return (repeats - maxRepeats) * timeframe
    }

    /** The only key, of which nothing has come yet. */
    function expect(): void {
      const slot = keys.see(onlyKey)
      watch(slot, time.start)
      plan(slot)
    }

    return rule.filter(
      (event) => {
        const key = keyOf(event.record)
        if (key === undefined) return undefined
        if (expected) expect()
        const now = time.timeOf(event)
        const isLate = !(now > time.now - timeframe)
        if (isLate) count('late')
        if (!isTime(now)) return undefined
        const isNew = keys.find(key) === none
        const slot = keys.see(key)
        if (isNew) {
          // What came too late says nothing about the time since.
          watch(slot, isLate ? time.now : now)
          low.data[slot] = alerts.isOpen(key) ? lowNow : enough
        } else if (low.data[slot] === asleep) {
          watch(slot, isLate ? time.now : now)
          low.data[slot] = lowNow
        }
        times.add(slot, now)
        plan(slot)
        if (low.data[slot] === lowNow && times.fromNewest(slot, threshold) > time.now - timeframe) {
          low.data[slot] = enough
          alerts.endsAt(key, time.now + timeframe)
        }
        return undefined
      },
      {
        get due() {
          return expected ? justAfter(time.start + timeframe) : dues.next
        },
        tick(now, emit) {
          if (expected) expect()
          while (dues.next <= now) {
            // In an order that a restart does not change.
            const slots = dues.take().sort((a, b) => keys.sightAt(a) - keys.sightAt(b))
            for (const slot of slots) fire(slot, emit)
          }
        },
      },
    )
  },
})

function at(column: Float64Array | Int32Array, slot: number): number {
  return column[slot] ?? 0
}
