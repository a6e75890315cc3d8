// The list of actions a configuration can name: the built-in module's, and those of its plugins.
import { fileURLToPath } from 'node:url'
import type { ActionSpec } from './action.ts'
import { isOurs } from './built-files.ts'
import { FeedooError, messageOf } from './errors.ts'
import { installPluginResolution } from './plugin-resolution.ts'
import { specMistake } from './spec-check.ts'

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
 * PLUGIN_FAILED, naming the file, for a module that cannot be loaded, that exports no action, or a faulty one.
 */
export async function loadActions(urls: readonly string[]): Promise<Registry> {
  const registry = new Registry()
  for (const url of urls) {
    try {
      const specs = isOurs(url) ? exportedSpecs(await import(url)) : await importPlugin(url)
      for (const spec of specs) registry.add(spec)
    } catch (cause) {
      throw new FeedooError('PLUGIN_FAILED', `cannot load ${pathOf(url)}: ${messageOf(cause)}`, { cause })
    }
  }
  return registry
}

async function importPlugin(url: string): Promise<ReadonlySet<ActionSpec>> {
  // Reflect, because the types of Node 20 do not know this property.
  if (/\.[mc]?ts$/.test(url) && !Reflect.get(process.features, 'typescript')) {
    throw new Error(
      `Node ${process.versions.node} does not run TypeScript; compile it to JavaScript, or use Node 22.18 or newer`,
    )
  }
  installPluginResolution()
  const specs = exportedSpecs(await import(url))
  if (specs.size === 0) throw new Error('it exports no action made with defineAction')
  for (const spec of specs) {
    const mistake = specMistake(spec)
    if (mistake !== undefined) throw new Error(mistake)
  }
  return specs
}

/** A set, because a module may export the same action by name and by default. */
function exportedSpecs(module: object): ReadonlySet<ActionSpec> {
  return new Set(Object.values(module).flat().filter(isSpec))
}

function isSpec(value: unknown): value is ActionSpec {
  return typeof value === 'object' && value !== null && 'kind' in value && 'params' in value
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? fileURLToPath(url) : url
}
