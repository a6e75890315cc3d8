// Lets plugins import 'feedoo' and 'zod' although their folder has no node_modules.
import module from 'node:module'
import { type Ours, resolveSyncFor } from './plugin-hook.ts'

/** `.ts` when run from the sources, `.js` when built. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))

const ours: Ours = { entry: new URL(`../index${extension}`, import.meta.url).href, base: import.meta.url }

let installed = false

/** Installs the hook for this thread; to be called before the first plugin is imported. Threads do not share it. */
export function installPluginResolution(): void {
  if (installed) return
  installed = true
  // Newer Node (22.15, 23.5) has this synchronous successor, without a thread of its own, and deprecates the older call.
  const registerHooks: unknown = Reflect.get(module, 'registerHooks')
  if (typeof registerHooks === 'function') {
    Reflect.apply(registerHooks, module, [{ resolve: resolveSyncFor(ours) }])
  } else {
    module.register(`./plugin-hook${extension}`, import.meta.url, { data: ours })
  }
}

/** True for a module of this package: one that needs no hook and no check. */
export function isOurs(url: string): boolean {
  return url.startsWith(new URL('../', import.meta.url).href)
}
