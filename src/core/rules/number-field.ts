// A field that is a number, or a text that is one: what parsers leave of a log line are texts.
import type { EventRecord } from '../event.ts'
import { compileField } from '../field.ts'

/** Beyond it sums of many numbers might not be finite. */
const largest = 1e290
/** Characters. */
const longestText = 64
const decimal = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/

/** The number, or undefined when the field holds none. */
export function compileNumber(path: string): (record: EventRecord) => number | undefined {
  const field = compileField(path)
  return (record) => {
    const value = field.get(record)
    const number = typeof value === 'number' ? value : numberIn(value)
    return Math.abs(number) <= largest ? number : undefined
  }
}

function numberIn(value: unknown): number {
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'string' && value.length <= longestText && decimal.test(value) ? Number(value) : Number.NaN
}
