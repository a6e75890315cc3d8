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
    const textOf = format === 'pretty' ? indentJson : stringifyJson
    const print = (event: Event): string => `${printable(event.tag)}[${event.timestamp}]: ${textOf(event.record)}\n`
    return {
      async write(events) {
        let text = ''
        for (const event of events) {
          try {
            text += print(event)
          } catch (cause) {
            deadLetter(event, new FeedooError('RECORD_UNWRITABLE', messageOf(cause), { cause }))
          }
        }
        await writeAll(Buffer.from(text))
      },
    }
  },
})

/** Writes straight to the descriptor: what process.stdout has buffered is lost when a worker ends. */
async function writeAll(bytes: Buffer): Promise<void> {
  let offset = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(1, bytes, offset)
    } catch (cause) {
      if (systemCode(cause) === 'EAGAIN') await delay(pipeFullDelay)
      else throw new FeedooError('STDOUT_CLOSED', `cannot write to the standard output: ${messageOf(cause)}`, { cause })
    }
  }
}

function printable(tag: string): string {
  return tag.replace(/[\u0000-\u001f\u007f-\u009f]/g, '_')
}
