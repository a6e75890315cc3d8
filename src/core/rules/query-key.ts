// `query_key`: which events a rule counts together.
import type { EventRecord } from '../event.ts'
import { compileField } from '../field.ts'
import { compoundKey, identityText, type Key, keyOf } from './identity.ts'

/** The key of a rule without `query_key`. */
export const onlyKey = null

/** The key of an event; undefined when a field is absent. One field gives its value, a list of fields the list of values. */
export type KeyReader = (record: EventRecord) => Key | undefined

export function compileKey(fields: string | readonly string[] | undefined, maxLength?: number): KeyReader {
  if (fields === undefined) return () => onlyKey
  if (typeof fields === 'string') {
    const field = compileField(fields)
    return (record) => keyOf(field.get(record), maxLength)
  }
  const compiled = fields.map(compileField)
  return (record) => {
    let text = '['
    for (let i = 0; i < compiled.length; i++) {
      const value = compiled[i]?.get(record)
      if (value === undefined) return undefined
      text += i === 0 ? identityText(value) : `,${identityText(value)}`
    }
    return compoundKey(`${text}]`, maxLength)
  }
}
