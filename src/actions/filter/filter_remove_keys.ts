// Removes fields from records.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { compileField, lastFirst } from '../../core/field.ts'
import { fieldParam, matchParam } from '../../core/params.ts'

export const filterRemoveKeys = defineAction({
  kind: 'filter',
  name: 'filter_remove_keys',
  summary: 'Removes fields.',
  params: z.strictObject({
    match: matchParam,
    keys: z
      .union([fieldParam, z.array(fieldParam).min(1)])
      .describe('The field to remove, or a list of them; dotted paths. What a record does not have is left alone.'),
  }),
  examples: [
    {
      title: 'One field',
      yaml: '- name: filter_remove_keys\n  match: "*"\n  keys: password\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { user: 'root', password: 'secret' } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { user: 'root' } }],
    },
    {
      title: 'Several, one of them inside a map',
      yaml: '- name: filter_remove_keys\n  keys: [pid, http.headers.cookie]\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { pid: 7, http: { headers: { cookie: 'x', host: 'a' } } } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { http: { headers: { host: 'a' } } } }],
    },
  ],
  create({ keys }) {
    const fields = lastFirst([keys].flat().map(compileField))
    return {
      apply(event, emit) {
        for (const field of fields) field.remove(event.record)
        emit(event)
      },
    }
  },
})
