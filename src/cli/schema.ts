// `feedoo schema`: the JSON Schema of the whole YAML, for editors.
import { configSchema } from '../core/config/schema.ts'
import type { Registry } from '../core/registry.ts'
import type { Write } from './actions.ts'

/** Writes the schema (draft 2020-12) of a configuration that may use these actions. Returns exit code 0. */
export function schemaCommand(registry: Registry, write: Write): number {
  write(schemaText(registry))
  return 0
}

export function schemaText(registry: Registry): string {
  return `${JSON.stringify(configSchema(registry), null, 2)}\n`
}
