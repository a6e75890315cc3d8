// Finds and loads the modules under `plugins:`.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../errors.ts'
import { fileKind } from '../file-kind.ts'
import type { Registry } from '../registry.ts'
import type { Reporter } from './reporter.ts'
import { type Tree, textOf } from './tree.ts'

export interface LoadedPlugins {
  registry: Registry
  urls: string[]
  /** One could not be loaded: an action that is not known may be its own. */
  failed: boolean
}

/** Loads the built-in actions and, one after another, the plugins; what fails is reported at its item. */
export async function loadPlugins(
  items: readonly Tree[],
  configFile: string,
  loadRegistry: (urls: string[]) => Promise<Registry>,
  reporter: Reporter,
): Promise<LoadedPlugins> {
  let registry = await loadRegistry([])
  const urls: string[] = []
  let failed = false
  for (const item of items) {
    const specifier = textOf(item)
    if (specifier === undefined || specifier === '') {
      failed = true
      continue
    }
    try {
      const url = await resolvePlugin(specifier, configFile)
      if (urls.includes(url)) continue
      registry = await loadRegistry([...urls, url])
      urls.push(url)
    } catch (error) {
      reporter.error(item.at, `plugin "${specifier}": ${messageOf(error)}`)
      failed = true
    }
  }
  return { registry, urls, failed }
}

async function resolvePlugin(specifier: string, configFile: string): Promise<string> {
  const file = /^\.{0,2}\//.test(specifier)
    ? path.resolve(path.dirname(configFile), specifier)
    : await resolvePackage(specifier, path.resolve(configFile))
  if ((await fileKind(file)) !== 'file') throw new Error(`there is no file ${file}`)
  return pathToFileURL(file).href
}

/** The file that `import` of a package, seen from the configuration's folder, would take. */
async function resolvePackage(specifier: string, configFile: string): Promise<string> {
  const require = createRequire(configFile)
  for (const folder of require.resolve.paths(specifier) ?? []) {
    const root = path.join(folder, specifier)
    const entry = importEntry(await readJson(path.join(root, 'package.json')))
    if (entry !== undefined) return path.join(root, entry)
  }
  try {
    return require.resolve(specifier)
  } catch {
    throw new Error(`no package of this name is installed beside ${path.dirname(configFile)}; a file begins with ./`)
  }
}

/** The `import` side of a package's exports: `require.resolve` knows only the other. */
function importEntry(manifest: unknown): string | undefined {
  if (!isObject(manifest)) return undefined
  const { exports } = manifest
  return pickCondition(isObject(exports) && '.' in exports ? exports['.'] : exports)
}

function pickCondition(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (!isObject(target)) return undefined
  for (const [condition, inner] of Object.entries(target)) {
    if (!['node', 'import', 'module-sync', 'default'].includes(condition)) continue
    const found = pickCondition(inner)
    if (found !== undefined) return found
  }
  return undefined
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
