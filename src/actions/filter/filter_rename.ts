// Gives fields other names.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { cloneValue, copyWithout, type EventRecord, isPlainObject } from '../../core/event.ts'
import { compileField, lastFirst } from '../../core/field.ts'
import { fieldParam, matchParam, noStateParam } from '../../core/params.ts'

export const filterRename = defineAction({
  kind: 'filter',
  name: 'filter_rename',
  summary: 'Renames fields.',
  details: `All fields are taken out first and put back under their new names then, so that two fields can change places. A field that
stood under the new name is overwritten. An event in which a new name cannot be set, because what it leads through is not a map,
passes on untouched and is counted as an error.`,
  params: z.strictObject({
    match: matchParam,
    keys: z
      .record(fieldParam, fieldParam)
      .describe(
        'A map of old name to new name; both are dotted paths. An old name that a record does not have is ignored.',
      ),
    db_path: noStateParam,
  }),
  examples: [
    {
      title: 'One field',
      yaml: '- name: filter_rename\n  match: "*"\n  keys:\n    src: source\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { src: '192.0.2.1' } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { source: '192.0.2.1' } }],
    },
    {
      title: 'Change places, and move into a map',
      yaml: '- name: filter_rename\n  keys:\n    a: b\n    b: a\n    port: source.port\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { a: 1, b: 2, port: 80, source: { ip: '192.0.2.1' } } }],
      out: [{ tag: 'app', timestamp: 1600000000, record: { a: 2, b: 1, source: { ip: '192.0.2.1', port: 80 } } }],
    },
  ],
  create({ keys }, { countError }) {
    const pairs = Object.entries(keys)
    const from = pairs.map(([old]) => compileField(old))
    const to = pairs.map(([, name]) => compileField(name))
    const names = new Set(from.map(({ path }) => path).filter((path) => !path.includes('.')))
    const nested = lastFirst(from.filter(({ path }) => path.includes('.')))
    const targets = to.filter(({ path }) => path.includes('.')).map(({ path }) => path.split('.'))
    // With these a look at the record does not tell whether a new name can be set.
    const entangled = targets.some((parts) => pairs.some(([, name]) => leadsThrough(parts, name)))
    const values: unknown[] = new Array(pairs.length)

    /** Reads what is to be renamed; false when there is nothing. */
    const read = (record: EventRecord): boolean => {
      let found = false
      for (let i = 0; i < from.length; i++) {
        values[i] = from[i]?.get(record)
        if (values[i] !== undefined) found = true
      }
      return found
    }
    /** The record under its new names; undefined when one could not be set, and `record` is half done then. */
    const rename = (record: EventRecord): EventRecord | undefined => {
      for (const field of nested) field.remove(record)
      const renamed = names.size > 0 ? copyWithout(record, names) : record
      let complete = true
      for (let i = 0; i < to.length; i++) {
        if (values[i] !== undefined && to[i]?.set(renamed, values[i]) === false) complete = false
      }
      return complete ? renamed : undefined
    }

    return {
      apply(event, emit) {
        const { record } = event
        if (read(record)) {
          const inPlace = targets.length === 0 || (!entangled && targets.every((parts) => isOpen(record, parts)))
          const copy = inPlace ? record : (cloneValue(record) as EventRecord)
          if (!inPlace) read(copy)
          const renamed = rename(copy)
          if (renamed === undefined) countError(event)
          else event.record = renamed
        }
        emit(event)
      },
    }
  },
})

function leadsThrough(parts: readonly string[], name: string): boolean {
  return parts.some((_, i) => i > 0 && parts.slice(0, i).join('.') === name)
}

/** Every step of the path is a map or missing, and stays so whatever is taken out of the record. */
function isOpen(record: EventRecord, parts: readonly string[]): boolean {
  let current: unknown = record
  for (let i = 0; i < parts.length - 1; i++) {
    if (!isPlainObject(current)) return false
    const part = parts[i] as string
    if (!Object.hasOwn(current, part)) return true
    current = current[part]
  }
  return isPlainObject(current)
}
