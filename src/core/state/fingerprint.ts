// What tells one configuration of a pipeline from another in its state: a hash of what it means.
import { createHash } from 'node:crypto'
import type { PipelineConfig } from '../config/types.ts'
import { stringifyJson } from '../json.ts'

/** The same for configurations that differ in nothing but comments, places, and the order of parameters. */
export function fingerprint({ actions }: PipelineConfig): string {
  const meaning = actions.map(({ name, label, params }) => [name, label, sorted(params)])
  return createHash('sha256').update(stringifyJson(meaning)).digest('hex').slice(0, 16)
}

/** Maps as lists of pairs in the order of their keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const pairs = Object.entries(value).map(([key, item]) => ({ key, item: sorted(item) }))
  return { pairs: pairs.sort((a, b) => (a.key < b.key ? -1 : 1)) }
}
