// Lets plugins import 'feedoo' and 'zod' although their folder has no node_modules.
import module from 'node:module'
import { moduleUrl } from './built-files.ts'
import { type Ours, resolveSyncFor } from './plugin-hook.ts'

const ours: Ours = { entry: moduleUrl('index'), base: import.meta.url }

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
    module.register(moduleUrl('core/plugin-hook'), { data: ours })
  }
}
