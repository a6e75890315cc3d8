// Makes the same events again and again: to try a pipeline, or to load it.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { cloneEvent, type Event } from '../../core/event.ts'
import { createWindow } from '../../core/in-flight.ts'
import { inputStateParam, tagParam } from '../../core/params.ts'

/** Events sent in one go, at most. */
const batchSize = 1000
/** In its position: events sent. */
const sentKey = 'sent'

const record = z.record(z.string(), z.unknown())

export const inputDummy = defineAction({
  kind: 'input',
  name: 'input_dummy',
  summary: 'Makes events from data in the configuration: to try a pipeline, or to put load on it.',
  details: 'With `state_dir`, a restart goes on where it was: what was sent before counts.',
  params: z.strictObject({
    tag: tagParam.describe('The tag of the events.'),
    data: z
      .union([record, z.array(record).min(1)])
      .default({})
      .describe('The record of the event, or a list of records that are sent one after another at each repeat.'),
    repeat: z
      .int()
      .default(1)
      .describe('How many times the data is sent. 0 sends nothing; a negative number goes on without end.'),
    rate: z.number().positive().optional().describe('Events a second. Without it, as fast as the pipeline takes them.'),
    db_path: inputStateParam,
  }),
  examples: [
    {
      title: 'One event, then the end',
      yaml: '- name: input_dummy\n  tag: my_log\n  data:\n    log: my log\n',
      out: [{ tag: 'my_log', record: { log: 'my log' } }],
    },
    {
      title: 'Two records, twice',
      yaml: '- name: input_dummy\n  tag: test\n  data: [{ n: 1 }, { n: 2 }]\n  repeat: 2\n',
      out: [1, 2, 1, 2].map((n) => ({ tag: 'test', record: { n } })),
    },
  ],
  create({ tag, data, repeat, rate }, { clock }) {
    const records = Array.isArray(data) ? data : [data]
    const total = repeat < 0 ? Number.POSITIVE_INFINITY : repeat * records.length
    return {
      async run({ emit, positions, signal, progress }) {
        const window = createWindow()
        const size = rate === undefined ? batchSize : Math.max(1, Math.min(batchSize, Math.round(rate / 10)))
        const start = clock.now()
        const before = Number(positions.get(sentKey) ?? 0)
        let sent = before
        while (sent < total && !signal.aborted) {
          const batch: Event[] = []
          const timestamp = clock.now()
          while (batch.length < size && sent < total) {
            const next = records[sent++ % records.length] ?? {}
            batch.push(cloneEvent({ tag, timestamp, record: next }))
          }
          await window.add(emit(batch, { [sentKey]: sent }), batch.length)
          if (repeat >= 0) progress(sent, total)
          if (rate !== undefined) await clock.sleep(start + (sent - before) / rate - clock.now(), signal)
        }
        await window.drain()
      },
    }
  },
})
