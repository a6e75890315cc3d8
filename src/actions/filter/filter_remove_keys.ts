// Removes fields from records.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { copyWithout } from '../../core/event.ts'
import { compileField, lastFirst } from '../../core/field.ts'
import { fieldParam, matchParam, noStateParam } from '../../core/params.ts'

export const filterRemoveKeys = defineAction({
  kind: 'filter',
  name: 'filter_remove_keys',
  summary: 'Removes fields.',
  params: z.strictObject({
    match: matchParam,
    keys: z
      .union([fieldParam, z.array(fieldParam).min(1)])
      .describe('The field to remove, or a list of them; dotted paths. What a record does not have is left alone.'),
    db_path: noStateParam,
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
    const paths = [keys].flat()
    const names = paths.filter((path) => !path.includes('.'))
    const nameSet = new Set(names)
    const fields = lastFirst(paths.filter((path) => path.includes('.')).map(compileField))
    return {
      apply(event, emit) {
        const { record } = event
        for (const field of fields) field.remove(record)
        for (let i = 0; i < names.length; i++) {
          if (!Object.hasOwn(record, names[i] as string)) continue
          event.record = copyWithout(record, nameSet)
          break
        }
        emit(event)
      },
    }
  },
})
