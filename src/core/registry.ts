// The list of actions a configuration can name: the built-in module's, and those of its plugins.
import type { ActionSpec } from './action.ts'
import { FeedooError, messageOf } from './errors.ts'

export class Registry {
  readonly #specs = new Map<string, ActionSpec>()

  constructor(specs: Iterable<ActionSpec> = []) {
    for (const spec of specs) this.add(spec)
  }

  /** Adds an action. Throws PLUGIN_FAILED when the name is taken. */
  add(spec: ActionSpec): void {
    if (this.#specs.has(spec.name)) {
      throw new FeedooError('PLUGIN_FAILED', `there is already an action named ${spec.name}`)
    }
    this.#specs.set(spec.name, spec)
  }

  get(name: string): ActionSpec | undefined {
    return this.#specs.get(name)
  }

  all(): ActionSpec[] {
    return [...this.#specs.values()]
  }

  names(): string[] {
    return [...this.#specs.keys()]
  }
}

/**
 * Imports modules by URL and collects the actions they export, by default or by name, singly or in a list. Throws
 * PLUGIN_FAILED with the cause for a module that cannot be loaded or exports no action.
 */
export async function loadActions(urls: readonly string[]): Promise<Registry> {
  const registry = new Registry()
  for (const url of urls) {
    let module: Record<string, unknown>
    try {
      module = (await import(url)) as Record<string, unknown>
    } catch (cause) {
      throw new FeedooError('PLUGIN_FAILED', `cannot load ${url}: ${messageOf(cause)}`, { cause })
    }
    // A module may export the same action by name and by default.
    const specs = new Set(Object.values(module).flat().filter(isActionSpec))
    if (specs.size === 0) throw new FeedooError('PLUGIN_FAILED', `${url} exports no action made with defineAction`)
    for (const spec of specs) registry.add(spec)
  }
  return registry
}

function isActionSpec(value: unknown): value is ActionSpec {
  return typeof value === 'object' && value !== null && 'build' in value && 'params' in value && 'kind' in value
}
