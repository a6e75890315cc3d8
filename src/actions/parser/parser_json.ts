// Turns JSON text in a field into fields.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { messageOf } from '../../core/errors.ts'
import { isPlainObject } from '../../core/event.ts'
import { applyParsed, type Parse, parserParams, Unparsed } from '../../core/parsed.ts'

const notAnObject = new Unparsed('the JSON is not an object')

export const parserJson = defineAction({
  kind: 'parser',
  name: 'parser_json',
  summary: 'Parses JSON text in a field.',
  details: `The text must be one JSON object; with \`mode: tree\` it may be any JSON value. \`NaN\` and \`Infinity\`, which Python
writes, are not JSON and count as unparsable.

Numbers are IEEE 754 doubles: an integer beyond 2^53 (9007199254740992) loses its last digits. Send such an id as a string.
Of a key that stands twice in an object, the last one counts.`,
  params: z.strictObject({ ...parserParams }),
  examples: [
    {
      title: 'Fields in the place of the text',
      yaml: '- name: parser_json\n  match: "*"\n  key: log\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { log: '{"level":"info","user":{"id":7}}' } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { level: 'info', user: { id: 7 } } }],
    },
    {
      title: 'Fields beside the text',
      yaml: '- name: parser_json\n  key: log\n  mode: add\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { host: 'a', log: '{"level":"info"}' } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { host: 'a', log: '{"level":"info"}', level: 'info' } }],
    },
    {
      title: 'A tree below the field; what is no JSON passes on as it is',
      yaml: '- name: parser_json\n  key: log\n  mode: tree\n',
      in: [
        { tag: 'app', timestamp: 1600000000, record: { log: '{"level":"info"}' } },
        { tag: 'app', timestamp: 1600000001, record: { log: 'starting' } },
      ],
      out: [
        { tag: 'app', timestamp: 1600000000, record: { log: { level: 'info' } } },
        { tag: 'app', timestamp: 1600000001, record: { log: 'starting' } },
      ],
    },
  ],
  create(params, context) {
    const object: Parse<Record<string, unknown>> = (text) => {
      const value = parseJson(text)
      if (value instanceof Unparsed) return value
      return isPlainObject(value) ? value : notAnObject
    }
    return applyParsed(params, { object, any: parseJson }, context)
  },
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return new Unparsed(messageOf(error))
  }
}
