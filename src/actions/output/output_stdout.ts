// Prints events: one line each, for people and for pipes.
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { FeedooError, messageOf, systemCode } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { indentJson, stringifyJson } from '../../core/json.ts'
import { outputParams } from '../../core/params.ts'

/** Milliseconds before a full pipe is tried again. */
const pipeFullDelay = 5

export const outputStdout = defineAction({
  kind: 'output',
  name: 'output_stdout',
  summary: 'Prints each event on the standard output as `tag[timestamp]: {"json":"record"}`.',
  params: z.strictObject({
    ...outputParams,
    format: z
      .enum(['json', 'pretty'])
      .default('json')
      .describe('`json`: the record on the same line. `pretty`: indented, over several lines.'),
  }),
  examples: [
    {
      title: 'Print everything',
      yaml: '- name: output_stdout\n  match: "*"\n',
      in: [{ tag: 'my_log', timestamp: 1600000000, record: { log: 'my log' } }],
      out: [{ tag: 'my_log', timestamp: 1600000000, record: { log: 'my log' } }],
      prints: 'my_log[1600000000]: {"log":"my log"}\n',
    },
  ],
  create({ format }, { deadLetter }) {
    const show = format === 'pretty' ? indentJson : stringifyJson
    const print = (event: Event): string => `${printable(event.tag)}[${event.timestamp}]: ${show(event.record)}\n`
    const textOf = (events: readonly Event[]): string => {
      let text = ''
      for (const event of events) {
        try {
          text += print(event)
        } catch (cause) {
          deadLetter(event, new FeedooError('RECORD_UNWRITABLE', messageOf(cause), { cause }))
        }
      }
      return text
    }
    /** The batch that a write has begun, and what of it is not printed yet: a retry goes on there. */
    let begun: readonly Event[] | undefined
    let left: Buffer = Buffer.alloc(0)
    return {
      async write(events) {
        if (begun !== events) {
          left = Buffer.from(textOf(events))
          begun = events
        }
        while (left.length > 0) left = left.subarray(await writeSome(left))
        begun = undefined
      },
    }
  },
})

/**
 * Writes straight to the descriptor: what process.stdout has buffered is lost when a worker ends. Returns the bytes
 * that were written. Throws STDOUT_CLOSED when nobody reads any more, which ends the pipeline, and OUTPUT_UNAVAILABLE,
 * retriable.
 */
async function writeSome(bytes: Buffer): Promise<number> {
  try {
    return writeSync(1, bytes)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'EAGAIN') {
      await delay(pipeFullDelay)
      return 0
    }
    if (code === 'EPIPE') throw new FeedooError('STDOUT_CLOSED', 'nobody reads the standard output any more', { cause })
    const message = `cannot write to the standard output: ${messageOf(cause)}`
    throw new FeedooError('OUTPUT_UNAVAILABLE', message, { cause, retriable: true })
  }
}

function printable(tag: string): string {
  return tag.replace(/[\u0000-\u001f\u007f-\u009f]/g, '_')
}
