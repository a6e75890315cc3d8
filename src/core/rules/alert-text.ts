// The `alert` map of a rule: the fields of its alerts, with `{field}`s in their texts.
import { assignOwn, cloneValue, type EventRecord, isPlainObject, setOwn } from '../event.ts'
import { compileField } from '../field.ts'
import { stringifyJson } from '../json.ts'
import { parseTemplate } from '../template.ts'

/** Puts the `alert` map over what a rule has computed; `cause` is the record of the event, if one caused it. */
export type AlertFields = (computed: EventRecord, cause: EventRecord | undefined) => EventRecord

type Fill = (computed: EventRecord, cause: EventRecord | undefined) => unknown

export function compileAlert(alert: EventRecord): AlertFields {
  const put = compileMap(alert)
  return (computed, cause) => put(assignOwn({}, computed), computed, cause)
}

function compileMap(map: EventRecord): (target: EventRecord, ...from: Parameters<Fill>) => EventRecord {
  const fills = Object.keys(map).map((key) => ({ key, fill: compileValue(map[key]) }))
  return (target, computed, cause) => {
    for (const { key, fill } of fills) setOwn(target, key, fill(computed, cause))
    return target
  }
}

function compileValue(value: unknown): Fill {
  if (typeof value === 'string') return compileText(value)
  if (Array.isArray(value)) {
    const fills = value.map(compileValue)
    return (computed, cause) => fills.map((fill) => fill(computed, cause))
  }
  if (isPlainObject(value)) {
    const put = compileMap(value)
    return (computed, cause) => put({}, computed, cause)
  }
  return () => cloneValue(value)
}

/** Always a text, also when it is nothing but one field. */
function compileText(text: string): Fill {
  const parts = parseTemplate(text).map((part) => {
    if (part.kind === 'text') return part.format
    return { field: compileField(part.path), braces: `{${part.path}}` }
  })
  if (parts.every((part) => typeof part === 'string')) return () => text
  return (computed, cause) => {
    let filled = ''
    for (const part of parts) {
      if (typeof part === 'string') {
        filled += part
        continue
      }
      let value = part.field.get(computed)
      if (value === undefined && cause !== undefined) value = part.field.get(cause)
      filled += textOf(value) ?? part.braces
    }
    return filled
  }
}

/** Undefined for what has no text. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' || value === undefined) return value
  try {
    return stringifyJson(value)
  } catch (error) {
    // Who sends what is nested deeper than the stack must not get rid of the alert by that.
    if (error instanceof RangeError) return undefined
    throw error
  }
}
