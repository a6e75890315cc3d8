// `query_key` and its like: fields of an event as one key, by which a rule tells events apart.
import type { EventRecord } from '../event.ts'
import { compileField } from '../field.ts'
import { compoundKey, identityText, type Key, keyOf, maxKeyLength } from './identity.ts'

/** The key of a rule without `query_key`. */
export const onlyKey = null

/** The key of an event; undefined when a field is absent. One field gives its value, a list of fields the list of values. */
export type KeyReader = (record: EventRecord) => Key | undefined

export function compileKey(fields: string | readonly string[] | undefined): KeyReader {
  return fields === undefined ? () => onlyKey : compileFields(fields)
}

export interface FieldsOptions {
  /** What counts in place of a value, undefined when it is absent; undefined: there is no key. Default: the value. */
  value?(value: unknown): unknown
  /** Characters of a text that is kept as a whole. */
  maxLength?: number
}

export function compileFields(fields: string | readonly string[], options: FieldsOptions = {}): KeyReader {
  const { value: read = asItIs, maxLength = maxKeyLength } = options
  if (typeof fields === 'string') {
    const field = compileField(fields)
    if (read === asItIs) return (record) => keyOf(field.get(record), maxLength)
    return (record) => keyOf(read(field.get(record)), maxLength)
  }
  const compiled = fields.map(compileField)
  return (record) => {
    let text = '['
    for (let i = 0; i < compiled.length; i++) {
      const value = read(compiled[i]?.get(record))
      if (value === undefined) return undefined
      text += i === 0 ? identityText(value) : `,${identityText(value)}`
    }
    return compoundKey(`${text}]`, maxLength)
  }
}

function asItIs(value: unknown): unknown {
  return value
}
